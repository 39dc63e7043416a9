"""Arrays of other libraries give results of the same kind, with labels and without copies, or an error."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import smoothmax
from smoothmax._arrays import libraries

RNG = np.random.default_rng(32)
X = RNG.normal(size=(4, 5)) * 5
B, ADD = RNG.uniform(0.5, 2, size=5), RNG.normal(size=(4, 1))
MASK = RNG.random((4, 5)) < 0.8
TARGETS, OFFSETS = np.array([0, 4, 2, 1]), np.array([0, 1, 4])

# Every function with its main argument: its other arguments, and the names of those that are arrays.
CALLS = [
    ("logsumexp", (1,), {}),
    ("logsumexp", (), {"b": B, "where": MASK, "return_sign": True}),
    ("logsumexp", ((0, 1),), {"keepdims": True, "scale": -0.5, "add": ADD}),
    ("logmeanexp", (-1,), {"b": B, "keepdims": True}),
    ("softmax", (0,), {"where": MASK, "add": ADD}),
    ("log_softmax", (), {"scale": 2.0}),
    ("logcumsumexp", (1,), {"reverse": True}),
    ("segment_logsumexp", (OFFSETS, 0), {}),
    ("segment_softmax", (OFFSETS, 0), {}),
    ("segment_log_softmax", ([0, 2, 5], 1), {}),
    ("logsumexp_and_softmax", (1,), {}),
    ("cross_entropy", (TARGETS,), {}),
    ("cross_entropy", (TARGETS,), {"reduction": "none", "weight": B}),
    ("cross_entropy_and_grad", (TARGETS,), {"reduction": "none"}),
    ("nll_loss", (TARGETS,), {}),
    ("log_prob", (TARGETS,), {}),
]
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(CALLS)]


def pairs(got, wanted):
    """Compare each result with the result for a NumPy array."""
    if not isinstance(wanted, tuple):
        return [(got, wanted)]
    assert isinstance(got, tuple)
    return list(zip(got, wanted, strict=True))


def check(make, kind, name, arguments, keywords, back=np.asarray, x=X):
    """That a call on `make(x)` gives arrays of `kind`, of NumPy's bits, shapes and types."""
    function = getattr(smoothmax, name)
    others = {key: make(value) if isinstance(value, np.ndarray) else value for key, value in keywords.items()}
    for other in (keywords, others):
        got = function(make(x), *arguments, **other)
        for one, wanted in pairs(got, function(x, *arguments, **keywords)):
            assert isinstance(one, kind)
            value = back(one)
            assert (value.shape, value.dtype) == (np.shape(wanted), wanted.dtype)
            np.testing.assert_array_equal(value, wanted)


# PyTorch --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64])
@pytest.mark.parametrize(("name", "arguments", "keywords"), CALLS, ids=IDS)
def test_tensors_give_tensors(torch, name, arguments, keywords, dtype):
    x = (X if dtype is not np.int64 else X * 3).astype(dtype)
    check(torch.from_numpy, torch.Tensor, name, arguments, keywords, lambda one: one.numpy(), x)


def test_vector_jacobian_products_of_tensors(torch):
    p = smoothmax.softmax(X, 1)
    for name, out in (("softmax_vjp", p), ("log_softmax_vjp", np.log(p))):
        wanted = getattr(smoothmax, name)(X, out, 1)
        for g, y in ((torch.tensor(X), torch.tensor(out)), (torch.tensor(X), out), (X, torch.tensor(out))):
            got = getattr(smoothmax, name)(g, y, 1)
            assert isinstance(got, torch.Tensor)
            np.testing.assert_array_equal(got.numpy(), wanted)


