"""Draw architecture.png: the rooms of the package, their files, and the way of a call through them.

    python docs/figures/architecture.py     needs matplotlib

The files are those of the source tree: tests/test_docs.py notices when the picture is older than the tree.
"""

import hashlib
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve()
SOURCE = HERE.parents[2] / "src" / "smoothmax"
PICTURE = HERE.with_suffix(".png")
SUFFIXES = {".py", ".pyx", ".pxd", ".pxi"}
WIDTH = 10.5
LEFT, RIGHT = 0.1, 7.2
LINE = 0.135  # of file names

# From the top: colour, name, what it knows.
ROOMS = [
    ("#EEEEEE", "_cli", "the command line"),
    ("#EEEEEE", "_switch", "smoothmax in the place of SciPy"),
    ("#EEEEEE", "_hooks", "what other packages ask for"),
    ("#EEEEEE", "_scale", "Dask blocks, files, zarr stores"),
    ("#EEEEEE", "_partial", "sums that outlive a call"),
    ("#DCE9F5", "_api", "signatures and documentation"),
    ("#DCE9F5", "_arrays", "from arguments to a plan, and results back"),
    ("#DCE9F5", "_c", "the functions of smoothmax.h"),
    ("#FBE9CF", "_schedule", "how a call is walked; knows no mathematics"),
    ("#DDEFD9", "_kernels", "the mathematics, once for each instruction set"),
    ("#F3DDE8", "_thresholds", "every tuning limit, with its unit"),
]
# What the room above hands to the one below.
HANDED = {
    "_arrays": "array, axis, b, where, out, dtype",
    "_schedule": "Plan: shapes, strides, types, pointers, operation",
    "_kernels": "block: pointer, leading dimension, rows, columns, weights",
}
# From the top, below each other.
NOUNS = [
    ("Route", "which way this call takes:\na pure function of operation,\nshape, strides and types"),
    ("Feed", "the next contiguous block,\nwhere it lies or staged\nthrough the scratch"),
    ("PartialSum", "maximum, how many equal it,\nsum of the others in two parts:\na monoid"),
]


def files(room: str) -> list[str]:
    """The names of a room's source files."""
    # What Cython and the compiler leave beside a source has another suffix.
    paths = (SOURCE / room).glob("*")
    return sorted({path.stem for path in paths if path.suffix in SUFFIXES and path.stem != "__init__"})


def lines(room: str) -> list[str]:
    """The files of a room, and those of each folder in it, as lines of text."""
    folders = sorted(path.name for path in (SOURCE / room).glob("*/") if path.is_dir() and files(f"{room}/{path.name}"))
    texts = ["  ".join(files(room)), *(f"{name}/  {'  '.join(files(f'{room}/{name}'))}" for name in folders)]
    return [line for text in texts for line in textwrap.wrap(text, 74, subsequent_indent="      ")]


def digest() -> str:
    """What ties the picture to this script and to the files that it names."""
    listed = [(name, lines(name)) for _, name, _ in ROOMS]
    return hashlib.sha256(HERE.read_bytes() + repr(listed).encode()).hexdigest()


def main() -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    heights = {name: 0.42 + LINE * len(lines(name)) for _, name, _ in ROOMS}
    whole = sum(heights.values()) + 0.14 * len(ROOMS) + 0.28 * len(HANDED) + 0.12
    figure = Figure(figsize=(WIDTH, whole))
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set_xlim(0, WIDTH)
    panel.set_ylim(0, whole)
    panel.axis("off")

    def box(left: float, bottom: float, width: float, height: float, face: str, edge: str) -> None:
        panel.add_patch(
            FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0.02", facecolor=face, edgecolor=edge)
        )

    top, bottoms = whole - 0.12, {}
    for colour, name, knows in ROOMS:
        height = heights[name]
        if name in HANDED:
            panel.text(1.45, top - 0.12, HANDED[name], fontsize=8.5, va="center", style="italic")
            panel.add_patch(
                FancyArrowPatch((1.2, top + 0.05), (1.2, top - 0.28), arrowstyle="-|>", mutation_scale=14, color="k")
            )
            top -= 0.28
        bottom = bottoms[name] = top - height
        box(LEFT, bottom, RIGHT - LEFT, height, colour, "#555555")
        panel.text(LEFT + 0.12, top - 0.22, name, weight="bold", va="center", family="monospace")
        panel.text(LEFT + 1.65, top - 0.22, knows, va="center", fontsize=10)
        for i, line in enumerate(lines(name)):
            panel.text(LEFT + 1.65, top - 0.42 - i * LINE, line, va="center", fontsize=7.5, family="monospace")
        top = bottom - 0.14
    top = bottoms["_arrays"] + 0.4
    panel.text(7.55, top + 0.25, "Three nouns", fontsize=11, weight="bold", color="#0072B2")
    for name, meaning in NOUNS:
        box(7.55, top - 1.1, 2.75, 1.1, "white", "#0072B2")
        panel.text(7.67, top - 0.2, name, weight="bold", color="#0072B2", va="center")
        panel.text(7.67, top - 0.66, meaning, fontsize=8.5, va="center")
        top -= 1.3
    panel.text(7.55, whole - 0.4, "Imports point down this list,\nnever up.", fontsize=10, va="center")
    figure.savefig(PICTURE, dpi=110, metadata={"Source": digest(), "Software": None})


if __name__ == "__main__":
    main()
