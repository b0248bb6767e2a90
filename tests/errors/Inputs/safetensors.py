"""safetensors.py FILE HEADER BYTES - a safetensors file with any header, right or wrong, and data of
that many zero bytes (or, as hex digits after an x, of those bytes)."""
import sys

path, header, data = sys.argv[1:]
data = bytes.fromhex(data[1:]) if data[0] == "x" else bytes(int(data))
with open(path, "wb") as f:
    f.write(len(header.encode()).to_bytes(8, "little") + header.encode() + data)