def test_products_of_tensors(torch):
    wanted = smoothmax.logmatmulexp(X, X.T)
    for a, b in ((torch.tensor(X), torch.tensor(X).T), (torch.tensor(X), X.T), (X, torch.tensor(X).T)):
        got = smoothmax.logmatmulexp(a, b, exact=True)
        assert isinstance(got, torch.Tensor)
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-14)
    half = smoothmax.logmatmulexp(torch.tensor(X[0]).to(torch.bfloat16), torch.tensor(X[0]).to(torch.bfloat16))
    assert (half.dtype, half.ndim) == (torch.bfloat16, 0)


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.T, lambda x: x[::2], lambda x: x[:, 1:], lambda x: x[0]])
def test_tensors_are_read_in_place(torch, view):
    x = view(torch.tensor(X))
    assert np.shares_memory(libraries.as_numpy(x, "x"), x.numpy())
    own = x.numpy()
    wanted = smoothmax.softmax(own.copy())
    assert smoothmax.softmax(x, out=own) is own  # out is an array of NumPy's, here with the tensor's memory
    np.testing.assert_array_equal(x.numpy(), wanted)


@pytest.mark.parametrize("typed", [True, False], ids=["ml_dtypes", "without"])
def test_bfloat16_is_computed_in_float32_and_rounded_once(torch, monkeypatch, typed):
    """Without ml_dtypes NumPy has no such type, so the tensor is converted to float32 and back."""
    if typed:
        pytest.importorskip("ml_dtypes")
    else:
        monkeypatch.delitem(sys.modules, "ml_dtypes", raising=False)
    x, b = torch.tensor(X).to(torch.bfloat16), torch.tensor(B).to(torch.bfloat16)
    wide = x.float().numpy()
    for got, wanted in (
        (smoothmax.softmax(x, 1), smoothmax.softmax(wide, 1)),
        (smoothmax.logsumexp(x), smoothmax.logsumexp(wide)),
        (smoothmax.logcumsumexp(x.T, 0), smoothmax.logcumsumexp(wide.T, 0)),
        (smoothmax.logsumexp(x, 1, b), smoothmax.logsumexp(wide, 1, b.float().numpy())),
        (smoothmax.logsumexp(x, add=b, scale=0.5), smoothmax.logsumexp(wide, add=b.float().numpy(), scale=0.5)),
    ):
        assert got.dtype == torch.bfloat16
        assert torch.equal(got, torch.from_numpy(np.asarray(wanted)).to(torch.bfloat16))
    assert smoothmax.softmax(x, add=np.float32(1)).dtype == torch.float32
    for dtype in (np.float32, "float32", torch.float32):
        got = smoothmax.softmax(x, 1, dtype=dtype)
        assert got.dtype == torch.float32
        np.testing.assert_array_equal(got.numpy(), smoothmax.softmax(wide, 1))


def test_bfloat16_is_read_in_place_where_numpy_has_the_type(torch):
    pytest.importorskip("ml_dtypes")
    x = torch.tensor(X).to(torch.bfloat16).T
    assert np.shares_memory(libraries.as_numpy(x, "x"), x.view(torch.int16).numpy())


def test_results_in_bfloat16_are_rounded_once(torch):
    x = torch.tensor(X)
    wanted = torch.from_numpy(smoothmax.softmax(X, 1, dtype=np.float32)).to(torch.bfloat16)
    assert torch.equal(smoothmax.softmax(x, 1, dtype=torch.bfloat16), wanted)
    assert smoothmax.logsumexp(x.to(torch.bfloat16), dtype=torch.bfloat16).dtype == torch.bfloat16
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    assert torch.equal(smoothmax.softmax(x, 1, dtype=bfloat16), wanted)


def test_tensors_of_subclasses(torch):
    class Own(torch.Tensor):
        pass

    got = smoothmax.softmax(torch.tensor(X).as_subclass(Own), 1)
    assert isinstance(got, torch.Tensor)
    np.testing.assert_array_equal(got.numpy(), smoothmax.softmax(X, 1))


