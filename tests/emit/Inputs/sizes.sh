# sizes.sh MODEL FOLDER TARGET FLAGS FORM [OPTION...] - compare NAME_ARENA_BYTES, NAME_WEIGHT_BYTES and
# NAME_PACKED_BYTES with the sizes of the symbols that hold them, or of the file beside the code.
set -eu
cd "$2"
model=$1 target=$3 flags=$4 form=$5
shift 5
kiln compile "$model" --target "$target" --weights "$form" "$@" -o m.c
gcc -O2 $flags -c m.c -o m.o
held() {
    nm -S m.o | awk -v name="$1" '$4 ~ name { print $2 }' | while read -r hex; do echo $((0x$hex)); done |
        awk '{ sum += $1 } END { print sum + 0 }'
}
stated() {
    awk -v name="$1" '$2 == name { print $3 }' m.h
}
test "$(held '^m_arena')" = "$(stated M_ARENA_BYTES)"
packed=$(stated M_PACKED_BYTES)
test "$(held '^m_packed$')" = "${packed:-0}"
if [ "$form" = asm ]; then
    test "$(wc -c <m.weights.bin)" = $(($(stated M_WEIGHT_BYTES) + 64))
elif [ "$form" = file ]; then
    test "$(wc -c <m.weights.bin)" = "$(stated M_WEIGHT_BYTES)"
else
    test "$(held '^m_weights')" = "$(stated M_WEIGHT_BYTES)"
fi
# 81 weights and 3 biases without vectors.
test "$target" != c99 || test "$(stated M_WEIGHT_BYTES)" = $((81 * 4 + 3 * 4))
