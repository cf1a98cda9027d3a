"""What minigan prints, raises and documents points to nothing that only a clone of the repository has."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import minigan

PACKAGE = Path(minigan.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
IN_A_CLONE_ONLY = re.compile(
    r"(?<![\w/.])(docs|demos|benchmarks|tests|findings)/|README|CONTRIBUTING|CHANGELOG|\w\.md\b"
)
PAGE = re.compile(r"the\s+page\s+“([^”]*)”")


@cache
def texts():
    """[(file, text)]: strings, docstrings among them, but not of modules; all of a stub, which students read."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        if ast.get_docstring(tree) is not None:
            tree.body = tree.body[1:]
        strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        parts = [text] if path.parent.name == "exercises" else [part for part in strings if isinstance(part, str)]
        found += [(path.relative_to(PACKAGE).as_posix(), part) for part in parts]
    return found


@pytest.mark.parametrize(
    "text", ["see docs/best.md", "python demos/museum 6", "(benchmarks/search.py)", "as README says", "in speed.md"]
)
def test_such_a_hint_is_recognised(text):
    assert IN_A_CLONE_ONLY.search(text)
    assert not IN_A_CLONE_ONLY.search("https://pytorch.org/docs/stable/nn.html")


def test_no_message_points_to_a_file_that_an_installed_wheel_does_not_have():
    assert [(file, found[0]) for file, text in texts() if (found := IN_A_CLONE_ONLY.search(text))] == []


def test_every_page_that_a_message_names_is_in_the_documentation():
    titles = {path.read_text(encoding="utf-8").partition("\n# ")[2].partition("\n")[0] for path in DOCS.glob("*.md")}
    titles |= {path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for path in DOCS.glob("*.md")}
    named = {title for _, text in texts() for title in PAGE.findall(text)}
    assert named
    assert named <= titles
