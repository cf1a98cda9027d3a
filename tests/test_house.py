"""The house's own rules: each word one meaning, no import circle, no module too long or too short, a quick start."""

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import minigan
from minigan import gan, gradcheck, losses, nn, optim
from minigan.cli import usage
from minigan.cli.main import COMMANDS
from minigan.exercises import STUBS
from minigan.export.onnx import EXPORTS
from minigan.export.torch_code import COUNTERPARTS
from minigan.recipes import DEFAULT

ROOT = Path(minigan.__file__).parent
LONGEST, SHORTEST = 300, 12  # lines
FACES = ("__init__.py", "__main__.py")


@cache
def modules():
    """{the module's dotted name: its file}."""
    files = {".".join(p.relative_to(ROOT.parent).with_suffix("").parts): p for p in sorted(ROOT.rglob("*.py"))}
    return {dotted.removesuffix(".__init__"): path for dotted, path in files.items()}


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


# Each word one meaning ------------------------------------------------------------------------------------------------

LAYERS = "minigan.nn.conv.layers"
WAYS = [LAYERS, *(f"minigan.nn.conv.{way}" for way in ("im2col", "turned", "fourier"))]
#: What a way to a convolution's products answers: each defines all of it, and `layers` asks the one that pays.
ANSWERS = ("pays", "images_at_once", "correlate", "spread", "correlate_all")


