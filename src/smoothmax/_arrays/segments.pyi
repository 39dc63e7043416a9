from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def axis_and_offsets(axis: object, offsets: object, lengths: Sequence[int]) -> tuple[int, NDArray[np.intp]]: ...
