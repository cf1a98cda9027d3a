"""Elementwise formulas as kernels by CuPy: a GPU is asked once for all that a formula does, not once an operation.

Of y = max(x, slope·x) the kernel does with each entry

    T x_ = a0;
    T slope_ = a1;
    y0 = T(larger(x_, slope_ * x_));

The formula's lines are in it as in a loop (`looptext`), with a _ after each name, so that none is a word of C++. T is
the results' type, float32 or float64, and all the arithmetic is in it. (`cupy.fuse` would need no text and costs a call
no more time, but in CuPy 13 a float32 array and a number make it float64.)
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cache
from itertools import count
from string import ascii_uppercase
from types import ModuleType
from typing import Any, NamedTuple

from minigan.backend.arrays import is_number
from minigan.backend.formula import ARRAY, COLUMN, NUMBER, SUM, VECTOR, Formula
from minigan.backend.looptext import Scalars, formula_of, parsed
from minigan.backend.products import batch_sum

#: What a formula may use of xp: its name in C++.
FUNCTIONS = {name: name for name in ("exp", "log", "log1p", "sqrt", "tanh")}
FUNCTIONS |= {"abs": "fabs", "maximum": "larger", "minimum": "smaller", "where": "either"}
PREAMBLE = """
template <class T> __device__ T larger(T a, T b) { return a >= b || a != a ? a : b; }
template <class T> __device__ T smaller(T a, T b) { return a <= b || a != a ? a : b; }
template <class T> __device__ T either(T condition, T a, T b) { return condition != T(0) ? a : b; }
"""
TYPES = ascii_uppercase.replace("T", "")  # CuPy's placeholders, one for each argument


class ScalarsOfC(Scalars):
    """A formula's expressions of arrays, turned into the same of numbers of type T, in C++."""

    functions = FUNCTIONS

    def number(self, text: str) -> str:
        return f"T({text})"

    def truth(self, comparison: str) -> str:
        return f"T({comparison})"

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(f"{super().visit_Name(node).id}_")

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return parsed(self.number(ast.unparse(super().visit_Call(node))))  # C's functions, unlike CUDA's, give doubles


class KernelText(NamedTuple):
    """A kernel as CuPy takes it, and where each result of the formula is: place i of what it makes, or argument ~i."""

    arguments: str
    results: str
    operation: str
    places: tuple[int, ...]


def by_kernel(
    cupy: ModuleType, work: Formula, arguments: Sequence[Any], outs: Sequence[Any] | None
) -> list[Any] | None:
    """The formula's results by one kernel and the sums of what it makes; None where CuPy is to run the formula itself.

    A kernel takes CuPy's arrays of real numbers that line up, and makes results of float32 or float64.
    """
    shape, dtype, known = arguments[0].shape, (outs or arguments)[0].dtype, cupy.ndarray
    if dtype.char not in "fd":
        return None
    shapes = {ARRAY: shape, VECTOR: shape[-1:], COLUMN: (*shape[:-1], 1), NUMBER: ()}
    values = []
    for a, kind in zip(arguments, work.kinds, strict=True):
        if is_number(a):
            values.append(dtype.type(a))
        elif (
            type(a) is known
            and a.shape == shapes[kind]
            and (a.dtype == dtype or (a.dtype.kind in "fiub" and kind != NUMBER))
        ):
            values.append(a)
        else:
            return None
    for out in outs or ():
        if type(out) is not known or out.shape != shape or out.dtype != dtype:
            return None
    kernel, places = kernel_of(cupy, work)
    if kernel is None:
        return None
    made = [*(outs or ())]
    made += [known(shape, dtype) for _ in range(len(made), kernel.nout)]
    sums = {i: batch_sum(values[~i].astype(dtype, copy=False)) for i in places if i < 0}  # before it is written over
    kernel(*values, *made)
    if not work.sums:
        return made
    kinds = zip(places, work.results, strict=True)
    return [sums[i] if i < 0 else batch_sum(made[i]) if kind == SUM else made[i] for i, kind in kinds]


@cache
def kernel_of(cupy: ModuleType, work: Formula) -> tuple[Any, tuple[int, ...]]:
    """(the formula's kernel or None, `KernelText.places`); CuPy compiles it at the first call with arrays of a type."""
    if (text := kernel_text(work)) is None:
        return None, ()
    *texts, places = text
    return cupy.ElementwiseKernel(*texts, f"minigan_{work.__name__}", preamble=PREAMBLE), places


def kernel_text(work: Formula) -> KernelText | None:
    """None for a formula without source, or that does what no kernel does."""
    if (found := formula_of(work, ScalarsOfC)) is None or len(work.kinds) > len(TYPES):
        return None
    lines, values = found
    given = [f"{name}_" for name in work.names]
    operation = [f"T {name} = a{i};" for i, name in enumerate(given)]
    assigned = set()
    for line in lines:
        name = ast.unparse(line).split()[0]  # an assignment is to one name
        operation.append(f"{'' if name in assigned or name in given else 'T '}{ast.unparse(line)};")
        assigned.add(name)
    unchanged = {given[i]: ~i for i in work.arrays if given[i] not in assigned}
    entries = list(map(ast.unparse, values))
    made = [entry for entry, kind in zip(entries, work.results, strict=True) if kind != SUM]
    places, arrays = [], count()
    for entry, kind in zip(entries, work.results, strict=True):
        if kind != SUM:
            places.append(next(arrays))
        elif entry in unchanged:  # Σ x of an argument x is taken of itself
            places.append(unchanged[entry])
        else:
            if entry not in made:
                made.append(entry)
            places.append(made.index(entry))
    if not made:
        return None
    operation += [f"y{i} = {entry};" for i, entry in enumerate(made)]
    types = ["T" if kind == NUMBER else letter for kind, letter in zip(work.kinds, TYPES, strict=False)]
    return KernelText(
        ", ".join(f"{letter} a{i}" for i, letter in enumerate(types)),
        ", ".join(f"T y{i}" for i in range(len(made))),
        "\n".join(operation),
        tuple(places),
    )