def public():
    """[(name, module)] of every public function and class at the top of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tops = [(node, module) for module, path in modules().items() for node in tree(path).body]
    return [(node.name, module) for node, module in tops if isinstance(node, kinds) and not node.name.startswith("_")]


@cache
def stubs():
    """{(name, module) of a student's stub: the module of minigan's own piece}."""
    known = {**vars(gan), **vars(losses), **vars(nn), **vars(optim)}
    files = {f"minigan.exercises.{name.replace('-', '_')}": piece for name, piece in STUBS.items()}
    return {(piece, module): known[piece].__module__ for module, piece in files.items()}


@cache
def told():
    """{(name, module): the module of the layer that a function of an export tells}."""
    tables = [(kind, function) for table in (COUNTERPARTS, EXPORTS) for kind, function in table.items()]
    return {(function.__name__, function.__module__): kind.__module__ for kind, function in tables}


def meaning(name, module):
    """What the name stands for there: two of one meaning may have one name.

    A module has one meaning for a word: a function `slope` returns a `Slope`, and `sigmoid` is what `Sigmoid` computes.
    Beyond one module: a student's stub is the piece that it stands for; what an export tells of a layer is that layer;
    the ways to a convolution's products give the same answers; each command is the `command` of its module.
    """
    if name == "command" and module.removeprefix("minigan.cli.") in COMMANDS:
        return "a command"
    if name in ANSWERS and module in WAYS:
        return LAYERS
    return {**told(), **stubs()}.get((name, module), module)


def clashes(names):
    """["word: one place, another"] of words that have several meanings, whether written like_this or LikeThis."""
    places = defaultdict(dict)
    for name, module in names:
        places[name.lower().replace("_", "")].setdefault(meaning(name, module), f"{module}.{name}")
    return [f"{word}: {', '.join(found.values())}" for word, found in sorted(places.items()) if len(found) > 1]


def test_no_public_function_or_class_has_the_name_of_another_with_another_meaning():
    assert clashes(public()) == []


@pytest.mark.parametrize(
    ("name", "module", "known"),
    [
        ("nearest", "minigan.errors", "minigan.metrics.neighbours.Nearest"),
        ("check_images", "minigan.nn.conv.windows", "minigan.data.batches.check_images"),
        ("Compare", "minigan.runs.resumable", "minigan.gradcheck.compare.compare"),
        ("train", "minigan.cli.train", "minigan.runs.training.train"),
        ("command", "minigan.cli.main", "minigan.cli.bench.command"),
        ("batch_norm", "minigan.losses", "minigan.exercises.batchnorm.BatchNorm"),
        ("pays", "minigan.optim", "minigan.nn.conv.fourier.pays"),
        ("Dense", "minigan.exercises.verify", "minigan.exercises.dense.Dense"),
    ],
)
def test_a_word_that_gains_a_second_meaning_is_found_with_both_places(name, module, known):
    found = clashes([*public(), (name, module)])
    assert any(f"{module}.{name}" in places and known in places for places in found)


# No circle, no module too long or too short ---------------------------------------------------------------------------


def imported(path):
    """The modules of minigan that a file imports outside functions, under TYPE_CHECKING too."""
    found, left = set(), list(tree(path).body)
    while left:
        node = left.pop()
        if isinstance(node, ast.ImportFrom):
            names = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {dotted if dotted in modules() else node.module for dotted in names.values()}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            left += ast.iter_child_nodes(node)
    return found & modules().keys()


def test_no_module_imports_itself_by_way_of_others_not_even_for_a_type_checker_alone():
    circle = ()
    try:
        TopologicalSorter({module: imported(path) for module, path in modules().items()}).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert not circle, " > ".join(circle)


def test_imports_under_type_checking_are_counted(tmp_path):
    (tmp_path / "x.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from minigan.nn.layer import Layer\nelse:\n"
        "    import minigan.losses\nfrom minigan import optim\ndef f():\n    from minigan import gan\n"
    )
    assert imported(tmp_path / "x.py") == {"minigan.nn.layer", "minigan.losses", "minigan.optim"}


def test_no_module_is_too_long_to_read_at_once_or_too_short_to_be_one():
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in modules().items()}
    assert [(module, n) for module, n in lines.items() if n > LONGEST] == []
    small = [module for module, n in lines.items() if n < SHORTEST and modules()[module].name not in FACES]
    assert small == []


# A quick start --------------------------------------------------------------------------------------------------------


def loaded(code):
    """The modules that a new process holds after the code."""
    code += "\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


HEAVY = {"numpy", "tyro", "rich", "matplotlib", "pooch", "safetensors", "threadpoolctl", "filelock", "cupy", "numba"}
OURS = {f"minigan.{name}" for name in ("nn", "gan", "recipes", "train", "data", "runs")}
HELP = "import sys\nfrom minigan.cli.main import main\nmain({!r})"


@pytest.mark.parametrize("code", ["import minigan", *(HELP.format(args) for args in ([], ["--help"], ["--version"]))])
def test_neither_importing_minigan_nor_its_help_loads_numpy_or_the_command_lines_parser(code):
    assert loaded(code) & (HEAVY | OURS) == set()


def test_the_help_names_the_default_recipe_which_it_does_not_import():
    assert f"without a recipe: {DEFAULT}\n" in usage.USAGE


PAIR = "import numpy as np\nforward, backward, x = lambda x: (x * x, x), lambda dy, x: 2 * x * dy, np.ones(3)\n"
CHECKS = [
    "from minigan.gradcheck import check_pair\nassert check_pair(forward, backward, x)",
    "from minigan.gradcheck import assert_gradients\nassert_gradients((forward, backward), x)",
]


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_of_ones_own_functions_loads_neither_the_game_nor_its_recipes(check):
    game = {f"minigan.{name}" for name in ("gan", "recipes", "train", "data", "runs")}
    assert {".".join(name.split(".")[:2]) for name in loaded(PAIR + check)} & game == set()


def test_the_checks_of_the_game_are_had_from_the_same_place_and_offered_and_no_others():
    assert {*gradcheck.__all__} <= {*dir(gradcheck)}
    assert {getattr(gradcheck, name).__module__ for name in gradcheck.GAMES} == {"minigan.gradcheck.games"}
    with pytest.raises(AttributeError, match="no attribute 'check_pear'"):
        gradcheck.check_pear  # noqa: B018
    with pytest.raises(ImportError, match="check_pear"):
        exec("from minigan.gradcheck import check_pear")
