"""The text of a loop, made of an elementwise formula's own: what `loops` compiles, and what a reader can print.

Of y = max(x, slope·x) it is, but for what its name ends in,

    def leaky_relu(x_, y0_, slope_):
        slope = float32(slope_)
        for i in range(y0_.size):
            x = float32(x_[i])
            y0_[i] = maximum(x, slope * x)

The formula's lines are in it as they stand, but their names mean the numbers of one entry, their constants and truths
are float32 (a Python number and a float32 make a float64 in numba, where NumPy makes a float32), and the functions of
xp are those below.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from minigan.backend.formula import Formula

FLAT = """
def {name}({parameters}):
{numbers}
    for i in range({first}_.size):
{body}
"""
BY_ROWS = """
def {name}({parameters}):
{numbers}
    for r in range({first}_.shape[0]):
        for c in range({first}_.shape[1]):
{body}
"""
SUMS = """
def {name}({parameters}):
{numbers}
    for block in range({total}_.shape[0]):
        begin, end = block * SUMMED, min(block * SUMMED + SUMMED, {first}_.shape[0])
{zeros}
        for r in range(begin, end):
            for c in range({first}_.shape[1]):
{body}
"""


def larger(a: float, b: float) -> float:
    return a if a >= b or a != a else b  # NaN if either is, as NumPy's


def smaller(a: float, b: float) -> float:
    return a if a <= b or a != a else b


def either(condition: float, a: float, b: float) -> float:
    return a if condition != 0 else b


#: What a formula may use of xp.
FUNCTIONS = {"maximum": larger, "minimum": smaller, "where": either, "sqrt": np.sqrt}


#: What a formula is made of.
KNOWN = (ast.Assign, ast.AugAssign, ast.Name, ast.Constant, ast.Call, ast.Compare, ast.BinOp, ast.UnaryOp)
KNOWN += (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub, ast.expr_context)


class UnknownError(Exception):
    """A formula holds what no loop does."""


class Scalars(ast.NodeTransformer):
    """A formula's expressions of arrays, turned into the same of float32 numbers: of the formula's own `names`."""

    functions: Mapping[str, str] = {name: name for name in ("abs", *FUNCTIONS)}

    def __init__(self, names: Collection[str]):
        self.names = names

    def number(self, text: str) -> str:
        return f"float32({text})"

    def truth(self, comparison: str) -> str:
        return f"float32(1) if {comparison} else float32(0)"

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, KNOWN):
            raise UnknownError
        return super().visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if len(node.targets) != 1:
            raise UnknownError
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id not in self.names:
            raise UnknownError
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) not in (int, float):
            raise UnknownError
        return parsed(self.number(repr(node.value)))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)):
            raise UnknownError
        sides = [self.visit(side) for side in (node.left, *node.comparators)]
        return parsed(self.truth(ast.unparse(ast.Compare(sides[0], node.ops, sides[1:]))))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = ast.unparse(node.func).removeprefix("xp.")
        if node.keywords or name not in self.functions:
            raise UnknownError
        return ast.Call(ast.Name(self.functions[name]), [self.visit(part) for part in node.args], [])


def parsed(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def loop_text(work: Formula, by_rows: bool, into: tuple[int, ...]) -> tuple[str, str] | None:
    """(the loop's name, its text); None for a formula without source, or that does what no loop does.

    `into`: for each result that is an array, the number of the argument that it is written into, or -1. The loop is
    called with the arrays (arguments, the other results, columns), then those of the sums (blocks, C), then with the
    vectors and the numbers. `by_rows`: the arrays have two axes, else one.
    """
    if (found := formula_of(work, Scalars)) is None:
        return None
    lines, values = found
    arrays, vectors, columns, numbers = (
        [work.names[i] for i in own] for own in (work.arrays, work.vectors, work.columns, work.numbers)
    )
    goes, place = iter(into), "r, c" if by_rows else "i"
    own, sums, results = [], [], []
    for i, (value, kind) in enumerate(zip(map(ast.unparse, values), work.results, strict=True)):
        name = f"y{i}"
        if kind == "Sum":
            sums.append(name)
            results.append(f"{name}_[block, c] += {value}")
            continue
        if (argument := next(goes)) >= 0:
            name = work.names[argument]
        else:
            own.append(name)
        results.append(f"{name}_[{place}] = {value}")
    body = [f"{name} = float32({name}_[{place}])" for name in arrays] + [f"{name} = {name}_[c]" for name in vectors]
    body += [f"{name} = {name}_[r, 0]" for name in columns]
    body += [*map(ast.unparse, lines), *results]
    form, depth = (SUMS, 4) if sums else (BY_ROWS, 3) if by_rows else (FLAT, 2)
    text = form.format(
        name="{name}",
        parameters=", ".join(f"{name}_" for name in (*arrays, *own, *columns, *sums, *vectors, *numbers)),
        numbers=indented([f"{name} = float32({name}_)" for name in numbers], 1),
        first=arrays[0],
        total=(*sums, "")[0],
        zeros=indented([f"{name}_[block, :] = 0" for name in sums], 2),
        body=indented(body, depth),
    )
    helpers = map(inspect.getsource, (larger, smaller, either))  # a loop that was compiled with others is another one
    name = f"{work.__name__}_{hashlib.sha256(''.join([text, *helpers]).encode()).hexdigest()[:16]}"
    return name, text.replace("{name}", name)


def formula_of(work: Formula, scalars: type[Scalars]) -> tuple[list[ast.stmt], list[ast.expr]] | None:
    """(the formula's assignments, what it returns), for numbers; None for one without source, or that holds more."""
    try:
        function = ast.parse(textwrap.dedent(inspect.getsource(work.formula))).body[0]
        if not isinstance(function, ast.FunctionDef):
            raise UnknownError
        *lines, last = function.body[ast.get_docstring(function) is not None :]
        if not isinstance(last, ast.Return) or last.value is None:
            raise UnknownError
        values = last.value.elts if isinstance(last.value, ast.Tuple) else [last.value]
        of_numbers = scalars(work.formula.__code__.co_varnames)
        return [of_numbers.visit(line) for line in lines], [of_numbers.visit(value) for value in values]
    except (UnknownError, OSError, SyntaxError):
        return None


def indented(lines: list[str], depth: int) -> str:
    return textwrap.indent("\n".join(lines), " " * 4 * depth)
