"""What the one door leads to: which check a target gets, at which arrays, and how a name is turned into a target."""

import sys
from pathlib import Path

import numpy as np
import pytest

from minigan.errors import ArgumentError
from minigan.gradcheck import anything, games
from minigan.gradcheck.anything import assert_gradients, check_gradients, is_function, required
from minigan.gradcheck.report import Report
from minigan.nn import Dense, Sequential, Tanh
from minigan.recipes import RECIPES
from minigan.recipes.loading import in_package, load_file, load_object, look_first_in, where_raised

X = np.ones((2, 3))
NET = Sequential([Dense(2)], (3,), rng=np.random.default_rng(0))


def forward(x, w=None):
    return x, None


def backward(dy, cache):
    return dy


def loss(x):
    return x.sum(), np.ones_like(x)


class Tanhs(Tanh):
    """Whose class makes one without arguments."""


@pytest.fixture
def checks(monkeypatch):
    """The calls of the checks, each in the place of the check: (name, arguments, options)."""
    calls = []

    def standing_in(name):
        def check(*args, **options):
            calls.append((name, args, options))
            return [Report("trial")] if name == "check_recipe" else Report("trial")

        return check

    for name in ("check_layer", "check_network", "check_pair", "check_loss"):
        monkeypatch.setattr(anything, name, standing_in(name))
    monkeypatch.setattr(games, "check_recipe", standing_in("check_recipe"))
    return calls


# Which check a target gets --------------------------------------------------------------------------------------------

