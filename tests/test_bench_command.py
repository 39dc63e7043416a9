"""python -m smoothmax bench measures the shapes that are asked for, and prints a table or JSON or draws a picture."""

import json
import re
import sys

import numpy as np
import pytest

import smoothmax
from smoothmax.__main__ import main
from smoothmax._cli import bench
from smoothmax._cli import compare as _compare


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_compare, "SECONDS", 0)
    monkeypatch.setattr(_compare, "ROUNDS", 1)


def test_table_has_a_line_for_each_function_type_and_shape(capsys):
    assert main(["bench", "--shape", "4,7", "--shape", "5", "--axis", "0", "--dtype", "float32"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split()[:2] for line in out.splitlines() if " x " in line]
    assert lines == [[name, "float32"] for name in ("logsumexp", "softmax", "log_softmax")] * 2
    assert re.search(r"\(4, 7\) +0 ", out)
    assert re.search(r"\(5,\) +0 ", out)
    assert err == ""


def test_json_has_the_figures_and_the_configuration(capsys):
    assert main(["bench", "--shape", "4,7", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["configuration"]["Kernels"]["variant"]
    records = found["measured"]
    assert [(r["function"], r["dtype"], r["shape"], r["axis"]) for r in records] == [
        (name, dtype, [4, 7], 1) for dtype in ("float64", "float32") for name in ("logsumexp", "softmax", "log_softmax")
    ]
    for record in records:
        assert set(record["seconds"]) == {"smoothmax", "numpy", "scipy"}
        assert min(record["seconds"].values()) > 0
        assert record["ulp"]["smoothmax"] is None or record["ulp"]["smoothmax"] <= 2


def test_plot_is_a_picture(capsys, tmp_path):
    assert main(["bench", "--shape", "4,7", "--dtype", "float64", "--plot", "out.png"]) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "softmax" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the following arguments are required: --shape"),
        (["--shape", "4,x"], "shape must be positive integers separated by commas, got '4,x'"),
        (["--shape", "4,0"], "shape must be positive integers separated by commas, got '4,0'"),
        (["--shape", "9" * 30], f"shape must be one that an array can have, got ({'9' * 30},)"),
        (["--shape", f"{2**40},{2**40}"], f"shape must be one that an array can have, got ({2**40}, {2**40})"),
        (["--shape", "4", "--axis", "1"], "axis 1 is out of bounds for shape (4,)"),
        (["--shape", "4", "--axis", "0,1"], "axis must be one integer"),
        (["--shape", "4", "--axis", "none"], "axis must be one integer"),
    ],
)
def test_wrong_arguments_are_refused(capsys, options, message):
    assert main(["bench", *options]) == 2
    assert capsys.readouterr() == ("", f"smoothmax: error: {message}\n")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere/out.png", "there is no folder 'nowhere'"),
        ("out.unknown", "its ending must be one of ."),
        ("out", "its ending must be one of ."),
    ],
)
def test_a_plot_that_cannot_be_written_is_refused_before_the_measuring(capsys, name, reason):
    assert main(["bench", "--shape", "4", "--dtype", "float64", "--plot", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"smoothmax: error: cannot write '{name}': {reason}")


def test_a_plot_says_what_was_measured_and_on_what():
    first, second = bench.heading(["NumPy"]).splitlines()
    assert first == f"smoothmax {smoothmax.__version__}, NumPy {np.__version__}"
    with smoothmax.num_threads(1):
        assert bench.heading([]).endswith(", 1 thread")
    assert smoothmax.show_config("dicts")["Kernels"]["variant"] in second


def test_a_plot_has_a_title():
    pytest.importorskip("matplotlib")
    figure = bench.empty_figure("out.png")
    records = _compare.compare([((4,), 0)], ["float64"], quiet=True)
    bench.draw_bars(figure, records)
    title, *on_what = figure.axes[0].get_title().splitlines()
    assert title == "Time of a call, as a multiple of smoothmax's"
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["NumPy", "SciPy"]
    assert on_what == bench.heading(names).splitlines()


def test_a_plot_needs_matplotlib(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["bench", "--shape", "4", "--plot", "out.png"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("smoothmax: error: --plot needs Matplotlib: ")
