#!/bin/sh
# embed.sh FILE... - the files as a C table of names and texts: embedded_files in driver/driver.h.
# Names are relative to runtime/.
set -eu

echo '/* The runtime as text. Made by tools/embed.sh. */'
echo '#include "driver/driver.h"'
echo
echo 'const EmbeddedFile embedded_files[] = {'
for file in "$@"; do
    printf '    {"%s",\n' "${file#runtime/}"
    sed 's/\\/&&/g; s/"/\\"/g; s/?/\\?/g; s/	/\\t/g; s/^/     "/; s/$/\\n"/' "$file"
    echo '    },'
done
echo '};'
echo 'const int n_embedded_files = COUNT_OF(embedded_files);'
