"""A formula of elementwise work: a plain Python function, whose annotations say what lines up with what.

Array    entry by entry with the first argument, whose shape it has; a result has its dtype, too
Vector   (C,), the same for every example: entry c goes with feature c, the last axis of the first argument
Column   (N, 1), the same for all features: entry n goes with row n of a first argument (N, C)
Sum      a result, (C,): the entries added up over every axis but the last (`batch_sum`)
float    one number for all entries, in the dtype of the results, or an array () of the library; an array of another
         shape only in a formula that no loop does, and then the formula runs as it stands
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigan.backend.arrays import Array
from minigan.errors import ArgumentError

Vector = Array
Column = Array
Sum = Array
ARRAY, VECTOR, COLUMN, SUM, NUMBER = "Array", "Vector", "Column", "Sum", "float"


class Formula:
    """What there is to know of a formula before any array comes.

    Attributes: `formula`, the function; `takes_xp`, whether the array library is its first argument; of the others the
    `names` and `kinds`, and the places of the `arrays`, `vectors`, `columns` and `numbers` among them; the kinds of its
    `results` and the places of the `sums`; `by_rows`, whether an entry has to be known by row and feature; `heavy`,
    whether a number takes some ten times as long as with arithmetic alone.
    """

    def __init__(self, formula: Callable[..., Any]):
        self.formula = self.__wrapped__ = formula  # for inspect
        self.__name__, self.__doc__ = formula.__name__, formula.__doc__
        known = dict(formula.__annotations__)
        returned = str(known.pop("return", ""))
        names = formula.__code__.co_varnames[: formula.__code__.co_argcount]
        self.takes_xp = names[:1] == ("xp",)
        self.names = names[self.takes_xp :]
        self.kinds = tuple(known.get(name, "") for name in self.names)
        self.results = tuple(returned.removeprefix("tuple[").removesuffix("]").split(", "))
        known_kinds = {*self.kinds} <= {ARRAY, VECTOR, COLUMN, NUMBER} and {*self.results} <= {ARRAY, SUM}
        if self.kinds[:1] != (ARRAY,) or not known_kinds:
            raise ArgumentError(
                f"{self.__name__}: an elementwise formula takes Array, Vector, Column and float, first an Array, and "
                "returns Array or Sum, or a tuple of them, annotated as text (from __future__ import annotations); got "
                f"({', '.join(map(str, self.kinds))}) and {returned!r}"
            )
        self.arrays, self.vectors, self.columns, self.numbers = (
            tuple(i for i, kind in enumerate(self.kinds) if kind == wanted)
            for wanted in (ARRAY, VECTOR, COLUMN, NUMBER)
        )
        self.sums = tuple(i for i, kind in enumerate(self.results) if kind == SUM)
        self.fresh = (-1,) * (len(self.results) - len(self.sums))  # as many results as are arrays, none an argument
        self.by_rows = bool(self.vectors or self.columns or self.sums)
        self.heavy = not {"exp", "log", "log1p", "tanh"}.isdisjoint(formula.__code__.co_names)
        self.loops: dict[Any, Any] = {}  # compiled, by the layout of the arrays (`loops.compiled`)
