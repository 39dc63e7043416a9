"""Write measured tables between two markers of a page, so that nobody types figures by hand."""

import statistics
from pathlib import Path

__all__ = ["PAGE", "duration", "put", "replaced", "spread", "table", "times", "ulps"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table as lines of Markdown. All columns except the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def replaced(page: str, name: str, lines: list[str]) -> str | None:
    """The page with the lines between the markers of this name, or None if the markers are missing."""
    begin_marker, end_marker = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, following = page.partition(begin_marker)
    _, end, after = following.partition(end_marker)
    return "\n".join([before + begin, *lines, end + after]) if begin and end else None


def put(path: Path, name: str, lines: list[str]) -> None:
    page = replaced(path.read_text(encoding="utf-8"), name, lines)
    if page is None:
        raise SystemExit(f"{path.name} has no markers <!-- {name}: begin --> and <!-- {name}: end -->")
    path.write_text(page, encoding="utf-8")


# Figures -------------------------------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def times(ratio: float, mark: str = "x") -> str:
    """How many times as fast smoothmax is, with two or three digits. A case that it loses is bold."""
    digits = 0 if ratio >= 10 else 1 if ratio >= 1 else 2
    text = f"{ratio:.{digits}f}{mark}"
    return text if ratio >= 1 else f"**{text}**"


def spread(factors: list[float]) -> str:
    """The median and the range."""
    return f"{times(statistics.median(factors))} ({times(min(factors), '')} to {times(max(factors), '')})"


def ulps(error: float) -> str:
    """An error in ULP, with two digits."""
    if error >= 1e5:
        return f"{error:.1e}".replace("e+0", "e").replace("e+", "e")
    return f"{error:.1f}" if error < 10 else f"{float(f'{error:.2g}'):.0f}"
