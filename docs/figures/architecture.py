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
WIDTH, HEIGHT = 10.5, 7.95
LEFT, RIGHT = 0.1, 7.2

# From the top: height, colour, name, what it knows.
ROOMS = [
    (0.60, "#EEEEEE", "_cli", "the command line"),
    (0.60, "#EEEEEE", "_scale", "Dask blocks, files, zarr stores"),
    (0.60, "#EEEEEE", "_partial", "sums that outlive a call"),
    (0.60, "#DCE9F5", "_api", "signatures and documentation"),
    (0.80, "#DCE9F5", "_arrays", "from arguments to a plan, and results back"),
    (0.90, "#FBE9CF", "_schedule", "how a call is walked; knows no mathematics"),
    (1.30, "#DDEFD9", "_kernels", "the mathematics, once for each instruction set"),
    (0.40, "#F3DDE8", "_thresholds", "every tuning limit, with its unit"),
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
    """The names of a room's source files, and of its folders with theirs in brackets."""
    folder = SOURCE / room
    names = sorted({path.stem for path in folder.glob("*") if path.suffix in SUFFIXES and path.stem != "__init__"})
    # What Cython and the compiler leave beside a source has another suffix.
    inner = sorted(
        path.name for path in folder.glob("*/") if path.name != "__pycache__" and files(f"{room}/{path.name}")
    )
    return names + [f"{name}/ ({'  '.join(files(f'{room}/{name}'))})" for name in inner]


def digest() -> str:
    """What ties the picture to this script and to the files that it names."""
    listed = [(name, files(name)) for *_, name, _ in ROOMS]
    return hashlib.sha256(HERE.read_bytes() + repr(listed).encode()).hexdigest()


def main() -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    figure = Figure(figsize=(WIDTH, HEIGHT))
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set_xlim(0, WIDTH)
    panel.set_ylim(0, HEIGHT)
    panel.axis("off")

    def box(left: float, bottom: float, width: float, height: float, face: str, edge: str) -> None:
        panel.add_patch(
            FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0.02", facecolor=face, edgecolor=edge)
        )

    top, bottoms = HEIGHT - 0.12, {}
    for height, colour, name, knows in ROOMS:
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
        listed = textwrap.fill("  ".join(files(name)), 74, break_long_words=False)
        panel.text(LEFT + 1.65, top - 0.4, listed, va="top", fontsize=7.5, family="monospace", color="#333333")
        top = bottom - 0.14
    top = bottoms["_arrays"] + 0.4
    panel.text(7.55, top + 0.25, "Three nouns", fontsize=11, weight="bold", color="#0072B2")
    for name, meaning in NOUNS:
        box(7.55, top - 1.1, 2.75, 1.1, "white", "#0072B2")
        panel.text(7.67, top - 0.2, name, weight="bold", color="#0072B2", va="center")
        panel.text(7.67, top - 0.66, meaning, fontsize=8.5, va="center")
        top -= 1.3
    panel.text(7.55, HEIGHT - 0.4, "Imports point down this list,\nnever up.", fontsize=10, va="center")
    figure.savefig(PICTURE, dpi=110, metadata={"Source": digest(), "Software": None})


if __name__ == "__main__":
    main()
