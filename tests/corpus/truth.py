"""What is true of a case, found without `minigan.gradcheck`: by differences at several steps, and by asking twice.

Slow and blunt on purpose: every entry, many batch sizes; so that a label is not what somebody believes. No case draws
points at which its layer has no derivative, so that agreement of two steps is all that an entry needs.
"""

import warnings
from inspect import signature

import numpy as np

from minigan.backend import RandomStream
from minigan.errors import ShapeError
from minigan.nn import Layer, Sequential

STEPS = [1e-2 / 4**k for k in range(12)]  # of the entry's size, from 1e-2 to 2e-9: sin(10⁴ x) needs a small one


def differences(loss, x):
    """(derivative, trust) for each entry of x, by a stencil of 5 points at the steps at which it changes least."""
    derivative, trust, least = np.zeros(x.shape), np.zeros(x.shape), 1e-2 * np.median(np.abs(x)) or 1.0
    for at in np.ndindex(x.shape):
        kept, found = x[at], []
        for h in np.array(STEPS) * max(abs(kept), least):
            values = []
            for shift in (2, 1, -1, -2):
                x[at] = kept + shift * h
                values.append(loss())
            found.append((8 * (values[1] - values[2]) - (values[0] - values[3])) / (12 * h))
            x[at] = kept
        changes = np.abs(np.diff(found))
        changes = np.maximum(changes[1:], changes[:-1])  # two may agree by chance
        best = int(changes.argmin())
        derivative[at], trust[at] = found[best + 1], changes[best]
    return derivative, trust


def untied(got, loss, x, expected):
    """(got, expected) with ties taken together: of equal entries that bend, only all at once have a derivative.

    Equal in size: x and -x move outwards together.
    """
    h, y, outwards = 1e-6, loss(), np.where(x < 0, -1, 1)

    def moved(where, by):
        kept = x.copy()
        x[where] += by * outwards[where]
        value = loss()
        x[...] = kept
        return value

    got, expected = got * outwards, expected * outwards

    def slopes(h):
        sides = np.array([[(moved(at, h) - y) / h, (y - moved(at, -h)) / h] for at in np.ndindex(x.shape)])
        return sides.min(axis=1).reshape(x.shape), sides.max(axis=1).reshape(x.shape)

    (low, high), (low_far, high_far) = slopes(h), slopes(4 * h)
    bends = high - low > np.maximum(1e-2, 0.7 * (high_far - low_far))  # a kink's jump does not shrink with the step
    within = ((got >= low - 1e-6) & (got <= high + 1e-6))[bends].all()
    for size in np.unique(np.abs(x[bends])) if within else ():
        tied = np.abs(x) == size
        whole, answer = (moved(tied, h) - moved(tied, -h)) / (2 * h), got[tied].sum()
        expected[tied], got[tied] = whole, whole if abs(answer - whole) < 1e-6 else answer
    return got, expected


def off(name, got, loss, x):
    """A sentence if `got` is not the derivative of loss() with respect to x, else nothing."""
    if not x.size or got.shape != x.shape or not np.isfinite(got).all():
        return [] if got.shape == x.shape == (0,) else [f"{name}: {got.shape}, not finite or of another shape"]
    expected, trust = differences(loss, x)
    got, expected = untied(np.asarray(got, float), loss, x, expected)
    scale = max(np.abs(expected).max(initial=0), np.abs(got).max(initial=0))
    if scale and (trust > 1e-6 * scale + 1e-12).mean() > 0.2:
        return [f"{name}: no steps agree"]
    wrong = np.abs(got - expected) > 3e-7 * scale + 10 * trust + 1e-12
    return [f"{name}: {wrong.sum()} of {x.size} off, {got[wrong][0]} for {expected[wrong][0]}"] if wrong.any() else []


def nearby(name, got, loss, x):
    """Likewise, but the derivative at a point beside x will do, where all ties are broken: of a sort that is all."""
    found, kept = off(name, got, loss, x), x.copy()
    if not found:
        return found
    aside = 1e-3 * np.arange(x.size).reshape(x.shape) / x.size
    for nudge in (aside, -aside):
        x[...] = kept + nudge
        found = [] if not off(name, got, loss, x) else found
    x[...] = kept
    return found


