"""What is around the loops: numba may be missing, broken or new here, and the disk full, read-only or damaged."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from minigan.backend import Elementwise, loops
from minigan.backend.arrays import Array
from minigan.cli import machine

X = np.linspace(-1, 1, 4096, dtype=np.float32)


def compiles(test):
    return pytest.mark.extra(pytest.mark.skipif(not loops.FAST, reason="no numba, or MINIGAN_FAST=0")(test))


def hinge(xp, x: "Array", margin: "float") -> "Array":
    return xp.maximum(margin - x, 0)


def check_hinge(tell=lambda line: None):
    """A hinge of its own each time, as in another process: whatever it knows is on the disk."""
    with loops.told_of_compiling(tell):
        y = Elementwise(hinge)(X, 0.5)
    assert np.array_equal(y, np.maximum(np.float32(0.5) - X, 0))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder where loops are kept, empty at first."""
    from numba.core import config

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    return tmp_path


# Which way -----------------------------------------------------------------------------------------------------------

#: What a process finds in which `numba` is no more than this file.
FOUND = """
import minigan, numpy as np
from minigan.backend import loops
from minigan.cli.machine import elementwise_way
from minigan.nn import Dense, LeakyReLU, Sequential
net = Sequential([Dense(100), LeakyReLU(slope=0.2)], (50,), rng=np.random.default_rng(0))
with loops.told_of_compiling(print):
    assert net(np.ones((64, 50), np.float32)).shape == (64, 100)
print(loops.done_by("cpu"), elementwise_way(), sep="\\n")
"""


@pytest.mark.parametrize(
    ("numba", "error"),
    [
        ("raise ImportError('Numba needs NumPy 2.5 or less. Got NumPy 2.6.')", "Numba needs NumPy 2.5 or less."),
        ("import ctypes; ctypes.CDLL('llvmlite.so')", "llvmlite.so"),  # an OSError
    ],
)
def test_a_numba_that_cannot_be_imported_leaves_the_work_to_numpy_and_info_says_why(numba, error, tmp_path):
    (tmp_path / "numba.py").write_text(numba)
    environment = {name: value for name, value in os.environ.items() if name != "MINIGAN_FAST"}
    places = [str(tmp_path), *sys.path]
    environment["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
    done = subprocess.run([sys.executable, "-c", FOUND], env=environment, capture_output=True, text=True, check=True)
    by, info = done.stdout.splitlines()
    assert by == "NumPy"
    assert info.startswith("NumPy (numba cannot be imported: ")
    assert error in info
    assert info.endswith("-m pip install --upgrade numba")


def test_info_says_which_way_elementwise_work_is_done_and_how_to_have_the_other(monkeypatch):
    monkeypatch.setattr(loops, "FAST", False)
    monkeypatch.delenv("MINIGAN_FAST", raising=False)
    assert machine.elementwise_way().startswith("NumPy (numba is not installed); ")
    assert f"{sys.executable} -m pip install --upgrade numba" in machine.elementwise_way()
    monkeypatch.setenv("MINIGAN_FAST", "0")
    assert dict(machine.facts())["elementwise"] == "NumPy (MINIGAN_FAST=0)"
    monkeypatch.setattr(loops, "why_no_loops", lambda: "")
    monkeypatch.setattr(loops, "done_by", lambda device: "numba 9")
    monkeypatch.setattr(machine, "CORES", 2)
    assert machine.elementwise_way() == "loops compiled by numba 9, 2 cores"


@pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="numba is not installed")
@pytest.mark.parametrize(("value", "fast"), [("0", "False"), ("1", "True"), (None, "True")])
def test_an_environment_variable_turns_loops_off(value, fast):
    environment = {name: text for name, text in os.environ.items() if name != "MINIGAN_FAST"}
    code = "import sys; from minigan.backend.loops import FAST; print(FAST, 'numba' in sys.modules)"
    environment |= {"MINIGAN_FAST": value} if value else {}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [fast, "False"]  # nor is numba imported before a loop is needed


def test_on_a_gpu_elementwise_work_is_its_librarys(monkeypatch):
    assert loops.done_by("gpu") == "CuPy"
    monkeypatch.setattr(loops, "FAST", False)
    assert loops.done_by("cpu") == "NumPy"


# Compiled once, and told ---------------------------------------------------------------------------------------------


@compiles
def test_a_loop_is_compiled_once_on_a_machine_which_is_told_and_read_from_the_disk_after_that(kept):
    first, again = [], []
    check_hinge(first.append)
    assert first[0] == "Compiling loops for the elementwise work on this machine"
    assert first[1].startswith("1 loop compiled, once: ")
    assert first[1].endswith(" s")
    check_hinge(again.append)
    assert again == []


@compiles
def test_without_a_folder_to_keep_them_in_loops_are_compiled_at_every_start_and_it_is_said_so(monkeypatch):
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    for _ in range(2):
        lines = []
        check_hinge(lines.append)
        assert lines[1].startswith("1 loop compiled, at every start, as no folder can be written (")


@compiles
def test_a_folder_that_is_none_does_not_keep_loops_from_being_compiled(tmp_path, monkeypatch):
    from numba.core import config

    (tmp_path / "file").touch()
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "file" / "folder"))
    check_hinge()


@compiles
def test_a_full_disk_does_not_keep_loops_from_being_compiled(kept, monkeypatch):
    from numba.core import caching

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_open_for_write", full)
    check_hinge()
    assert not [*kept.rglob("*.nbi")]


@compiles
@pytest.mark.parametrize("end", ["nbi", "nbc"])
def test_a_damaged_file_is_compiled_anew_and_made_good(end, kept):
    check_hinge()
    (damaged,) = kept.rglob(f"*.{end}")
    damaged.write_bytes(damaged.read_bytes()[:9])
    anew, again = [], []
    check_hinge(anew.append)
    check_hinge(again.append)
    assert (len(anew), len(again)) == (2, 0)


def test_where_there_are_no_loops_nothing_is_told(monkeypatch):
    monkeypatch.setattr(loops, "FAST", False)
    lines = []
    check_hinge(lines.append)
    assert lines == []
