"""names.py DIR COMMAND... - run it on DIR/x.npy by the names of build_names.test; compare the result with
what softmax gives, under the file name that the output's name becomes."""
import os
import subprocess
import sys

import numpy as np

folder, command = sys.argv[1], sys.argv[2:]
out = os.path.join(folder, "out")
subprocess.run([*command, "--in", f'in"\\\n??/={folder}/x.npy', "--out", out], check=True)
if os.listdir(out) != ["..%2Fout%2F%1B[0m.npy"]:
    sys.exit(f"wrong files: {os.listdir(out)}")
x = np.load(os.path.join(folder, "x.npy")).astype(float)
want = np.exp(x) / np.exp(x).sum()
got = np.load(os.path.join(out, "..%2Fout%2F%1B[0m.npy"))
if np.abs(got - want).max() > 1e-6:
    sys.exit("wrong numbers")
