# on-board.sh BOARD IMAGE WORDS... - the image in the emulator, with these words as its command line.
board=$1 image=$2
shift 2
words=
for word in "$@"; do
    words="$words,arg=$word"
done
exec qemu-system-arm -M "$board" -display none -monitor none -serial none -chardev stdio,id=con \
    -semihosting-config "enable=on,target=native,chardev=con,arg=image$words" -kernel "$image" </dev/null
