#!/bin/sh
# same_c.sh FOLDER MODEL... - whether each model and its conversion compile to the same C.
set -eu
folder=$1
shift
for model in "$@"; do
    kiln convert "$model" -o "$folder/m.json"
    for options in '--target c99' '--target x86-avx512 --weights file'; do
        for side in "$model" "$folder/m.json"; do
            # shellcheck disable=SC2086
            kiln compile "$side" $options -o "$folder/out.c"
            cat "$folder"/out.* >"$folder/$(test "$side" = "$model" && echo before || echo after)"
            rm "$folder"/out.*
        done
        cmp "$folder/before" "$folder/after"
    done
done
