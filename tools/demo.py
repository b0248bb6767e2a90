#!/usr/bin/python3
"""A trained network as C: compile it, build it, classify the 10,000 Fashion-MNIST test images.

    tools/demo.py [MODEL] [SIZE]        default: models/vgg11_8.json 224

B is the build folder (default build); it holds kiln. Files of the demo stay in B/demo.
"""

import os
import sys
import time

import numpy as np

from classify import BUILD, KILN, ROOT, Classifier, chunks, data, run

FOLDER = os.path.join(BUILD, "demo")
TOP = 3


def timed(*command):
    """A step of the demo, shown as one would type it; its seconds."""
    print(f"  $ {' '.join(command)}", flush=True)
    start = time.monotonic()
    run(*command)
    return time.monotonic() - start


def make_program(model, stem):
    """Emit the C, and build the program; the C file and the program."""
    source, program = os.path.join(FOLDER, stem + ".c"), os.path.join(FOLDER, stem)
    print("From the trained network to C, and to a program:")
    seconds = timed(KILN, "compile", model, "-o", source)
    print(f"    {os.path.getsize(source):,} bytes of C in {seconds:.2f} s")
    seconds = timed(KILN, "build", model, "-o", program)
    print(f"    the program, {os.path.getsize(program):,} bytes, in {seconds:.2f} s")
    for line in run(program, "--info").splitlines():
        print(f"    {line}")
    return source, program


# ---- a few images ----------------------------------------------------------------------------


def as_blocks(image):
    """Two rows of pixels a line, as half blocks in shades of grey."""
    lines = []
    for top, bottom in zip(image[0::2], image[1::2]):
        cells = (f"\033[38;2;{a};{a};{a}m\033[48;2;{b};{b};{b}m\u2580" for a, b in zip(top, bottom))
        lines.append("".join(cells) + "\033[0m")
    return lines


def as_letters(image):
    shades = " .:-=+*#%@"
    means = (image[0::2].astype(int) + image[1::2]) // 2
    return ["".join(shades[pixel * len(shades) // 256] for pixel in row) for row in means]


def captions(label, scores):
    """The label, and the best classes with their probabilities."""
    e = np.exp(scores - scores.max())
    lines = [f"is: {data.CLASSES[label]}"]
    for c in np.argsort(-scores, kind="stable")[:TOP]:
        lines.append(f"  {data.CLASSES[c]:<12} {e[c] / e.sum():7.2%}")
    return lines


def show_images(images, labels, logits):
    """Three images side by side: two of different classes that are right, and the first mistake."""
    answers = logits.argmax(1)
    right, wrong = np.flatnonzero(answers == labels), np.flatnonzero(answers != labels)
    other = right[labels[right] != labels[right[0]]]
    chosen = [*right[:1], *other[:1], *wrong[:1]]
    width, draw = images.shape[2], as_blocks if sys.stdout.isatty() else as_letters
    print()
    for lines in zip(*(draw(images[i]) for i in chosen)):
        print("  " + "   ".join(lines))
    for lines in zip(*(captions(labels[i], logits[i]) for i in chosen)):
        print("  " + "   ".join(line.ljust(width) for line in lines).rstrip())


def main():
    model = sys.argv[1] if len(sys.argv) > 1 else "models/vgg11_8.json"
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 224
    stem = os.path.splitext(os.path.basename(model))[0]
    os.chdir(ROOT)
    os.makedirs(FOLDER, exist_ok=True)
    images, labels = data.load("test")
    source, program = make_program(model, stem)

    print(f"\nClassifying the {len(images):,} test images of Fashion-MNIST at {size}x{size}:", flush=True)
    classifier = Classifier(program, FOLDER, top=TOP)
    logits = np.concatenate([classifier.run() for _ in chunks(images, labels, size, FOLDER)])
    print(f"  accuracy     {classifier.right / len(images):.4f} ({classifier.right:,} of {len(images):,})")
    print(f"  images/s     {len(images) / classifier.seconds:.0f} (one thread, inference alone)")
    print(f"  peak memory  {classifier.memory:.1f} MB, the whole program")
    show_images(images, labels, logits)

    header = source[:-1] + "h"
    print(f"\nThe emitted C is {source}, its interface {header}. Look at")
    print(f"  - the head of {source}: how it was made, how to compile it, what it needs;")
    print("  - any kernel: the nodes it computes, its schedule, its loops with named accumulators;")
    print(f"  - {stem}_infer at the end: the network as a list of calls on one static arena.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
