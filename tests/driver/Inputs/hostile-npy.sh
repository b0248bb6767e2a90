# hostile-npy.sh DIR NPY.PY - files that are no arrays, or not the arrays they claim to be.
set -e
cd "$1"
make() { /usr/bin/python3 "$npy" header "$@"; }
npy=$2
: > 00-empty.npy
echo 'not an array at all' > 01-text.npy
printf '\223NUMPY\011\000\020\000\000\000{}              ' > 02-version.npy
printf '\223NUMPY\001\000\166\000{'"'"'descr'"'"':' > 03-header.npy
make 04-data.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }" 15
make 05-huge.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }" 16
make 06-number.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }" 16
make 07-negative.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }" 16
make 08-zero.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }" 16
make 09-rank.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,4), }" 16
make 10-fortran.npy "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 4), }" 16
make 11-object.npy "{'descr': '|O', 'fortran_order': False, 'shape': (1, 4), }" 16
make 12-key.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), 'x': 1}" 16
make 13-missing.npy "{'descr': '<f4', 'shape': (1, 4), }" 16
make 14-behind.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), } x" 16
