"""The tools that search for faults find one that is made for the test."""

import pathlib
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest

import smoothmax

TOOLS = pathlib.Path(__file__).parents[1] / "tools"


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import fuzz

    return fuzz


@pytest.fixture
def bits(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import bits

    return bits


ARRAY = {"dtype": "f8", "numbers": "ordinary", "seed": 6, "how": {"guard": "end"}}
CALL = {"do": "reduction", "function": "softmax", "shape": [5, 40], "x": ARRAY, "axis": 1}


def test_three_hundred_random_calls_are_as_they_should_be(fuzz):
    for seed in range(300):
        case = fuzz.random_case(seed)
        if case["do"].endswith(("file", "blocks", "losses")):
            continue
        fuzz.run(case)


@pytest.mark.parametrize(
    "do",
    ["complex", "ids", "row of C", "file", "scanned file", "blocks", "scanned blocks", "block losses",
     "multiplied blocks", "scored blocks"],
)  # fmt: skip
def test_a_few_calls_of_each_rare_kind_are_as_they_should_be(fuzz, do):
    pytest.importorskip("dask.array")
    if do.endswith("file"):
        pytest.importorskip("zarr")
    maker = fuzz.MAKERS[do][1]
    for seed in range(40 if do in ("complex", "ids", "row of C") else 5):
        fuzz.run(maker(random.Random(seed)))


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "c16", "bfloat16"])
def test_bits_of_equal_calls_may_differ_in_nans_only(fuzz, dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    result = np.array([1.5, 0, np.nan, -np.inf]).astype(dtype)
    other_nan = result.copy()
    other_nan[2] = complex(-np.nan, 0) if result.dtype.kind == "c" else -np.nan
    assert other_nan.tobytes() != result.tobytes()
    fuzz.must_have_the_same_bits([result], [other_nan])
    changed = [result.copy() for _ in range(3)]
    changed[0][1] = -0.0
    changed[1][2] = 0
    changed[2].view(np.uint8)[0] ^= 1  # the last bit of a number
    for one, other in [(result, each) for each in changed] + [(np.int64(3), np.int64(4))]:
        with pytest.raises(fuzz.Failure, match=r"^bits: another address or another number of threads shows$"):
            fuzz.must_have_the_same_bits([one], [other])


def test_a_zarr_store_goes_through_the_command(fuzz):
    pytest.importorskip("zarr")
    case = {"do": "file", "function": "logsumexp", "shape": [5, 4], "x": ARRAY, "axis": 1, "order": "C"}
    fuzz.run(case | {"parts": [2, 2]})


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax", "logmeanexp", "logcumsumexp"])
def test_a_fault_in_complex_results_is_found(fuzz, monkeypatch, name):
    case = {"do": "complex", "function": name, "shape": [5, 4], "x": ARRAY | {"dtype": "D"}, "axis": 1}
    fuzz.run(case)
    right = getattr(smoothmax, name)
    for part in (1e-14, 1e-14j):
        monkeypatch.setattr(smoothmax, name, lambda *a, part=part, **k: right(*a, **k) + part)
        with pytest.raises(fuzz.Failure, match="value: "):
            fuzz.run(case)


@pytest.mark.parametrize("name", ["logmatmulexp", "top_log_probs", "categorical"])
def test_a_fault_in_results_of_dask_arrays_is_found(fuzz, monkeypatch, name):
    lazy = pytest.importorskip("smoothmax.dask")
    x = ARRAY | {"shape": [5, 4]}
    of = "draws" if name == "categorical" else "top"
    case = {"do": "scored blocks", "of": of, "shape": [5, 4], "x": x, "axis": 1,
            "k": 3, "seed": 1, "more": [], "parts": [2, 1]}  # fmt: skip
    if name == "logmatmulexp":
        case = {"do": "multiplied blocks", "exact": False, "a": x, "b": ARRAY | {"shape": [4, 3]},
                "parts": {"a": [2, 2], "b": [1, 1]}}  # fmt: skip
    fuzz.run(case)
    right = getattr(lazy, name)

    def off(*arguments, **options):
        result = right(*arguments, **options)
        if name == "top_log_probs":
            return result[0] * (1 + 1e-14), result[1]
        return result % 3 if name == "categorical" else result + 1e-13

    monkeypatch.setattr(lazy, name, off)
    with pytest.raises(fuzz.Failure, match="value: "):
        fuzz.run(case)


def test_weights_that_cancel_beside_huge_elements_have_no_sum(fuzz, monkeypatch):
    """A twin that adds log|b| to an element of 1e28 takes every weight for 1."""
    case = {"do": "reduction", "function": "logsumexp", "shape": [2], "axis": None,
            "x": ARRAY | {"numbers": "huge", "seed": 594923080, "used": [False], "drop": 1},
            "b": ARRAY | {"numbers": "signed", "used": [True], "drop": 0}}  # fmt: skip
    b = np.array([2.5, -2.5])
    monkeypatch.setattr("fuzzing.arrays.values", lambda _, shape, *__: b if shape else np.array(3.3e28))
    fuzz.run(case)
    monkeypatch.setattr(smoothmax, "logsumexp", lambda *_, **__: np.float64(3.4e28))
    with pytest.raises(fuzz.Failure, match="value: "):
        fuzz.run(case)


def test_a_broadcast_array_as_a_list_has_the_broadcast_shape(fuzz):
    x = ARRAY | {"used": [True, False], "drop": 0, "wide": True, "as": "list"}
    fuzz.run({"do": "reduction", "function": "logsumexp", "shape": [5, 4], "x": x, "axis": 1})


def test_the_same_seed_is_the_same_call(fuzz):
    from fuzzing import memo

    first = [fuzz.random_case(number) for number in range(12344, 12348)]
    memo.found.clear()
    assert [fuzz.random_case(number) for number in range(12347, 12343, -1)] == first[::-1]


def test_a_family_has_the_same_numbers_and_other_layouts(fuzz):
    from fuzzing import memo

    different = 0
    for number in range(0, 400, 4):
        calls = [fuzz.random_case(number + i) for i in range(4)]
        if calls[0]["do"] == "reduction":
            assert len({memo.numbers_of(call) for call in calls}) == 1
            different += len({repr(call) for call in calls})
    assert different > 100


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("logmeanexp", {}),
        ("logmeanexp", {"b": ARRAY | {"numbers": "positive", "used": [True, True], "drop": 0}}),
        ("logcumsumexp", {"do": "scan"}),
        ("logcumsumexp", {"do": "scan", "shape": [2, 900], "reverse": True}),
        ("segment_logsumexp", {"do": "segments", "at": [0, 7, 7, 40], "offsets": {"dtype": "i8", "how": {}}}),
        ("segment_softmax", {"do": "segments", "at": [0, 7, 7, 40], "offsets": {"dtype": "i8", "how": {}}}),
    ],
)
def test_a_fault_of_four_ulp_is_found(fuzz, monkeypatch, name, more):
    case = CALL | {"do": "reduction", "function": name, **more}
    fuzz.run(case)
    right = getattr(smoothmax, name)

    def off(*arguments, **options):
        result = right(*arguments, **options)
        result[-1] *= 1 - 4 * np.finfo(result.dtype).eps
        return result

    monkeypatch.setattr(smoothmax, name, off)
    with pytest.raises(fuzz.Failure, match="value: "):
        fuzz.run(case)


