from typing import Any

def logsumexp(
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    where: Any = True,
    out: Any = None,
    dtype: Any = None,
) -> Any: ...
def softmax(x: Any, axis: Any = None, *, where: Any = True, out: Any = None, dtype: Any = None) -> Any: ...
def log_softmax(x: Any, axis: Any = None, *, where: Any = True, out: Any = None, dtype: Any = None) -> Any: ...