def test_tensors_that_cannot_be_read_say_what_to_do(torch):
    x = torch.tensor(X)
    cases = [
        (x.clone().requires_grad_(), "must not require a gradient, which is not recorded here: pass {name}.detach()"),
        (torch.nn.Parameter(x), "must not require a gradient, which is not recorded here: pass {name}.detach()"),
        (x.to("meta"), "must have elements, got a tensor on the device meta"),
        (x.to_sparse(), "must be dense, got a tensor of layout torch.sparse_coo: pass {name}.to_dense()"),
    ]
    for tensor, text in cases:
        for call, name in (
            (lambda one: smoothmax.logsumexp(one), "a"),
            (lambda one: smoothmax.logsumexp(X, b=one), "b"),
            (lambda one: smoothmax.softmax(x, add=one), "add"),
            (lambda one: smoothmax.cross_entropy(one, TARGETS), "logits"),
            (lambda one: smoothmax.LogSumExp().update(one), "a"),
        ):
            with pytest.raises(TypeError) as caught:
                call(tensor)
            assert str(caught.value) == f"{name} {text.format(name=name)}"


def test_a_tensor_of_another_device_is_refused(torch):
    """No device but the CPU is here, so a tensor says that it is elsewhere."""

    class Elsewhere(torch.Tensor):
        device = torch.device("cuda:1")

    Elsewhere.__module__ = "torch"
    with pytest.raises(TypeError) as caught:
        smoothmax.softmax(torch.tensor(X).as_subclass(Elsewhere))
    assert str(caught.value) == "x must be on the CPU, got a tensor on cuda:1: pass x.cpu()"


def test_complex_tensors_with_conjugates_not_yet_taken(torch):
    x = torch.tensor(X[0] + 1j * X[1]).conj()
    np.testing.assert_array_equal(smoothmax.logsumexp(x).numpy(), smoothmax.logsumexp(X[0] - 1j * X[1]))


# The array API standard ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize(("name", "arguments", "keywords"), CALLS, ids=IDS)
def test_arrays_of_the_standard_give_arrays_of_their_namespace(name, arguments, keywords, dtype):
    strict = pytest.importorskip("array_api_strict")
    x = (X if dtype is not np.int64 else X * 3).astype(dtype)
    check(strict.asarray, type(strict.asarray(X)), name, arguments, keywords, np.from_dlpack, x)


def test_arrays_of_the_standard_are_read_in_place():
    strict = pytest.importorskip("array_api_strict")
    x = X.copy()
    mine = strict.asarray(x, copy=False)
    assert np.shares_memory(libraries.as_numpy(mine, "x"), x)
    smoothmax.softmax(mine, 1, out=x)
    np.testing.assert_array_equal(np.from_dlpack(mine), smoothmax.softmax(X, 1))


class Elsewhere:
    """An array of the standard that is not in the CPU's memory."""

    device = "a device"

    def __array_namespace__(self):
        return np

    def __dlpack_device__(self):
        return (2, 0)


def test_arrays_of_other_devices_are_refused():
    with pytest.raises(TypeError) as caught:
        smoothmax.softmax(Elsewhere())
    assert str(caught.value) == "x must be on the CPU, got an array on a device: pass a copy that is"


# xarray ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def labelled():
    xarray = pytest.importorskip("xarray")

    def make(x, dims=("time", "class")):
        coordinates = {"time": [10, 20, 30, 40], "class": list("abcde")}
        dims = dims[-x.ndim :] if x.ndim < 2 else dims
        fits = {dim: coordinates[dim] for dim, n in zip(dims, x.shape, strict=True) if n == len(coordinates[dim])}
        x = x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x
        return xarray.DataArray(x, fits, dims[: x.ndim] if x.ndim == 2 or "time" in fits else dims, name="z")

    return make