class Bench:
    """A layer in a network of its own, at random parameters, input and upstream."""

    def __init__(self, case, batch, train, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        self.train = train
        self.net = Sequential([case.make()], case.in_shape, rng=rng, dtype=dtype)
        self.x = rng.standard_normal((batch, *case.in_shape)).astype(dtype)
        self.dy = rng.standard_normal((batch, *self.net.out_shape)).astype(dtype)

    def forward(self, x=None, *, train=None):
        train = self.train if train is None else train
        return self.net.forward(self.x if x is None else x, train=train, rng=RandomStream(1, "dropout"))

    def both(self, x=None, dy=None, **flags):
        dx = self.net.backward(self.dy if dy is None else dy, self.forward(x)[1], **flags)
        return None if dx is None else dx.copy(), self.net.grads.copy()

    def loss(self):
        return float((self.forward()[0] * self.dy).sum())


def same(a, b, tolerance=1e-9):
    """Whether all arrays of `a` are those of `b`, to within a part of the largest entry."""
    return all(
        p.shape == q.shape and np.allclose(p, q, rtol=0, atol=tolerance * max(np.abs(p).max(initial=0), 1e-30))
        for p, q in zip(a, b, strict=True)
    )


def layer_breaches(case):
    """Sentences, one for each thing that the layer gets wrong."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for train in (True, False):
            for ask in (gradients, flags, upstreams, layouts, passes, precision, buffers):
                try:
                    found += [f"train={train}: {what}" for what in ask(case, train)]
                except Exception as error:
                    found.append(f"train={train}: {ask.__name__} raises {error!r}")
    return found


def gradients(case, train):
    for batch in (1, 2, 5):
        bench = Bench(case, batch, train, seed=batch)
        if batch == 1 and train and refuses(bench):
            continue
        if bench.x.size > 600:
            return
        dx, grads = bench.both()
        yield from off(f"dx at batch {batch}", dx, bench.loss, bench.x)
        yield from off(f"parameters at batch {batch}", grads, bench.loss, bench.net.params)


def refuses(bench):
    """Whether the layer says that this batch is too small, as `Layer` allows."""
    try:
        bench.forward()
    except ShapeError:
        return True
    return False


def flags(case, train):
    bench = Bench(case, 5, train)
    dx, grads = bench.both()
    if not same([2 * grads], bench.both(accumulate=True)[1:]):
        yield "accumulate does not add"
    bench.net.grads[...] = -7
    frozen, untouched = bench.both(need_param_grads=False)
    if not (untouched == -7).all() or not same([dx], [frozen]):
        yield "need_param_grads=False"
    if not same([grads], bench.both(need_input_grad=False)[1:]):
        yield "need_input_grad=False"
    if not same([2 * grads], bench.both(need_input_grad=False, accumulate=True)[1:]):
        yield "accumulate does not add where need_input_grad=False"


def upstreams(case, train):
    bench = Bench(case, 5, train)
    first = bench.both()
    for factor in (1e-6, 1e-2, 37.0, 1e6):
        if not same([factor * a for a in first], bench.both(dy=factor * bench.dy)):
            yield f"backward is not linear: {factor}"
    rows = bench.dy * (np.arange(5) > 1).reshape(-1, *[1] * (bench.dy.ndim - 1))
    parts = zip(bench.both(dy=rows), bench.both(dy=bench.dy - rows), strict=True)
    if not same(first, [a + b for a, b in parts]):
        yield "backward is not additive"


def layouts(case, train):
    bench = Bench(case, 5, train)
    first = bench.both()
    for lay in (lambda a: a[::-1].copy()[::-1], lambda a: np.ascontiguousarray(a.T).T, lambda a: a.repeat(2, 0)[::2]):
        if not same(first, bench.both(lay(bench.x), lay(bench.dy))):
            yield "another answer for another memory layout"
    if any(np.abs(a).max(initial=0) for a in bench.both(dy=0 * bench.dy)):
        yield "a dy of zeros has gradients"
    level = np.broadcast_to(bench.dy[:1], bench.dy.shape)
    if not same(bench.both(dy=level.copy()), bench.both(dy=level)):
        yield "another answer for a broadcast dy"


def passes(case, train):
    bench = Bench(case, 5, train)
    state = [a.copy() for a in (bench.x, bench.dy, bench.net.params, bench.net.buffers)]
    first, (_, cache) = bench.both(), bench.forward()
    other = bench.x[::-1] * 1.5 + 0.1
    bench.forward(other)
    bench.forward(other, train=not train)
    bench.forward(np.concatenate([other, other]))
    if not same(Bench(case, 5, train).both(bench.x[:2], bench.dy[:2]), bench.both(bench.x[:2], bench.dy[:2])):
        yield "a smaller batch has another answer after a larger one"
    for _ in range(2):
        if not same(first, (bench.net.backward(bench.dy, cache), bench.net.grads)):
            yield "another answer after another pass, or the second time"
    if not same(state, (bench.x, bench.dy, bench.net.params, bench.net.buffers), 0):
        yield "a pass changes something"
    if not train:
        alone = np.concatenate([bench.forward(bench.x[i : i + 1])[0] for i in range(5)])
        if not same([bench.forward()[0]], [alone]):
            yield "an example's answer depends on its neighbours"


def precision(case, train):
    bench, single = Bench(case, 5, train), Bench(case, 5, train, np.float32)
    bench.x[...], bench.dy[...], bench.net.params[...] = single.x, single.dy, single.net.params
    bench.net.buffers[...] = single.net.buffers
    (y, _), (y32, _) = bench.forward(), single.forward()
    dx32, grads32 = single.both()
    if not y32.dtype == dx32.dtype == np.float32:
        yield "float64 out of float32"
    if not same([y, *bench.both()], [y32, dx32, grads32], 1e-3):
        yield "wrong in float32"


def buffers(case, train):
    bench = Bench(case, 8, True)
    params, before = bench.net.params.copy(), bench.net.buffers.copy()
    if not train or not before.size:
        return
    judge = Bench(case, 8, False)
    far = np.abs(judge.forward()[0] - bench.forward()[0]).max()
    for _ in range(200):
        bench.net.update_buffers(bench.forward()[1])
    judge.net.buffers[...] = bench.net.buffers
    if np.abs(judge.forward()[0] - bench.forward()[0]).max() > 1.5 * far:
        yield "what update_buffers learns takes inference away from training"
    if not same([params], [bench.net.params], 0):
        yield "update_buffers moves parameters"
    updates = type(bench.net.layers[0]).update_buffers is not Layer.update_buffers
    if updates and same([before], [bench.net.buffers], 0):
        yield "update_buffers moves no buffer"


def pair_breaches(case):
    """Likewise of a pair."""
    forward, backward, *arrays = case.make()
    drawn = {"rng": RandomStream(1, "dropout")} if "rng" in signature(forward).parameters else {}

    def run():
        return forward(*arrays, **{name: RandomStream(1, "dropout") for name in drawn})

    def answers(dy):
        grads = backward(dy, cache)
        return [np.array(g) for g in (grads if isinstance(grads, tuple) else (grads,)) if g is not None]

    y, cache = run()
    dy = np.random.default_rng(9).standard_normal(np.shape(y))
    found, floats = [], [a for a in arrays if isinstance(a, np.ndarray) and a.dtype == float]
    grads = answers(dy)
    for index, (got, x) in enumerate(zip(grads, floats, strict=True)):
        found += nearby(f"argument {index}", got, lambda: float((run()[0] * dy).sum()), x)
    y, cache = run()
    forward(*(0.9 * a if isinstance(a, np.ndarray) and a.dtype == float else a for a in arrays), **drawn)
    if not same(grads, answers(dy)):
        found.append("another answer after another forward")
    for factor in (1e-6, 37.0, 1e6):
        if not same([factor * g for g in grads], answers(factor * dy)):
            found.append(f"backward is not linear: {factor}")
    half = dy * (np.arange(dy.size) % 2).reshape(dy.shape)
    if not same(grads, [a + b for a, b in zip(answers(half), answers(dy - half), strict=True)]):
        found.append("backward is not additive")
    return found
