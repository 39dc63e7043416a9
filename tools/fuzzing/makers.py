"""Which kinds of calls there are, how often each is made, and which call has which number."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from fuzzing.commands import random_command
from fuzzing.descriptions import (
    random_complex,
    random_draws,
    random_loss,
    random_matmul,
    random_product,
    random_reduction,
    random_stream,
    random_top,
    random_ufunc,
)
from fuzzing.kinds import VARIED, varied
from fuzzing.memo import remembered
from fuzzing.mistakes import random_mistake
from fuzzing.rows_of_c import random_row
from fuzzing.scans import random_ids, random_scan, random_segments
from fuzzing.stored import (
    random_block_losses,
    random_blocks,
    random_file,
    random_multiplied_blocks,
    random_scanned_blocks,
    random_scanned_file,
    random_scored_blocks,
)

Case = dict[str, Any]

MAKERS: dict[str, tuple[float, Callable[[random.Random], Case]]] = {
    "reduction": (60, random_reduction),
    "product": (10, random_product),
    "loss": (18, random_loss),
    "stream": (4, random_stream),
    "mistake": (8, random_mistake),
    "scan": (10, random_scan),
    "segments": (10, random_segments),
    "ids": (1, random_ids),
    "row of C": (3, random_row),
    "file": (0.3, random_file),
    "scanned file": (0.1, random_scanned_file),
    "command": (0.3, random_command),
    "blocks": (0.2, random_blocks),
    "scanned blocks": (0.1, random_scanned_blocks),
    "block losses": (0.05, random_block_losses),
    "multiplied blocks": (0.04, random_multiplied_blocks),
    "scored blocks": (0.06, random_scored_blocks),
    "complex": (2, random_complex),
    "ufunc": (10, random_ufunc),
    "matmul": (8, random_matmul),
    "top": (5, random_top),
    "draws": (5, random_draws),
}


FAMILY = 4  # calls with the same numbers


def random_case(number: int) -> Case:
    """The call of this number. The first of a family has numbers of its own; the others may lie differently."""
    first = number - number % FAMILY
    case: Case = remembered(("case", first), lambda: drawn(random.Random(first)))
    if number == first:
        return case
    r = random.Random(number)
    return varied(r, case) if case["do"] in VARIED else MAKERS[case["do"]][1](r)


def drawn(r: random.Random) -> Case:
    return r.choices([m for _, m in MAKERS.values()], [w for w, _ in MAKERS.values()])[0](r)