def test_labels_of_xarray_are_kept(labelled):
    x = labelled(X)
    sums = smoothmax.logsumexp(x, 1)
    assert (sums.dims, sums.name, list(sums.time.values)) == (("time",), "z", [10, 20, 30, 40])
    np.testing.assert_array_equal(sums.values, smoothmax.logsumexp(X, 1))
    kept = smoothmax.logmeanexp(x, -2, keepdims=True)
    assert (kept.dims, kept.shape, list(kept["class"].values)) == (("time", "class"), (1, 5), list("abcde"))
    assert smoothmax.logsumexp(x).dims == smoothmax.cross_entropy(x, TARGETS).dims == ()
    shares = smoothmax.softmax(x, 0)
    assert shares.identical(x.copy(data=smoothmax.softmax(X, 0)))
    assert smoothmax.logsumexp(x, ()).identical(x)
    scan = smoothmax.logcumsumexp(x, 0)
    assert scan.identical(x.copy(data=smoothmax.logcumsumexp(X, 0)))
    parts = smoothmax.segment_logsumexp(x, OFFSETS, 0)
    assert (parts.dims, parts.shape, list(parts.coords)) == (("time", "class"), (2, 5), ["class"])
    np.testing.assert_array_equal(parts.values, smoothmax.segment_logsumexp(X, OFFSETS))
    value, sign = smoothmax.logsumexp(x, 1, return_sign=True)
    assert value.dims == sign.dims == ("time",)
    loss, gradient = smoothmax.cross_entropy_and_grad(x, TARGETS, reduction="none")
    assert (loss.dims, gradient.dims) == (("time",), ("time", "class"))
    targets = labelled(TARGETS, ("time",))
    assert smoothmax.log_prob(x, targets).identical(-loss)
    assert isinstance(smoothmax.logcumsumexp(x), np.ndarray)  # flat: there are no labels for that


def test_xarray_is_broadcast_by_names(labelled):
    x, b = labelled(X), labelled(B, ("class",))
    turned = x.transpose("class", "time")
    for mask in (labelled(MASK), labelled(MASK).transpose("class", "time")):
        got = smoothmax.logsumexp(turned, 0, b, where=mask)
        assert got.dims == ("time",)
        np.testing.assert_array_equal(got.values, smoothmax.logsumexp(X.T, 0, B[:, None], where=MASK.T))
    wider = smoothmax.softmax(b, -1, add=labelled(X[:, 0], ("time",)))
    assert wider.dims == ("class", "time")
    np.testing.assert_array_equal(wider.values, smoothmax.softmax(B[:, None], 0, add=X[:, 0]))
    with pytest.raises(ValueError, match="align"):
        smoothmax.softmax(x, where=labelled(MASK)[1:])


def test_arguments_of_xarray_that_are_not_broadcast(labelled):
    """Offsets count positions; targets and weights of classes belong to dimensions by their names."""
    xarray = pytest.importorskip("xarray")
    x, offsets = labelled(X), xarray.DataArray(OFFSETS, dims="start")
    for name in ("segment_logsumexp", "segment_softmax", "segment_log_softmax"):
        function = getattr(smoothmax, name)
        assert function(x, offsets).identical(function(x, OFFSETS))
        np.testing.assert_array_equal(function(X, offsets), function(X, OFFSETS))
    shares = smoothmax.softmax(x, 1)
    wanted = smoothmax.cross_entropy(X, shares.values, reduction="none")
    got = smoothmax.cross_entropy(x, shares.transpose("class", "time"), reduction="none")
    np.testing.assert_array_equal(got.values, wanted)
    for keywords in ({"targets": labelled(TARGETS, ("time",))[::-1]}, {"targets": shares[::-1]},
                     {"targets": TARGETS, "weight": labelled(B, ("class",))[::-1]}):  # fmt: skip
        with pytest.raises(ValueError, match="align"):
            smoothmax.cross_entropy(x, **keywords)


@pytest.mark.parametrize("axis", [1.0, True, "class", [0], (0, "class")])
def test_axes_of_xarray_are_integers(labelled, axis):
    with pytest.raises(TypeError) as caught:
        smoothmax.logsumexp(labelled(X), axis)
    assert str(caught.value) == f"axis must be None, an int or a tuple of ints, got {axis!r}"


