"""The gradient of one array as the hypotheses about a mistake get to see it, made of numbers given by hand."""

import numpy as np

from minigan.gradcheck.case import Case
from minigan.gradcheck.report import Row
from minigan.gradcheck.subject import Subject


def draw(*shape, seed=0):
    return np.random.default_rng([seed, 9]).standard_normal(shape)


def case(a, n, *, x=None, y=None, dy=1.0, bar=0.0, kink=False, scale=None, batched=("x",), how="entries", **subject):
    """The gradient `a` of an array x where `n` is right."""
    a, n = np.asarray(a, float), np.asarray(n, float)
    x = draw(*n.shape, seed=1) if x is None else np.asarray(x, float)
    arrays = {"x": x, **subject.pop("arrays", {})}
    zero = np.zeros(n.shape)
    kink = zero.astype(bool) | kink
    row = Row("x", x.shape, how, a, n, zero + bar, kink, n, n, float(abs(n).max()) if scale is None else scale)
    rows = [row, *subject.pop("rows", ())]
    no_pass = subject.pop("forward", None), subject.pop("backward", None)
    return Case(Subject(arrays, *no_pass, batched=batched, **subject), row, a, dy, x if y is None else y, rows)