def test_a_fault_of_the_c_interface_is_found(fuzz, monkeypatch):
    case = {"do": "row of C", "function": "softmax", "shape": [40], "x": ARRAY, "to": {"is": "fresh", "how": {}}}
    fuzz.run(case)
    fuzz.run(case | {"function": "partial sums", "cuts": [0, 7], "sums": [0, 1, 0]})
    addresses = fuzz.RUNNERS["row of C"].__globals__["ADDRESSES"]
    monkeypatch.setitem(addresses, "smoothmax_softmax_f64", addresses["smoothmax_log_softmax_f64"])
    with pytest.raises(fuzz.Failure, match="value: "):
        fuzz.run(case)


def test_an_address_that_shows_in_the_bits_is_found(fuzz, monkeypatch):
    case = CALL | {"again": {"guard": "end", "shift": 8, "threads": 2}}
    fuzz.run(case)
    right = smoothmax.softmax

    def unaligned(x, **options):
        p = right(x, **options)
        p[0, 0] = np.nextafter(p[0, 0], x.__array_interface__["data"][0] % 16)
        return p

    monkeypatch.setattr(smoothmax, "softmax", unaligned)
    with pytest.raises(fuzz.Failure, match="bits: another address"):
        fuzz.run(case)


def wrong(result):
    right = smoothmax.softmax

    def function(x, axis=None, **_):
        return result(right(x, axis=axis))

    return function