def test_xarray_keeps_attributes_if_it_is_told_to(labelled):
    xarray = pytest.importorskip("xarray")
    x = labelled(X).assign_attrs(source="here")
    for keep in (True, False):
        with xarray.set_options(keep_attrs=keep):
            for result in (smoothmax.softmax(x, 1), smoothmax.logsumexp(x, 1)):
                assert result.attrs == ({"source": "here"} if keep else {})


def test_xarray_over_dask_is_lazy(labelled):
    da = pytest.importorskip("dask.array")
    x = labelled(X).chunk(2)
    for result, wanted in (
        (smoothmax.logsumexp(x, 1), smoothmax.logsumexp(X, 1)),
        (smoothmax.softmax(x, 0), smoothmax.softmax(X, 0)),
        (smoothmax.logcumsumexp(x, 0), smoothmax.logcumsumexp(X, 0)),
        (smoothmax.segment_logsumexp(x, OFFSETS), smoothmax.segment_logsumexp(X, OFFSETS)),
    ):
        assert isinstance(result.data, da.Array)
        np.testing.assert_allclose(result.compute(scheduler="sync").values, wanted, rtol=1e-14)


def test_xarray_over_dask_is_not_computed_unasked(labelled):
    pytest.importorskip("dask.array")
    x = labelled(X).chunk(2)
    for name, call in (
        ("x", lambda: smoothmax.softmax(x, out=np.zeros(X.shape))),
        ("b", lambda: smoothmax.logsumexp(X, b=x)),
        ("a", lambda: smoothmax.logmatmulexp(x, X.T)),
        ("b", lambda: smoothmax.logmatmulexp(X.T, x)),
        ("a", lambda: smoothmax.LogSumExp().update(x)),
    ):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value) == (
            f"{name} must be in memory, got a DataArray of a dask array: pass its compute(), or its data to a function "
            "of smoothmax.dask"
        )


# pandas ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def frame():
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(X, index=[10, 20, 30, 40], columns=list("abcde"))


def test_labels_of_pandas_are_kept(frame):
    pandas = pytest.importorskip("pandas")

    def equal(got, value, **labels):
        kind = pandas.DataFrame if "columns" in labels else pandas.Series
        wanted = kind(value, **labels)
        assert type(got) is kind
        (pandas.testing.assert_frame_equal if "columns" in labels else pandas.testing.assert_series_equal)(got, wanted)

    index, columns = frame.index, frame.columns
    named = frame.rename(columns={"a": "magnitude", "b": "units", "c": "nnz", "d": "dask", "e": "dims"})
    equal(smoothmax.softmax(named, 1), smoothmax.softmax(X, 1), index=index, columns=named.columns)
    assert smoothmax.LogSumExp().update(named).result() == smoothmax.logsumexp(X)
    equal(smoothmax.softmax(frame, 1), smoothmax.softmax(X, 1), index=index, columns=columns)
    equal(smoothmax.logsumexp(frame, 1), smoothmax.logsumexp(X, 1), index=index)
    equal(smoothmax.logsumexp(frame, 0), smoothmax.logsumexp(X, 0), index=columns)
    kept = smoothmax.logsumexp(frame, 1, keepdims=True)
    equal(kept, smoothmax.logsumexp(X, 1, keepdims=True), index=index, columns=range(1))
    parts = smoothmax.segment_logsumexp(frame, OFFSETS)
    equal(parts, smoothmax.segment_logsumexp(X, OFFSETS), index=range(2), columns=columns)
    loss, gradient = smoothmax.cross_entropy_and_grad(frame, TARGETS, reduction="none")
    wanted = smoothmax.cross_entropy_and_grad(X, TARGETS, reduction="none")
    equal(loss, wanted[0], index=index)
    equal(gradient, wanted[1], index=index, columns=columns)
    series = frame["b"]
    equal(smoothmax.log_softmax(series), smoothmax.log_softmax(X[:, 1]), index=index, name="b")
    equal(smoothmax.logcumsumexp(series), smoothmax.logcumsumexp(X[:, 1]), index=index, name="b")
    for scalar in (smoothmax.logsumexp(series), smoothmax.logsumexp(frame), smoothmax.cross_entropy(frame, TARGETS)):
        assert type(scalar) is np.float64
    assert type(smoothmax.logcumsumexp(frame)) is np.ndarray  # flat: there are no labels for that
    assert type(smoothmax.softmax(frame, add=np.zeros((2, 1, 1)))) is np.ndarray


