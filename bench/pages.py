"""Write measured tables between two markers of a page, so that nobody types figures by hand."""

from pathlib import Path

__all__ = ["PAGE", "put", "replaced", "table"]

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