def seven_ulp(p):
    p[2, 3] *= 1 + 7 * np.finfo(p.dtype).eps
    return p


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (lambda p: p * (1 + 1e-13), "value:"),
        (seven_ulp, "value:"),
        (lambda p: p.astype(np.float32), "type:"),
        (lambda p: p[:, :7], "shape:"),
        (lambda p: np.asarray(p, order="F"), "order:"),
        (lambda p: np.sqrt(-p), "warning:"),
        (lambda p: p.size // 0, "error: ZeroDivisionError"),
    ],
)
def test_a_fault_is_found_and_named(fuzz, monkeypatch, result, says):
    monkeypatch.setattr(smoothmax, "softmax", wrong(result))
    with pytest.raises(fuzz.Failure) as failure:
        fuzz.run(CALL)
    assert str(failure.value).startswith(says)


def test_writing_to_the_input_and_beside_the_output_is_found(fuzz, monkeypatch):
    right = smoothmax.softmax

    def writes_to_its_input(x, axis=None, **_):
        result = right(x, axis=axis)
        x[0, 0] += 1
        return result

    def writes_beside(x, axis=None, out=None):
        right(x, axis=axis, out=out)
        np.lib.stride_tricks.as_strided(out, (1,), (8,))[...] = 0  # its first element is the other's last but one
        np.ndarray((1,), "f8", out.base, 0)[...] = 5
        return out

    monkeypatch.setattr(smoothmax, "softmax", writes_to_its_input)
    with pytest.raises(fuzz.Failure, match="wrote to an input"):
        fuzz.run(CALL)
    monkeypatch.setattr(smoothmax, "softmax", writes_beside)
    out = {"is": "fresh", "dtype": None, "how": {"guard": "end"}, "by": 1}
    with pytest.raises(fuzz.Failure, match="wrote beside the output"):
        fuzz.run(CALL | {"out": out})


@pytest.mark.unsanitized
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_read_past_the_end_is_found_and_made_smaller(fuzz, monkeypatch):
    right = smoothmax.softmax

    def reads_one_more(x, axis=None, **_):
        if x.shape[1] > 2:
            np.lib.stride_tricks.as_strided(x, (x.size + 1,), (8,))[-1] + 1.0
        return right(x, axis=axis)

    monkeypatch.setattr(smoothmax, "softmax", reads_one_more)
    failure = fuzz.outcome(CALL)
    assert failure == "died: SIGSEGV"
    small, said = fuzz.shrunk(CALL, failure, 60)
    assert said == failure
    assert small["shape"] == [1, 3]


def test_recordings_are_equal_until_a_bit_moves(bits, monkeypatch, tmp_path, capsys):
    before, again, after = (str(tmp_path / name) for name in ("before.npz", "again.npz", "after.npz"))
    few = "^softmax f8 row n=(7|300)$"
    bits.record(before, None, few, False)
    bits.record(again, before, few, False)
    assert bits.compare(before, again, 5) == 0
    right = smoothmax.softmax

    def moved(x, **options):
        p = right(x, **options)
        p[-1] = np.nextafter(p[-1], 2)
        return p

    monkeypatch.setattr(smoothmax, "softmax", moved)
    bits.record(after, before, few, False)
    capsys.readouterr()
    assert bits.compare(before, after, 5) == 1
    said = capsys.readouterr().out
    assert "2 of 2 calls differ" in said
    assert "1 of 7 by up to 1 ULP" in said
    assert "1 of 64 samples by up to 1 ULP" in said
    assert "1 of 16 parts" in said


UNDEFINED = "int add(int a) { return a + 1; }\n"
PASSES = """
import ctypes

def test_that_passes():
    ctypes.CDLL("./undefined.so").add(2**31 - 1)
"""


def test_the_sanitizers_report_of_a_test_that_passes_is_seen(tmp_path, monkeypatch, capsys):
    """Pytest takes what is written to file descriptor 2, and shows it for tests that fail."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import sanitize

    monkeypatch.setenv("CC", "gcc")
    (tmp_path / "undefined.c").write_text(UNDEFINED)
    command = ["gcc", "-shared", "-fPIC", "-fsanitize=address,undefined", "-o", "undefined.so", "undefined.c"]
    if (
        sys.platform != "linux"
        or not shutil.which("gcc")
        or subprocess.run(command, cwd=tmp_path, check=False).returncode
    ):
        pytest.skip("needs a gcc with sanitizers")
    (tmp_path / "test_it.py").write_text(PASSES)
    assert sanitize.run(tmp_path, "address", "", ["-m", "pytest", *sanitize.PYTEST, "test_it.py"]) == 1
    said = capsys.readouterr().out
    assert "signed integer overflow" in said
    assert "exit code 0, 1 reports" in said