def test_products_have_no_labels(frame):
    got = smoothmax.logmatmulexp(frame, frame.T)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, smoothmax.logmatmulexp(X, X.T))


@pytest.mark.parametrize("kind", ["Series", "DataFrame", "DataArray"])
def test_labels_cost_no_copy(kind):
    if kind == "DataArray":
        x = pytest.importorskip("xarray").DataArray(np.zeros((1000, 1000)))
    else:
        x = getattr(pytest.importorskip("pandas"), kind)(np.zeros((1000, 1000) if kind == "DataFrame" else 1_000_000))
    smoothmax.softmax(x)
    tracemalloc.start()
    try:
        result = smoothmax.softmax(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert type(result) is type(x)
    assert peak < 1.1 * 8e6


def test_other_labels_are_refused_because_places_would_decide(frame):
    weights = frame.iloc[:, ::-1].abs()
    with pytest.raises(ValueError, match="labels") as caught:
        smoothmax.logsumexp(frame, 1, weights)
    assert str(caught.value) == "b must have the labels of a, got others: reindex it, or pass its to_numpy()"
    got = smoothmax.logsumexp(frame, 1, weights.reindex(columns=frame.columns))
    np.testing.assert_array_equal(got, smoothmax.logsumexp(X, 1, np.abs(X)))
    row = frame.iloc[0].abs()
    np.testing.assert_array_equal(smoothmax.logsumexp(frame, 1, row), smoothmax.logsumexp(X, 1, np.abs(X[0])))


def test_labels_of_targets_weights_and_offsets(frame):
    """Targets have the labels of positions, weights those of classes, and offsets labels of their own."""
    pandas = pytest.importorskip("pandas")
    offsets, targets = pandas.Series(OFFSETS), pandas.Series(TARGETS, index=frame.index)
    for name in ("segment_logsumexp", "segment_softmax", "segment_log_softmax"):
        for x in (frame, frame["a"]):
            function = getattr(smoothmax, name)
            np.testing.assert_array_equal(function(x, offsets), function(x.to_numpy(), OFFSETS))
    weight = pandas.Series(B, index=frame.columns)
    wanted = smoothmax.cross_entropy(X, TARGETS, weight=B)
    assert smoothmax.cross_entropy(frame, targets, weight=weight) == wanted
    assert smoothmax.cross_entropy(frame.T, targets, axis=0, weight=weight) == wanted
    shares = smoothmax.softmax(frame, 1)
    assert smoothmax.cross_entropy(frame, shares) == smoothmax.cross_entropy(X, shares.to_numpy())
    for name, keywords in (("targets", {"targets": targets[::-1]}), ("targets", {"targets": shares[::-1]}),
                           ("weight", {"targets": targets, "weight": weight[::-1]})):  # fmt: skip
        with pytest.raises(ValueError, match="labels") as caught:
            smoothmax.cross_entropy(frame, **keywords)
        assert str(caught.value) == (
            f"{name} must have the labels of logits, got others: reindex it, or pass its to_numpy()"
        )


def test_subclasses_of_pandas_stay_what_they_are():
    pandas = pytest.importorskip("pandas")

    class Own(pandas.Series):
        @property
        def _constructor(self):
            return Own

    assert type(smoothmax.softmax(Own(X[0]))) is Own


def test_missing_values_of_pandas_are_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"^x must be an array of numbers, got dtype object; "):
        smoothmax.softmax(pandas.Series(["one", 2.0], dtype=object))


# polars ---------------------------------------------------------------------------------------------------------------


