from typing import Any

NAMES: dict[int, str]

def collect(collected: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None: ...
