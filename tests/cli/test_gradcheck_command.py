"""minigan gradcheck, on recipes and on other people's files."""

import re
import sys

import numpy as np
import pytest

from minigan import nn
from minigan.cli.gradcheck import check_and_print
from minigan.cli.main import main
from minigan.gradcheck import check_gradients

THEIRS = """
import numpy as np
from minigan import nn

class Square(nn.Layer):
    def forward(self, x, *, train, rng=None):
        return x * x, x
    def input_grad(self, dy, cache):
        return 2 * dy * cache

class Wrong(Square):
    def input_grad(self, dy, cache):
        return dy * cache

class Raises(Square):
    def input_grad(self, dy, cache):
        return dy @ cache

layer = Square()

def network():
    return nn.Sequential([nn.Dense(3), Square()], (2,), rng=np.random.default_rng(0))

class Half(nn.Layer):
    def forward(self, x, *, train, rng=None):
        return x, None

def leaves():
    raise SystemExit(0)

def mean_square(x):
    return (x * x).mean(), 2 * x / x.size

def pair():
    return (lambda x, w: (x @ w, (x, w))), (lambda dy, c: (dy @ c[1].T, c[0].T @ dy)), np.ones((2, 3)), np.eye(3)

def at_a_corner():
    x = np.maximum(np.arange(35.0) - 2, 0)
    high = np.where(x > 30, 1e8, 0)
    return (lambda x: (np.maximum(x, 0) + high, x)), (lambda dy, x: dy * (x > 0)), x
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    (tmp_path / "theirs_file.py").write_text(THEIRS)
    (tmp_path / "script_file.py").write_text("import sys\nlayer = 0\nsys.exit(0)\n")
    (tmp_path / "broken_file.py").write_text("import nothing_of_that_name\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gradcheck(*args):
    """The exit code."""
    try:
        main(["gradcheck", *args])
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.mark.parametrize(
    "args",
    [
        ("theirs_file.py:layer", "--in-shape", "4,7"),
        ("theirs_file.py:Square", "--in-shape", "4"),
        ("theirs_file:Square", "--in-shape=4"),
        ("theirs_file.py:network",),
        ("theirs_file.py:mean_square", "--in-shape", "3", "--batch", "2"),
        ("theirs_file.py:pair", "--seed", "3"),
        ("minigan.nn:Sigmoid", "--in-shape", "2,3"),
    ],
)
def test_right_gradients_exit_with_0(args, theirs, capsys):
    assert gradcheck(*args) == 0
    said = capsys.readouterr().out
    assert "checks passed" in said
    assert "FAILED" not in said


def test_a_wrong_gradient_exits_with_1_and_names_the_cause(theirs, capsys):
    assert gradcheck("theirs_file.py:Wrong", "--in-shape", "4", "--picture", "errors.png") == 1
    said = capsys.readouterr().out
    assert "→ x: a constant factor: every entry is 0.5 times what it should be" in said
    assert "2 of 2 checks FAILED" in said
    assert (theirs / "errors.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_line_counts_what_was_checked(theirs, capsys):
    assert gradcheck("theirs_file.py:at_a_corner") == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(
        r"1 of 1 checks FAILED: 35 entries and directions, 2 undecided, 3 at kinks, \d{1,2}\.\d s", line
    ), line


def test_in_a_pipe_a_report_is_printed_as_its_text(theirs, capsys):
    class Of(nn.Layer):
        """A name that is longer than a line."""

        def __repr__(self):
            return f"Of({'many features ' * 12})"

        def forward(self, x, *, train, rng=None):
            return 2 * x, None

        def input_grad(self, dy, cache):
            return dy

    assert not check_and_print({"of": Of()}, in_shape=(2,), batch=None, seed=0, picture=None)
    assert str(check_gradients(Of(), in_shape=(2,))[0]) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("nothing",), "unknown recipe 'nothing'; known: best, quick-mlp"),
        (("quick-mpl",), "did you mean quick-mlp?"),
        (("missing.py:layer",), "there is no file missing.py"),
        (("theirs_file.py:layr",), "unknown name in theirs_file.py 'layr'; did you mean layer?"),
        (("theirs_file.py:",), "names nothing to check; write a recipe, module:NAME or file.py:NAME"),
        (("broken_file.py:x",), "broken_file.py cannot be imported: ModuleNotFoundError: No module named 'nothing_of_"),
        (("theirs_file.py:layer",), "Square() needs in_shape"),
        (
            ("theirs_file.py:layer", "--in-shape", "4x"),
            "--in-shape must be whole numbers, got '4x'",
        ),
        (("theirs_file.py:Raises", "--in-shape", "4"), "raised ValueError: matmul"),
        (("minigan.errors:check_choice", "--in-shape", "4"), "missing 2 required positional arguments"),
        (("theirs_file.py:np",), "a module cannot be checked"),
        (("script_file.py:layer",), "script_file.py cannot be imported: SystemExit: 0 (script_file.py, line 3)"),
        (("theirs_file.py:leaves",), "theirs_file.py:leaves raised SystemExit: 0"),
        (("theirs_file.py:Half", "--in-shape", "4"), "Half has no input_grad"),
        (("theirs_file.py:layer", "--in-shape", "4", "--picture", "a.jpg"), "--picture must end in .png, got a.jpg"),
        (("theirs_file.py:layer", "--in-shape", "4", "--batch", "0"), "--batch at least 1, got 0, 0"),
        (("theirs_file.py:layer", "--in-shape", "4", "--seed", "-1"), "--seed must not be negative"),
        (("quick-mlp", "--batches", "3"), "unknown flag '--batches'; did you mean --batch?"),
    ],
)
def test_a_mistake_ends_in_one_line_and_exit_code_2(args, said, theirs, capsys):
    assert gradcheck(*args) == 2
    _, err = capsys.readouterr()
    assert said in err
    assert err.count("\n") == 1


BESIDE = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from minigan import nn
from beside_own_file import act

@dataclass
class Options:
    slope: float = 2.0

class Mine(nn.Layer):
    def forward(self, x, *, train, rng=None):
        y = act(Options().slope * x)
        return y, y
    def input_grad(self, dy, cache):
        from later_own_file import derivative
        return Options().slope * dy * derivative(cache)
"""