def test_columns_of_polars_give_columns():
    polars = pytest.importorskip("polars")
    x = polars.Series("z", X[0])
    for name in ("softmax", "log_softmax", "logcumsumexp"):
        got = getattr(smoothmax, name)(x)
        assert isinstance(got, polars.Series)
        assert got.name == "z"
        np.testing.assert_array_equal(got.to_numpy(), getattr(smoothmax, name)(X[0]))
    assert type(smoothmax.softmax(x, dtype=np.longdouble)) is np.ndarray
    assert smoothmax.logsumexp(x, b=polars.Series(B)) == smoothmax.logsumexp(X[0], b=B)
    with pytest.raises(TypeError) as caught:
        smoothmax.softmax(polars.Series([1.0, None]))
    assert str(caught.value) == "x must have no nulls, got 1: pass x.fill_null() or x.drop_nulls()"


# All ------------------------------------------------------------------------------------------------------------------


class Quantity:
    """As pint's: numbers with units, and an __array__ that drops these."""

    magnitude, units = X, "kcal/mol"

    def __array__(self, *_, **__):
        return X


def test_units_are_refused():
    with pytest.raises(TypeError) as caught:
        smoothmax.logsumexp(Quantity())
    text = "a must not have units, got Quantity: pass its magnitude in the units that are meant"
    assert str(caught.value) == text


def test_nothing_is_imported_that_the_user_did_not_import():
    script = """
        import sys, numpy as np, smoothmax
        class Array:
            def __array__(self, *_, **__): return np.ones(3)
        for x in ([1.0, 2.0], 1.0, np.float32(1), np.ones(3), Array(), memoryview(np.ones(3)), range(3)):
            smoothmax.logsumexp(x), smoothmax.softmax(x, where=[True]), smoothmax.cross_entropy(np.ones(2), 1)
        libraries = {"torch", "xarray", "pandas", "polars", "dask", "array_api_strict"}
        assert not libraries & {name.partition(".")[0] for name in sys.modules}
        assert type(smoothmax.softmax(Array())) is np.ndarray
    """
    subprocess.run([sys.executable, "-c", script.replace("\n        ", "\n")], check=True)


# Products, which have two main arguments ------------------------------------------------------------------------------

FACTOR = RNG.normal(size=(5, 6)) * 5


def check_product(make, kind):
    wanted = smoothmax.logmatmulexp(X, FACTOR)
    for a, b in ((make(X), make(FACTOR)), (X, make(FACTOR)), (make(X), FACTOR)):
        got = smoothmax.logmatmulexp(a, b)
        assert isinstance(got, kind)
        np.testing.assert_array_equal(np.asarray(got), wanted)
        out = np.empty((4, 6))
        assert smoothmax.logmatmulexp(a, b, out=out) is out
        np.testing.assert_array_equal(out, wanted)


def test_products_of_tensors_of_every_type(torch):
    check_product(torch.from_numpy, torch.Tensor)
    a, b = (torch.from_numpy(x).to(torch.bfloat16) for x in (X, FACTOR))
    got = smoothmax.logmatmulexp(a, b)
    assert got.dtype == torch.bfloat16
    np.testing.assert_array_equal(
        got.float(),
        torch.from_numpy(smoothmax.logmatmulexp(a.float().numpy(), b.float().numpy())).to(got.dtype).float(),
    )
    assert smoothmax.logmatmulexp(a, torch.from_numpy(FACTOR), dtype=torch.float32).dtype == torch.float32
    with pytest.raises(TypeError, match=r"b must not require a gradient"):
        smoothmax.logmatmulexp(X, torch.from_numpy(FACTOR).requires_grad_())


def test_products_of_arrays_with_a_namespace():
    strict = pytest.importorskip("array_api_strict")
    check_product(strict.asarray, type(strict.asarray(X)))


def test_labels_do_not_go_through_a_product():
    pandas = pytest.importorskip("pandas")
    got = smoothmax.logmatmulexp(pandas.DataFrame(X, index=list("abcd")), FACTOR)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, smoothmax.logmatmulexp(X, FACTOR))
