# sizes.sh MODEL FOLDER TARGET FLAGS FORM - compare NAME_ARENA_BYTES and NAME_WEIGHT_BYTES with the sizes
# of the symbols that hold them, or with the section where the assembler drew the weights in.
set -eu
cd "$2"
kiln compile "$1" --target "$3" --weights "$5" -o m.c
gcc -O2 $4 -c m.c -o m.o
held() {
    nm -S m.o | awk -v name="$1" '$4 ~ name { print $2 }' | while read -r hex; do echo $((0x$hex)); done |
        awk '{ sum += $1 } END { print sum + 0 }'
}
stated() {
    awk -v name="$1" '$2 == name { print $3 }' m.h
}
test "$(held '^m_arena')" = "$(stated M_ARENA_BYTES)"
if [ "$5" = asm ]; then
    test "$(wc -c <m.weights.bin)" = $(($(stated M_WEIGHT_BYTES) + 64))
else
    test "$(held '^m_weights')" = "$(stated M_WEIGHT_BYTES)"
fi
# 81 weights and 3 biases without vectors.
test "$3" != c99 || test "$(stated M_WEIGHT_BYTES)" = $((81 * 4 + 3 * 4))