@pytest.fixture
def own_files(tmp_path, monkeypatch):
    """A file that imports two others which lie beside it, one of them only in a method, and has a dataclass."""
    folder = tmp_path / "own files"
    folder.mkdir()
    (folder / "own_file.py").write_text(BESIDE)
    (folder / "beside_own_file.py").write_text("import numpy as np\n\ndef act(x):\n    return np.tanh(x)\n")
    (folder / "later_own_file.py").write_text("def derivative(y):\n    return 1 - y * y\n")
    monkeypatch.chdir(tmp_path)
    yield folder
    for name in ("own_file", "beside_own_file", "later_own_file"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("where", ["own files/own_file.py", "./own files/own_file.py", "absolute", "module"])
def test_a_file_finds_what_lies_beside_it_wherever_it_is_checked_from(where, own_files, monkeypatch, capsys):
    if where == "module":
        monkeypatch.chdir(own_files)
    what = {"absolute": str(own_files / "own_file.py"), "module": "own_file"}.get(where, where)
    assert gradcheck(f"{what}:Mine", "--in-shape", "4") == 0, capsys.readouterr().err


def test_a_file_of_the_name_of_a_module_in_use_does_not_take_its_place(own_files, capsys):
    (own_files / "numpy.py").write_text(BESIDE)
    assert gradcheck(f"{own_files / 'numpy.py'}:Mine", "--in-shape", "4") == 0
    assert sys.modules["numpy"] is np


def test_a_file_that_fails_to_import_leaves_no_half_of_it_behind(own_files, capsys):
    (own_files / "own_file.py").write_text("HALF = 1\nraise ValueError('no')\n")
    assert gradcheck(f"{own_files / 'own_file.py'}:HALF") == 2
    assert "own_file" not in sys.modules


def test_a_file_of_a_package_is_told_the_name_to_give(own_files, capsys):
    (own_files / "__init__.py").touch()
    (own_files / "own_file.py").write_text(BESIDE.replace("from beside", "from .beside"))
    assert gradcheck(f"{own_files / 'own_file.py'}:Mine", "--in-shape", "4") == 2
    err = capsys.readouterr().err
    assert err.endswith(f"name it as a module, from {own_files.parent}: own files.own_file:NAME\n")
    assert err.count("\n") == 1


def test_the_line_of_their_code_that_raised_is_named(theirs, capsys):
    gradcheck("theirs_file.py:Raises", "--in-shape", "4")
    line = THEIRS.splitlines().index("        return dy @ cache") + 1
    assert f"(theirs_file.py, line {line})" in capsys.readouterr().err


def test_a_picture_that_cannot_be_drawn_stops_nothing(theirs, capsys):
    assert gradcheck("theirs_file.py:Wrong", "--in-shape", "1000", "--picture", "new/one/errors.png") == 1
    said = capsys.readouterr().out
    assert "No picture: there is nothing to draw" in said
    assert "2 of 2 checks FAILED" in said


@pytest.mark.slow
def test_a_recipe_is_checked_small_and_at_its_published_size(capsys):
    assert gradcheck("pytorch-mlp") == 0
    said = capsys.readouterr().out
    for title in ("D's step (small)", "G's step (small)", "D's step (published size)", "G's step (published size)"):
        assert f"pytorch-mlp, {title}: passed" in said
    assert "all 4 checks passed" in said


def test_the_same_seed_gives_the_same_report(theirs, capsys):
    reports = []
    for seed in ("1", "1", "2"):
        gradcheck("theirs_file.py:network", "--seed", seed)
        reports.append(capsys.readouterr().out.split("all 2 checks")[0])
    assert reports[0] == reports[1] != reports[2]
