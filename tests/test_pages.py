"""The pages that name a test for each of their claims: of faults, and of what the gradient checker looks at."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAD = "| shown by |"


def rows(page):
    """The rows of the page's tables whose last column names tests."""
    found, within = [], False
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        if line.endswith(HEAD):
            within = True
        elif not line.startswith("|"):
            within = False
        elif within and set(line) - set("|:- "):
            found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return found


FAULTS, LOOKED_AT = rows("faults.md"), rows("gradcheck.md")


@cache
def functions(file):
    """The functions in one of the tests' files; none if there is no such file."""
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", FAULTS + LOOKED_AT, ids=lambda row: " ".join(row[:-1])[:60])
def test_every_claim_on_the_page_names_tests_that_exist(row):
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row[-1])
    assert named, f"no test shows it: {row[:-1]}"
    for file, name in named:
        assert functions(file), f"there is no {file}"
        assert not name or name in functions(file), f"{file} has no {name}"


def test_the_page_has_a_row_for_every_kind_of_fault():
    page = " ".join(row[0] for row in FAULTS).lower()
    kinds = "network", "503", "hash", "read-only", "full", "folder", "clock", "memory", "nan", "ctrl-c", "sigterm"
    for kind in (*kinds, "sigkill", "checkpoint", "metrics.jsonl", "hyper-parameter", "images", "version"):
        assert kind in page


def test_the_page_has_a_row_for_everything_that_the_checker_looks_at():
    begins = (
        *("the form", "a pass changes nothing", "the second time", "nothing is kept", "memory", "backward is linear"),
        *(
            "the numbers",
            "where they leave a doubt",
            "a layer's `tangent`",
            "a layer's promises",
            "the flags",
            "other batches",
            "at inference",
        ),
        *("`update_buffers`", "the likely cause"),
    )
    looked_at = [row[1] for row in LOOKED_AT if row[0].isdigit()]
    assert len(looked_at) == len(begins)
    for begin, what in zip(begins, looked_at, strict=True):
        assert what.startswith(begin)


def test_every_example_of_what_is_not_seen_is_on_the_page():
    tree = ast.parse((ROOT / "tests" / "corpus" / "unseen.py").read_text(encoding="utf-8"))
    examples = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    named = {name for row in LOOKED_AT if not row[0].isdigit() for name in re.findall(r"\(`(\w+)`\)", row[-1])}
    assert named == examples
