# tune.sh MODEL DIR - ends kiln tune after its first round, damages what it left in several ways, and lets
# it go on.
model=$1
dir=$2
left=$dir/s.json.partial
rm -f "$dir/s.json" "$left"

# attempt NAME SED-COMMAND - on what an interrupted run has left
attempt() {
    sed "$2" "$dir/kept" > "$left"
    kiln tune "$model" --target c99 --seconds 0.01 -o "$dir/s.json" > "$dir/report" 2> "$dir/err"
    status=$?
    sed 's|^[^ ]*/s.json|s.json|' "$dir/err"
    echo "$1: $status"
}

kiln tune "$model" --target c99 --seconds 0.01 -o "$dir/s.json" &
while ! grep -q kind "$left" 2> "$dir/err" && kill -0 $! 2> "$dir/err"; do
    sleep 0.02
done
kill $!
wait $!
printf 'interrupted: %s' $?
[ -e "$left" ] && printf ', rounds kept'
[ -e "$dir/s.json" ] || printf ', no schedule'
echo
cp "$left" "$dir/kept"

attempt key 's/"key": "./"key": "x/'
attempt ratio 's/"c": [0-9.]*/"c": "fast"/'
attempt whole 's/"whole": [0-9.]*/"whole": -1/'
attempt layer 's/"c":/"z":/'
attempt kind 's/"tiles"/"tilts"/'
attempt order 's/"tiles"/"check"/'
attempt syntax '$d'
attempt empty 's/"rounds"/"round"/'
attempt end ''
ls "$dir" | grep json
