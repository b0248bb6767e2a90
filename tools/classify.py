"""Fashion-MNIST through programs that kiln builds: what the demo and the accuracy table share."""

import os
import re
import subprocess
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "models"))
import fashion_mnist as data  # noqa: E402

BUILD = os.environ.get("B", "build")
KILN = os.environ.get("KILN", os.path.join(BUILD, "kiln"))
CHUNK = 1000


def run(*command):
    """What a command prints; a failure ends the program."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with status {done.returncode}:\n{done.stderr}")
    return done.stdout


def show_progress(what, done, total):
    if sys.stderr.isatty():
        end = "\r" if done < total else "\r\033[K"
        print(f"  {what}{done:,} of {total:,} images", end=end, file=sys.stderr, flush=True)


def chunks(images, labels, size, folder, what=""):
    """Write the images as folder/images.npy and folder/labels.npy, a chunk at a time: yields after each."""
    for begin in range(0, len(images), CHUNK):
        data.export(images[begin:begin + CHUNK], labels[begin:begin + CHUNK], size, folder)
        yield
        show_progress(what, min(begin + CHUNK, len(images)), len(images))


class Classifier:
    """A program on chunk after chunk: its logits, and its figures of all chunks so far."""

    def __init__(self, program, folder, input_name="image", output_name="logits", top=1):
        self.command = [program, "--in", f"{input_name}={folder}/images.npy", "--labels",
                        f"{folder}/labels.npy", "--top", str(top), "--out", folder]
        self.output = os.path.join(folder, output_name + ".npy")
        self.right, self.seconds, self.memory, self.count = 0, 0.0, 0.0, 0

    def run(self):
        """Classify the chunk in the folder; its logits."""
        text = run(*self.command)
        self.right += int(re.search(r"accuracy [\d.]+ \((\d+) of", text)[1])
        count, rate, peak = re.search(r"(\d+) images, (\S+) images/s, peak memory (\S+) MB", text).groups()
        self.seconds += int(count) / float(rate)
        self.memory = max(self.memory, float(peak))
        self.count += int(count)
        return np.load(self.output)
