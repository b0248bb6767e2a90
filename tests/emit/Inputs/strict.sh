# strict.sh MODEL FOLDER TARGET FLAGS - emit for a target; compile with every compiler here, warnings
# being errors; look for symbols the object lacks.
set -eu
cd "$2"
for level in 0 2; do
    options=
    test $level = 2 || options="--fp exact --arena caller --self-test"
    kiln compile "$1" --target "$3" $options -o m.c
    for cc in gcc clang clang-19; do
        command -v $cc >/dev/null || continue
        $cc $4 -O$level -Wall -Wextra -Wconversion -Wshadow -Wcast-align -pedantic -Werror -c m.c -o m.o
        ! nm -u m.o | grep -v -E ' (memcpy|memset)$'
    done
done
