"""The pytest plugin in other people's tests."""

import subprocess
import sys

import pytest

TESTS = """
import numpy as np
from minigan import nn


class Wrong(nn.Dense):
    def input_grad(self, dy, cache):
        return -super().input_grad(dy, cache)


def test_right(assert_gradients):
    assert_gradients(nn.Dense(3), in_shape=(4,))
    assert_gradients((lambda x: (x * x, x), lambda dy, x: 2 * dy * x), np.ones((2, 3)))


def test_wrong(assert_gradients):
    assert_gradients(Wrong(3), in_shape=(4,))


def test_large(assert_gradients):
    assert_gradients(Wrong(3), in_shape=(4,), elementwise=0)
"""


STARTS = "import sys, pytest; [(pytest.main(words.split()), print('END', flush=True)) for words in sys.argv[1:]]"


@pytest.fixture(scope="module")
def pytest_in(tmp_path_factory):
    """A function: what pytest says in a folder, for each of some command lines, in one process."""

    def run(*lines):
        folder = tmp_path_factory.mktemp("theirs")
        (folder / "test_theirs.py").write_text(TESTS)
        words = [f"-p minigan.pytest_plugin -p no:randomly -q {line}" for line in lines]
        command = [sys.executable, "-c", STARTS, *words]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return folder, ended.stdout.split("END\n")[:-1]

    return run


@pytest.fixture(scope="module")
def said_of(pytest_in):
    lines = "", "--collect-only"
    return dict(zip(lines, pytest_in(*lines)[1], strict=True))


def test_a_failing_gradient_shows_the_report_and_no_traceback(said_of):
    said = said_of[""]
    assert "1 passed" in said
    assert "2 failed" in said
    assert "→ x: the sign is wrong: every entry is the negative of what it should be" in said
    assert "WRONG" in said
    assert "minigan/gradcheck" not in said
    # 2·(20 + 12 + 3) of Dense, 6 of the square, 2·35 of Wrong, 2·3·5 directions; 2·5 pairs of Dense and of each Wrong,
    # and Dense's tangent along 2·3·5 directions
    assert "gradients: 7 checks of 236 entries, 0 undecided, 0 at kinks" in said


@pytest.mark.slow
def test_pictures_of_failures_are_drawn_where_asked(pytest_in):
    folder, (said,) = pytest_in("--gradient-pictures pictures")
    names = sorted(path.name for path in (folder / "pictures").iterdir())
    assert names == ["test_wrong-0.png", "test_wrong-1.png"]
    assert all((folder / "pictures" / name).read_bytes().startswith(b"\x89PNG") for name in names)
    assert "test_wrong-0.png" in said
    assert "nothing to draw" in said


def test_a_run_without_gradients_says_nothing_of_them(said_of):
    assert "3 tests collected" in said_of["--collect-only"]
    assert "gradients:" not in said_of["--collect-only"]