LAYER, RECIPE = Dense(2), RECIPES["pytorch-mlp"]
CALLS = {
    "a layer": (LAYER, (), {"in_shape": (3,)}, "check_layer", (LAYER, (3,)), {"batch": 5}),
    "a network": (NET, (), {"batch": 7}, "check_network", (NET,), {"batch": 7}),
    "a recipe": (RECIPE, (), {}, "check_recipe", (RECIPE,), {"batch": 4}),
    "a recipe and a batch": (RECIPE, (), {"batch": 1}, "check_recipe", (RECIPE,), {"batch": 1}),
    "what makes a recipe": (lambda: RECIPE, (), {"seed": 2}, "check_recipe", (RECIPE,), {"batch": 4, "seed": 2}),
    "a pair": ((forward, backward), (X, 2), {}, "check_pair", (forward, backward, X, 2), {}),
    "a list": ([forward, backward], (X,), {}, "check_pair", (forward, backward, X), {}),
    "a pair with arrays": ((forward, backward, X), (3,), {}, "check_pair", (forward, backward, X, 3), {}),
    "what makes a pair": (lambda: (forward, backward, X), (), {}, "check_pair", (forward, backward, X), {}),
    "a loss": (loss, (X,), {"elementwise": 9}, "check_loss", (loss, X), {"elementwise": 9}),
    "a class": (Tanhs, (), {"in_shape": (3,)}, "check_layer", None, {"batch": 5}),
    "what needs no argument, at an array": (lambda x=1: x, (X,), {}, "check_loss", None, {}),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_target_gets_its_check(name, checks):
    target, arrays, options, check, args, given = CALLS[name]
    reports = check_gradients(target, *arrays, **options)
    modes = [{"train": True}, {"train": False}] if check in ("check_layer", "check_network") else [{}]
    assert [(called, options) for called, _, options in checks] == [
        (check, {"seed": 0, **mode, **given}) for mode in modes
    ]
    for _, called, _ in checks:
        assert args is None or [*called] == [*args]
    assert len(reports) == len(modes)


def test_a_class_makes_what_is_checked(checks):
    check_gradients(Tanhs, in_shape=(3,))
    assert all(isinstance(layer, Tanhs) for _, (layer, _), _ in checks)


@pytest.mark.parametrize(("target", "check"), [(loss, "check_loss"), ((forward, backward), "check_pair")])
def test_without_arrays_a_function_is_checked_at_probabilities(target, check, checks):
    check_gradients(target, in_shape=(40, 50))
    check_gradients(target, in_shape=(40, 50))
    check_gradients(target, in_shape=(4,), seed=1, batch=9)
    x, again, other = (args[-1] for _, args, _ in checks)
    assert [name for name, _, _ in checks] == [check] * 3
    assert (x.shape, other.shape) == ((5, 40, 50), (9, 4))
    assert 0.05 <= x.min() < 0.051
    assert 0.949 < x.max() <= 0.95
    np.testing.assert_array_equal(x, again)
    assert not np.isclose(x.ravel()[:4], other[0]).any()


@pytest.mark.parametrize(
    ("target", "arrays", "options", "message"),
    [
        (LAYER, (), {}, r"Dense\(.*\) needs in_shape, its input's shape without the batch: \(4,\) \(--in-shape 4\)"),
        (loss, (), {}, r"a function is checked at an array: give it, or in_shape, such as \(4,\) \(--in-shape 4\)"),
        (loss, (X, X), {}, "a loss is checked at one array; close over the others"),
        ("Dense", (), {}, "a str cannot be checked; give a layer"),
        ((forward,), (X,), {}, "a tuple cannot be checked"),
        ((forward, X), (X,), {}, "a tuple cannot be checked"),
        ((X, backward), (X,), {}, "a tuple cannot be checked"),
        ((LAYER, LAYER), (X,), {}, "a tuple cannot be checked"),
        ({forward: 1, backward: 2}, (X,), {}, "a dict cannot be checked"),
        (LAYER, (), {"seed": -1}, "seed must not be negative and batch at least 1, got seed -1 and batch None"),
        (LAYER, (), {"batch": 0}, "seed must not be negative and batch at least 1, got seed 0 and batch 0"),
    ],
)
def test_what_cannot_be_checked_is_refused_with_the_remedy(target, arrays, options, message, checks):
    with pytest.raises(ArgumentError, match=message) as raised:
        check_gradients(target, *arrays, **options)
    assert raised.traceback[-1].frame.f_locals["__tracebackhide__"]  # pytest then shows the line of the test
    assert checks == []


def test_the_least_seed_and_the_least_batch_are_taken(checks):
    check_gradients(LAYER, in_shape=(3,), seed=0, batch=1)
    assert len(checks) == 2


def test_an_assertion_shows_the_reports_that_failed(monkeypatch):
    passed, failed = Report("passed"), Report("failed", problems=["it is wrong"])
    for reports in ([passed, passed], [passed, failed], [failed, failed]):
        monkeypatch.setattr(anything, "check_gradients", lambda *args, reports=reports, **options: reports)
        if failed not in reports:
            assert assert_gradients(LAYER) is reports
            continue
        with pytest.raises(AssertionError) as raised:
            assert_gradients(LAYER)
        assert raised.traceback[-1].frame.f_locals["__tracebackhide__"]  # pytest then shows the line of the test
        assert str(raised.value) == "\n\n".join([str(failed)] * reports.count(failed))


def test_layers_and_networks_are_no_functions_though_they_can_be_called():
    assert [is_function(target) for target in (loss, Tanh, NET, LAYER, X)] == [True, True, False, False, False]


def test_what_a_call_must_give_has_no_default_and_is_no_rest():
    def of(a, /, b, c=1, *rest, d, e=2, **options):
        return a

    assert required(of) == ["a", "b", "d"]
    assert required(lambda *rest, **options: 0) == []


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_own.py").write_text("import sys\nlayer, _hidden = 1, 2\nname = __name__\n")
    (tmp_path / "their_lines.py").write_text("def fails():\n    pass\n    raise ValueError('no')\n\n\nfails()\n")
    yield tmp_path
    for name in ("their_own", "their_lines", "their_numpy"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("what", ["their_own.py:layer", "./their_own.py:layer", "their_own:layer"])
def test_a_name_in_a_file_or_a_module_is_found(what, folder):
    assert load_object(what) == 1


def test_a_module_of_a_package_is_named_with_dots(folder):
    (folder / "their_package").mkdir()
    (folder / "their_package" / "part.py").write_text("layer = 3\n")
    assert load_object("their_package.part:layer") == 3
    for name in ("their_package.part", "their_package"):
        del sys.modules[name]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("their_own", "'their_own' names nothing to check; write a recipe, module:NAME or file.py:NAME"),
        (":layer", "':layer' names nothing to check"),
        ("their_own.py:", "'their_own.py:' names nothing to check"),
        ("C:\\own.py", "names nothing to check"),
        ("missing.py:layer", "there is no file missing.py"),
        ("their_own.py:layr", r"unknown name in their_own.py 'layr'; did you mean layer\?"),
        ("their_own.py:_hidden", r"unknown name in their_own.py '_hidden'"),
        ("no_such_module:layer", "no_such_module cannot be imported: ModuleNotFoundError: No module named"),
        ("their_lines.py:x", r"^their_lines.py cannot be imported: ValueError: no \(their_lines.py, line 3\)$"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_in_one_line(what, message, folder):
    with pytest.raises(ArgumentError, match=message.replace("C:\\own", r"C:\\own")) as raised:
        load_object(what)
    assert "\n" not in str(raised.value)


def test_only_a_relative_import_makes_a_file_part_of_a_package(folder):
    (folder / "their_own.py").write_text("from .beside import x\n")
    with pytest.raises(
        ArgumentError, match=r"it is part of a package, so name it as a module, from .*: their_own:NAME"
    ):
        load_object("their_own.py:x")
    (folder / "their_own.py").write_text("import beside_their_own\n")
    with pytest.raises(ArgumentError, match=r"No module named 'beside_their_own' \(their_own.py, line 1\)$"):
        load_object("their_own.py:x")


def test_the_name_within_a_package_starts_at_its_outermost_folder(folder):
    inner = folder / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "__init__.py").touch()
    assert in_package(inner / "own.py").endswith(f"name it as a module, from {inner.parent}: inner.own:NAME")
    (folder / "outer" / "__init__.py").touch()
    assert in_package(inner / "own.py").endswith(f"name it as a module, from {folder}: outer.inner.own:NAME")


def test_a_file_is_run_anew_each_time_and_known_by_its_name(folder):
    first = load_file(Path("their_own.py"))
    assert sys.modules["their_own"] is first
    assert first.name == "their_own"
    assert sys.path[0] == str(folder)
    (folder / "their_own.py").write_text("layer = 5\n")
    second = load_file(Path("their_own.py"))
    assert second.layer == 5
    assert sys.modules["their_own"] is second


def test_no_other_module_is_robbed_of_its_name(folder):
    (folder / "string.py").write_text("layer = 7\n")
    taken = sys.modules["string"]
    assert load_file(Path("string.py")).layer == 7
    assert sys.modules["string"] is taken
    (folder / "string.py").write_text("raise ValueError('no')\n")
    with pytest.raises(ValueError, match="no"):
        load_file(Path("string.py"))
    assert sys.modules["string"] is taken


def test_a_file_that_cannot_be_run_leaves_nothing_behind(folder):
    (folder / "notes.txt").write_text("layer = 1\n")
    with pytest.raises(ImportError, match=r"notes.txt is no Python file"):
        load_file(Path("notes.txt"))
    with pytest.raises(ValueError, match="no"):
        load_file(Path("their_lines.py"))
    assert "their_lines" not in sys.modules


def test_a_folder_is_looked_into_first_and_once(monkeypatch):
    monkeypatch.setattr(sys, "path", ["first", "second"])
    for folder in ("second", "third", "third", ""):
        look_first_in(folder)
    assert sys.path == ["", "third", "first", "second"]


# The line that raised -------------------------------------------------------------------------------------------------


def raised_in(*files):
    """An error whose traceback goes through a function in each of these files, the last of which raises it."""
    inner = None
    for depth, file in enumerate(reversed(files)):
        body = "inner()" if inner else "raise ValueError"
        names = {"inner": inner}
        exec(compile("\n" * depth + f"def call():\n    {body}\n", file, "exec"), names)
        inner = names["call"]
    try:
        inner()
    except ValueError as error:
        return error.with_traceback(error.__traceback__.tb_next)  # without this file


INSTALLED = str(Path(np.__file__).parent)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["/theirs/outer.py", "/theirs/inner.py"], " (inner.py, line 2)"),
        (["/theirs/outer.py", f"{INSTALLED}/core.py"], " (outer.py, line 3)"),
        (
            ["/theirs/outer.py", f"{Path(anything.__file__).parents[1]}/nn.py", "<frozen importlib>"],
            " (outer.py, line 4)",
        ),
        (["/theirs/a.py", "/theirs/b.py", "/theirs/c.py", "<string>"], " (c.py, line 3)"),
        (["/bin/minigan", f"{INSTALLED}/core.py"], ""),
        (["/theirs/__main__.py", f"{INSTALLED}/core.py"], ""),
        ([f"{INSTALLED}/core.py"], ""),
        (["<string>"], ""),
    ],
)
def test_the_innermost_line_that_is_theirs_is_told(files, said):
    assert where_raised(raised_in(*files)) == said


def test_an_error_that_was_never_raised_has_no_place():
    assert where_raised(ValueError("no")) == ""
