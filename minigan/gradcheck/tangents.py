"""Forward mode beside backward: ⟨dy, J dx⟩ = ⟨Jᵀ dy, dx⟩, a proof without any step size; then how J dx itself moves.

J is one matrix. `tangent` multiplies by it and backward by the same turned over, so that the two numbers are equal but
for rounding, whatever dx and dy are. Where they are not, finite differences along dx say which of the two passes is
wrong. What `tangent_grads` answers, the gradient of ⟨dy, J dx⟩, is compared with finite differences of that number.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np

from minigan.errors import SecondOrderError
from minigan.gradcheck.compare import compare
from minigan.gradcheck.linearity import nonlinearities
from minigan.gradcheck.numeric import STEP, Slope, along, typical
from minigan.gradcheck.purity import ROUNDING, impurities, layout_problems, same, strange_points
from minigan.gradcheck.report import TOLERANCE, Report, Row
from minigan.gradcheck.steps import believed, off
from minigan.gradcheck.subject import Subject
from minigan.gradcheck.trial import Trial
from minigan.nn import Layer
from minigan.nn.second import second_order, signals

PAIRS = 5  # of a random dx and a random dy
EXACT = 1e-12  # of the sum of the sizes of its terms: what the two numbers of a pair may differ by, beside rounding
ROUNDED = 10  # times the rounding that multiples of dx and of dy show
ALIKE = 1e-6  # of a ratio: by how much those of the pairs may differ and be one factor


def check_tangents(trial: Trial, *, wrong: Collection[str] = (), pure: bool = True, **options: Any) -> Report:
    """What the report of the two passes gains if each layer offers a `tangent`: rows and problems; else nothing.

    A row "tangent", a number for each pair of dx and dy: its analytic one by `tangent`, its numeric one by backward; it
    is wrong if they differ by more than 1e-12 of what they are sums of, and rounding. If all layers also have second
    order, a row "∂tangent/∂W" for each parameter W, and for the input of a lone layer. With `pure`, `tangent` is asked
    all that backward is: that it keeps and changes nothing, is linear, and takes any memory layout. `wrong` are the
    arrays of which backward's gradient is known to be: one mistake is not to make two rows wrong.
    Options: as `compare`.
    """
    report = Report("tangent")
    try:
        y, cache = trial.forward(draws=0)
        with strange_points():
            tangent = trial.net.tangent(trial.normal(trial.x.shape, 30), cache)
    except SecondOrderError:
        return report
    except Exception as error:
        report.problems = [f"tangent fails ({type(error).__name__}: {error})"]
        return report
    if not isinstance(tangent, np.ndarray) or (tangent.shape, tangent.dtype) != (y.shape, y.dtype):
        found = f"{getattr(tangent, 'dtype', type(tangent).__name__)} {getattr(tangent, 'shape', '')}"
        report.problems = [f"tangent returns {found} where y is {y.dtype} {y.shape}"]
        return report
    if pure:
        report.problems, report.cautions = careless(trial)
    report.rows = [adjoint(trial, known="x" in wrong)]
    if not (wrong or report.problems or report.rows[0].wrong.any()):
        found = second(trial, options)
        report.rows += found.rows
        report.problems = found.problems
    return report


def careless(trial: Trial) -> tuple[list[str], list[str]]:
    """Problems and cautions of `tangent` besides its numbers: the rules of backward, for which it is taken here."""
    dx, rng = trial.normal(trial.x.shape, 30), np.random.default_rng([trial.seed, 31])
    arrays = {"x": trial.x, **trial.net.named_params()}
    passes = (("on other values and draws", partial(trial.forward, trial.normal(trial.x.shape, 32))),)

    def ahead(dx: np.ndarray, cache: Any) -> dict[str, Any]:
        return {"y": trial.net.tangent(dx, cache)}

    subject = Subject(arrays, partial(trial.forward, draws=0), ahead, state=(trial.net.buffers,), others=passes)
    with strange_points():
        kept, dy = dx.copy(), {"y": np.array(trial.net.tangent(dx, trial.forward(draws=0)[1]))}
        if not same(dx, kept):
            return ["tangent changes dx; work on a copy"], []
        problems, cautions = impurities(subject, dx, dy, rng), []
        if not problems:
            problems, cautions = layout_problems(subject, dx, dy)
            problems += nonlinearities(subject, dx, rng)
    words = {"backward": "tangent", "dy": "dx", "gradient of y": "change of y"}
    for old, new in words.items():
        problems, cautions = ([text.replace(old, new) for text in texts] for texts in (problems, cautions))
    return problems, cautions


def adjoint(trial: Trial, *, known: bool) -> Row:
    """The row of ⟨dy, J dx⟩ beside ⟨Jᵀ dy, dx⟩, and what is wrong with the one or the other: see `decide`.

    The bar is the rounding of the two passes: by how much 0.7·dx fails to give 0.7·J dx, unless that is more than any
    rounding, as of a pass that is not linear.
    """
    net, shape = trial.net, trial.dy.shape
    pairs = [(trial.normal(trial.x.shape, 40 + i), trial.normal(shape, 60 + i)) for i in range(PAIRS)]
    columns = []

    def cache() -> Any:  # a new one for each call, which may have spoilt the last
        return trial.forward(draws=0)[1]

    with np.errstate(all="ignore"):
        for dx, dy in pairs:
            ahead = [dy * net.tangent(c * dx, cache()) / c for c in (1.0, 0.7, 1.1)]
            back = [dx * net.backward(c * dy, cache(), need_param_grads=False) / c for c in (1.0, 0.7, 1.1)]
            sums = [[float(terms.sum()) for terms in found] for found in (ahead, back)]
            rounding = max(abs(other - found[0]) for found in sums for other in found[1:])
            size = max(float(np.abs(terms[np.isfinite(terms)]).sum()) for terms in (ahead[0], back[0]))
            bar = ROUNDED * rounding if rounding <= ROUNDING * size else 0.0
            columns.append((sums[0][0], sums[1][0], bar, size))
    a, n, bar, sizes = map(np.array, zip(*columns, strict=True))
    none, scale = np.full(PAIRS, -np.inf), max(float(sizes.max()), np.finfo(float).tiny)
    row = Row("tangent", trial.x.shape, "pairs", a, n, bar, np.zeros(PAIRS, bool), none, -none, scale, exact=EXACT)
    if row.wrong.any() or not np.isfinite(n).all():
        decide(trial, row, pairs, known=known)
    return row


def decide(trial: Trial, row: Row, pairs: list[tuple[np.ndarray, np.ndarray]], *, known: bool) -> None:
    """Say which of the two passes finite differences of y along dx contradict.

    A backward that is `known` to be wrong has a row of its own that says so. Here the differences take its place.
    """
    said = {"tangent": row.analytic, "backward": row.numeric}
    slopes = {
        who: [difference(trial, *pair, float(a), row.scale) for pair, a in zip(pairs, numbers, strict=True)]
        for who, numbers in said.items()
    }
    wrong = [
        who
        for who, numbers in said.items()
        if not np.isfinite(numbers).all()
        or any(off(s, a, row.scale) for s, a in zip(slopes[who], numbers, strict=True))
    ]
    k = row.index[0]
    told = f"⟨dy, tangent(dx)⟩ is {row.analytic[k]:+.6g} and ⟨backward(dy), dx⟩ {row.numeric[k]:+.6g}"
    if not wrong:
        row.cause = (
            f"tangent and backward do not go with one matrix: {told}. Finite differences cannot tell which is wrong: "
            "the two are too close for them, or take different sides of a kink"
        )
        return
    seen = f"{told}, where finite differences of y along dx give {slopes[wrong[0]][k].value:+.6g}"
    if len(wrong) == 2:
        row.cause = f"both tangent and backward are wrong: {seen}"
        return
    right = "backward" if wrong == ["tangent"] else "tangent"
    with np.errstate(all="ignore"):
        factor = said[wrong[0]] / said[right]
        alike = np.ptp(factor) <= ALIKE * abs(factor[0])
    times = f"; it is {factor[0]:.6g} times what it should be, for each dx and dy" if alike else ""
    row.cause = f"{wrong[0]} is wrong, and {right} right: {seen}{times}"
    if known and right == "tangent":
        row.numeric, row.bar, row.exact = *np.array([(s.value, s.bar) for s in slopes[right]]).T, TOLERANCE


def difference(trial: Trial, dx: np.ndarray, dy: np.ndarray, a: float, scale: float) -> Slope:
    """d⟨dy, y⟩/dt by finite differences, x moving by t·dx, as good as it takes to tell whether it is a."""

    def f() -> np.ndarray:
        return np.ravel(trial.forward(draws=0)[0] * dy)

    here = f()

    def at(h: float) -> Slope:
        return along(f, here, [(trial.x, ..., dx)], h)

    return believed(at, at(STEP * min(1.0, typical(trial.x))), a, scale)


def second(trial: Trial, options: dict[str, Any]) -> Report:
    """The gradient of ⟨dy, J dx⟩ beside finite differences of it; no rows if a layer has no second order."""
    net, lone, report = trial.net, len(trial.net.layers) == 1, Report("tangent_grads")
    dx, layer = trial.normal(trial.x.shape, 33), net.layers[0]
    views = {trial.short(name): grad for name, grad in net.named_grads().items()}
    arrays = {trial.short(name): array for name, array in net.named_params().items()}
    if lone:
        arrays = {"x": trial.x, **arrays}

    def ahead() -> tuple[Any, Any]:
        cache = trial.forward(draws=0)[1]
        return net.tangent(dx, cache), cache

    def gradient_of_it(dy: np.ndarray, cache: Any) -> dict[str, Any]:
        net.grads[...] = np.nan  # what is not written stays so
        if not lone:
            second_order(net, dx, signals(net, dy, cache), cache)
            return views
        curvature = layer.tangent_grads(dx, dy, cache.layers[0], layer.grads)
        return {"x": np.zeros_like(trial.x) if curvature is None else curvature, **views}

    try:
        with strange_points():
            gradient_of_it(*ahead())
    except SecondOrderError:
        return report
    except Exception as error:
        report.problems = [f"tangent_grads fails ({type(error).__name__}: {error})"]
        return report
    if arrays:
        options = {"elementwise": 0, "seed": trial.seed, **options, "pure": False, "title": report.title}
        report = compare(Subject(arrays, ahead, gradient_of_it), **options)
    net.grads[...] = 0
    nothing = "nothing was tested"  # as it must be of what is straight
    report.problems = [f"tangent_grads: {text}" for text in report.problems if not text.startswith(nothing)]
    for row in report.rows:
        if row.wrong.any():
            row.cause = untrue(layer, row) if lone else row.cause
        row.name = f"∂tangent/∂{row.name}"
    return report


def untrue(layer: Layer, row: Row) -> str:
    """The cause of a wrong row, if it is what the layer says of its J; else what it is known by."""
    said = next((word for word in ("straight", "bilinear") if getattr(layer, word)), "")
    if said and type(layer).tangent_grads is Layer.tangent_grads:
        also = " and the cache must be x" if said == "bilinear" else ""
        return (
            f"{type(layer).__name__} says {said} = True, and ⟨dy, tangent(dx)⟩ changes with {row.name} as such a "
            f"layer's does not{also}: leave {said} out of the class, and write tangent_grads"
        )
    if np.isnan(row.analytic).any():
        return "it holds NaN, or is not written: tangent_grads must write each entry, 0 where nothing depends on it"
    return row.cause
