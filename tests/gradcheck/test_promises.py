"""What a user's layer promises besides its numbers: each breach is reported under its own sentence, no right
layer is refused."""

import re

import numpy as np
import pytest
from promises import KeepsInput, Square, reports, said
from rightlayers import RIGHT, BatchStatistics, Discrimination, Plain, small

from minigan import nn
from minigan.gradcheck import check_layer, check_network
from minigan.nn.init import ones, zeros

# What a layer promises -----------------------------------------------------------------------------------------------


class Ignores(nn.Dense):
    """Accumulates nothing."""

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        if need_param_grads:
            self.param_grads(dy, cache, self.grads)
        return self.input_grad(dy, cache)


class Doubles(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        if need_param_grads:
            kept = {name: grad.copy() for name, grad in self.grads.items()}
            self.param_grads(dy, cache, self.grads)
            for name, grad in self.grads.items():
                grad += grad if accumulate else 0 * kept[name]
        return self.input_grad(dy, cache)


class Skips(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        if need_param_grads and not accumulate:
            self.param_grads(dy, cache, self.grads)
        return self.input_grad(dy, cache)


class AddsToOne(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        bias = self.grads["b"].copy()
        dx = super().backward(
            dy, cache, need_param_grads=need_param_grads, need_input_grad=need_input_grad, accumulate=accumulate
        )
        if need_param_grads and accumulate:
            self.grads["b"] -= bias
        return dx


class NeverFrozen(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        self.write_grads(lambda grads: self.param_grads(dy, cache, grads), accumulate=accumulate)
        return self.input_grad(dy, cache)


class AddsToAllButTheLastLayer(nn.Dense):
    """Accumulates, but not when no input gradient is wanted."""

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        wanted = {"need_param_grads": need_param_grads, "need_input_grad": need_input_grad}
        return super().backward(dy, cache, **wanted, accumulate=accumulate and need_input_grad)


class AddsWhenFrozen(nn.Dense):
    """Frozen, unless it is to accumulate."""

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        wanted = {"need_param_grads": need_param_grads or accumulate, "need_input_grad": need_input_grad}
        return super().backward(dy, cache, **wanted, accumulate=accumulate)


class KeepsFirstWeights(nn.Dense):
    """Right until the weights have moved."""

    def forward(self, x, *, train, rng=None):
        if "transposed" not in vars(self) or self.transposed.dtype != x.dtype:
            self.transposed = self.W.T.copy()
        return super().forward(x, train=train, rng=rng)

    def input_grad(self, dy, cache):
        return dy @ self.transposed


class Tiles(nn.Dense):
    """Takes ten examples at a time, and forgets what is left over."""

    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        if len(dy) > 10:
            grads["W"][...] = cache[: len(dy) // 10 * 10].T @ dy[: len(dy) // 10 * 10]


class FrozenCutsOff(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        dx = super().backward(dy, cache, need_param_grads=need_param_grads, accumulate=accumulate)
        return dx if need_param_grads else 0 * dx


class NeedsInputGrad(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        dy = dy if need_input_grad else 0 * dy
        return super().backward(dy, cache, need_param_grads=need_param_grads, accumulate=accumulate)


class RaisesWithoutInputGrad(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        dx = super().backward(
            dy, cache, need_param_grads=need_param_grads, need_input_grad=need_input_grad, accumulate=accumulate
        )
        return 1.0 * dx


class WritesSomeRows(nn.Layer):
    """An embedding that leaves the gradient of rows that were not looked up as it was."""

    index = np.array([0, 2])

    def params(self, in_shape):
        return {"E": ((4, 4), small)}

    def forward(self, x, *, train, rng=None):
        return x + self.E[self.index].sum(axis=0), x.shape

    def input_grad(self, dy, cache):
        return dy

    def param_grads(self, dy, cache, grads):
        grads["E"][self.index] = dy.sum(axis=0)


class Replaces(nn.Dense):
    def param_grads(self, dy, cache, grads):
        grads["W"] = cache.T @ dy
        grads["b"][...] = dy.sum(axis=0)


class RightAtFive(nn.Dense):
    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        grads["b"][...] *= len(dy) / 5


class WrongAtOne(nn.Dense):
    def input_grad(self, dy, cache):
        return super().input_grad(dy, cache) * (1 if len(dy) > 1 else 2)


class SqueezesOne(Square):
    def forward(self, x, *, train, rng=None):
        return np.squeeze(x * x), x


class FailsAtTen(Square):
    def forward(self, x, *, train, rng=None):
        return x * np.ones((5, 1)) * x, x

    def input_grad(self, dy, cache):
        return 2 * dy * cache


class HalfPrecision(Square):
    def forward(self, x, *, train, rng=None):
        x = x.astype("f2").astype(x.dtype) if x.dtype == np.float32 else x
        return x * x, x


class WrongInSingle(Square):
    def input_grad(self, dy, cache):
        return 2 * dy * cache * (1.001 if cache.dtype == np.float32 else 1)


class DoubleOut(Square):
    def forward(self, x, *, train, rng=None):
        return x * x * np.linspace(0.5, 1, x.shape[-1]), x

    def input_grad(self, dy, cache):
        return 2 * dy * cache * np.linspace(0.5, 1, cache.shape[-1])


class DoubleGradient(Square):
    def input_grad(self, dy, cache):
        return 2 * dy * cache.astype(np.float64)


class SpoilsSingle(Square):
    def forward(self, x, *, train, rng=None):
        y = x.astype(np.float32, copy=False) if x.dtype == np.float32 else x.copy()
        y *= y
        return y, x


class RefusesSingle(Square):
    def forward(self, x, *, train, rng=None):
        if x.dtype != np.float64:
            raise TypeError("float64 only")
        return x * x, x


class OtherShape(Square):
    def out_shape(self, in_shape):
        return (*in_shape[:-1], in_shape[-1] + 1)


class Norm(nn.Layer):
    """Right: mean and variance of the batch in training, running ones at inference. Spoilt below."""

    def params(self, in_shape):
        return {"gamma": (in_shape[-1:], ones)}

    def buffers(self, in_shape):
        return {"running_mean": (in_shape[-1:], zeros), "running_var": (in_shape[-1:], ones)}

    def statistics(self, x, train):
        return (x.mean(axis=0), x.var(axis=0)) if train else (self.running_mean, self.running_var)

    def forward(self, x, *, train, rng=None):
        mean, var = self.statistics(x, train)
        std = np.sqrt(var + x.dtype.type(1e-3))
        h = (x - mean) / std
        return self.gamma * h, (h, std, mean, var, train)

    def input_grad(self, dy, cache):
        h, std, _, _, train = cache
        d = dy * self.gamma
        return (d - d.mean(axis=0) - h * (d * h).mean(axis=0)) / std if train else d / std

    def param_grads(self, dy, cache, grads):
        grads["gamma"][...] = (dy * cache[0]).sum(axis=0)

    def update_buffers(self, cache):
        self.running_mean[...] = 0.9 * self.running_mean + 0.1 * cache[2]
        self.running_var[...] = 0.9 * self.running_var + 0.1 * cache[3]


class WrongSign(Norm):
    def update_buffers(self, cache):
        self.running_mean[...] = 0.9 * self.running_mean - 0.1 * cache[2]
        self.running_var[...] = 0.9 * self.running_var + 0.1 * cache[3]


class WrongSignOfVariance(Norm):
    def update_buffers(self, cache):
        self.running_mean[...] = 0.999 * self.running_mean + 0.001 * cache[2]
        self.running_var[...] = 0.999 * self.running_var - 0.001 * cache[3]


class RunsAway(Norm):
    def update_buffers(self, cache):
        self.running_mean += 0.1 * (self.running_mean - cache[2])
        self.running_var += 0.1 * (cache[3] - self.running_var)


class Alternates(Norm):
    def update_buffers(self, cache):
        self.running_mean[...] = 0.1 * cache[2] - 0.9 * self.running_mean
        self.running_var += 0.1 * (cache[3] - self.running_var)


class MovesWeights(Norm):
    def update_buffers(self, cache):
        super().update_buffers(cache)
        self.gamma *= 0.99


class MovesGradients(Norm):
    def update_buffers(self, cache):
        super().update_buffers(cache)
        self.grads["gamma"][...] = 0


class Rebinds(Norm):
    def update_buffers(self, cache):
        self.running_mean = 0.9 * self.running_mean + 0.1 * cache[2]
        self.running_var[...] = 0.9 * self.running_var + 0.1 * cache[3]


class RebindsInForward(Norm):
    def forward(self, x, *, train, rng=None):
        if train:
            self.running_mean = 0.9 * self.running_mean + 0.1 * x.mean(axis=0)
        return super().forward(x, train=train, rng=rng)

    def update_buffers(self, cache):
        pass


class NeverUpdates(Norm):
    update_buffers = nn.Layer.update_buffers


class UpdatesACopy(Norm):
    def update_buffers(self, cache):
        for buffer, batch in ((self.running_mean.copy(), cache[2]), (self.running_var.copy(), cache[3])):
            buffer += 0.1 * (batch - buffer)


class UpdatesOne(Norm):
    def update_buffers(self, cache):
        self.running_mean[...] = 0.9 * self.running_mean + 0.1 * cache[2]


class ReadsBatch(Norm):
    def statistics(self, x, train):
        return x.mean(axis=0), x.var(axis=0)

    def input_grad(self, dy, cache):
        return super().input_grad(dy, (*cache[:-1], True))


class ReadsSize(Square):
    def forward(self, x, *, train, rng=None):
        return x * x / len(x), x / len(x)


class UpdateFails(Norm):
    def update_buffers(self, cache):
        mean, var = cache
        self.running_mean[...], self.running_var[...] = mean, var


class KeepsStatistics(Norm):
    """Writes into its buffers what the last pass saw, whichever it is asked about."""

    def forward(self, x, *, train, rng=None):
        y, cache = super().forward(x, train=train, rng=rng)
        if train:
            self.last = cache
        return y, cache

    def update_buffers(self, cache):
        super().update_buffers(self.last)


class Hoards(Norm):
    """Adds each batch's mean, and forgets nothing."""

    def update_buffers(self, cache):
        self.running_mean += 0.1 * cache[2]
        self.running_var[...] = 0.9 * self.running_var + 0.1 * cache[3]


class Totals(nn.Layer):
    """Right: sums and counts what it has seen, and divides by the mean of it, at inference alone."""

    def buffers(self, in_shape):
        return {"total": (in_shape[-1:], zeros), "n": ((1,), zeros)}

    def forward(self, x, *, train, rng=None):
        scale = np.ones_like(x[0]) if train else 1 + self.total / np.maximum(self.n, 1)
        return x / scale, (scale, x)

    def input_grad(self, dy, cache):
        return dy / cache[0]

    def update_buffers(self, cache):
        self.total += np.abs(cache[1]).sum(axis=0)
        self.n += len(cache[1])


class LooksBack(nn.Layer):
    """Each example sees those before it, at inference too."""

    def forward(self, x, *, train, rng=None):
        return np.cumsum(x, axis=0), None

    def input_grad(self, dy, cache):
        return np.cumsum(dy[::-1], axis=0)[::-1]


class EmptiesCache(Square):
    def forward(self, x, *, train, rng=None):
        return x * x, [x]

    def input_grad(self, dy, cache):
        return 2 * dy * cache.pop()


BREACHES = {
    "accumulates with dx only": (
        lambda: AddsToAllButTheLastLayer(3),
        r"accumulate=True, need_input_grad=False\) leaves another gradient of W, b",
    ),
    "frozen but accumulating": (
        lambda: AddsWhenFrozen(3),
        r"accumulate=True, need_param_grads=False\) leaves another gradient of W, b",
    ),
    "first weights": (lambda: KeepsFirstWeights(3), "with other weights than those of its first pass .* x is wrong"),
    "tiles of ten": (lambda: Tiles(3), "on a batch of 23 the gradient of W is wrong"),
    "last statistics": (KeepsStatistics, "update_buffers writes what the last forward pass left"),
    "hoards": (Hoards, "adds the batch's statistic to running_mean each time and forgets nothing"),
    "looks back": (LooksBack, "at inference the output of an example depends on its neighbours"),
    "empties its cache": (EmptiesCache, r"a second backward on the same cache fails \(IndexError"),
    "accumulate ignored": (lambda: Ignores(3), "accumulate=True does not add the gradient of W .*it is ignored"),
    "accumulate twice": (lambda: Doubles(3), "gradient of W .*and the gradient then added to itself"),
    "accumulate writes nothing": (lambda: Skips(3), "gradient of b .*nothing is written"),
    "accumulate for one of two": (lambda: AddsToOne(3), "does not add the gradient of b .*it is ignored"),
    "never frozen": (lambda: NeverFrozen(3), r"need_param_grads=False\) writes the gradient of W, b"),
    "frozen cuts off": (lambda: FrozenCutsOff(3), r"need_param_grads=False\) returns another dx"),
    "no input gradient": (lambda: NeedsInputGrad(3), r"need_input_grad=False\) writes another gradient of W, b"),
    "raises without": (lambda: RaisesWithoutInputGrad(3), r"need_input_grad=False\) fails \(TypeError"),
    "writes some rows": (WritesSomeRows, "leaves entries of the gradient of E as it finds them"),
    "replaces": (lambda: Replaces(3), r'grads\["W"\] = … replaces the entry'),
    "right at five": (
        lambda: RightAtFive(3),
        "on a batch of 1 the gradient of b is wrong.*on a batch of 2 .*on a batch of 10 .*on a batch of 23",
    ),
    "wrong at one": (lambda: WrongAtOne(3), "on a batch of 1 the gradient of x is wrong"),
    "squeezes": (SqueezesOne, r"on a batch of 1 y has shape \(4,\) where"),
    "fails at ten": (FailsAtTen, r"on a batch of 1 y has shape \(5, 4\) where.*on a batch of 10 forward fails"),
    "half precision": (HalfPrecision, "float32 gives another y"),
    "wrong in float32": (WrongInSingle, "float32 gives another gradient of x than float64"),
    "float64 out": (DoubleOut, r"float64 out of a float32 network: y is float64 where x is float32"),
    "float64 gradient": (DoubleGradient, "float64 out of a float32 network: dx is float64"),
    "spoils float32": (SpoilsSingle, "a pass in float32 changes x"),
    "refuses float32": (RefusesSingle, "in float32 a pass fails .*float64 only"),
    "another shape": (OtherShape, r"y has shape \(5, 4\) where out_shape says \(5, 5\)"),
    "sign of the mean": (WrongSign, "gives running_mean the wrong sign"),
    "sign of the variance": (WrongSignOfVariance, "gives running_var the wrong sign"),
    "runs away": (RunsAway, "moves running_mean away from the batch's statistic, .*1.1 times"),
    "alternates": (Alternates, "turns the sign of what running_mean held"),
    "moves weights": (MovesWeights, "update_buffers changes the parameters"),
    "moves gradients": (MovesGradients, "update_buffers changes the gradients"),
    "rebinds": (Rebinds, r"self\.running_mean = … puts another array"),
    "rebinds in forward": (RebindsInForward, r"self\.running_mean = … puts another array"),
    "never updates": (NeverUpdates, "never writes running_mean, running_var"),
    "updates a copy": (UpdatesACopy, "never writes running_mean, running_var"),
    "updates one of two": (UpdatesOne, "never writes running_var"),
    "reads the batch": (ReadsBatch, "at inference the output of an example depends on its neighbours"),
    "reads the batch's size": (ReadsSize, "at inference the output of an example depends on the size of the batch"),
    "update fails": (UpdateFails, r"update_buffers fails after a training pass \(ValueError"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_promise_that_is_broken_is_named(name):
    make, sentence = BREACHES[name]
    assert re.search(sentence, said(make(), (4,))), said(make(), (4,))


# What must not be refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if i % 2 else ()) for i, name in enumerate(RIGHT)]
)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_right_layer_of_a_kind_that_minigan_does_not_have_passes(name, seed):
    make, in_shape = RIGHT[name]
    for report in reports(make(), in_shape, seed=seed):
        assert report, str(report)
        assert not report.cautions, str(report)


def test_a_sum_and_a_count_that_only_inference_reads_are_no_statistic_that_should_decay():
    for seed in range(3):
        assert said(Totals(), (4,), seed=seed) == ""


def test_a_layer_that_is_steep_at_a_point_breaks_no_promise():
    for f, derivative in ((lambda x: 1 / x, lambda x: -1 / (x * x)), (lambda x: np.log(np.abs(x)), lambda x: 1 / x)):
        for seed in range(2):
            for report in reports(Plain(f, derivative), (6,), seed=seed):
                assert report.problems == [], str(report)


def test_a_layer_that_refuses_one_example_in_training_alone_passes_and_no_warning_escapes():
    class Refuses(BatchStatistics):
        def forward(self, x, *, train, rng=None):
            if train and len(x) == 1:
                raise ValueError("one example has no spread")
            return super().forward(x, train=train, rng=rng)

    for make in (Refuses, lambda: BatchStatistics(ddof=1)):  # the second divides by n - 1, and NumPy warns
        assert all(reports(make(), (4,)))
    with pytest.warns(RuntimeWarning):
        np.zeros((1, 2)).var(axis=0, ddof=1)


def test_whoever_asks_for_the_numbers_alone_gets_them():
    assert not check_layer(Ignores(3), (4,))
    assert check_layer(Ignores(3), (4,), pure=False)


def test_a_layer_means_its_examples_to_be_seen_together_if_it_says_so():
    class Silent(Discrimination):
        across_batch = False

    assert "across_batch = True" in said(Silent(), (3,))


@pytest.mark.parametrize("batch", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.slow)])
def test_the_promises_are_kept_from_any_batch(batch):
    for name in ("layer norm", "GELU", "attention", "weight norm", "Gaussian dropout", "power iteration"):
        make, in_shape = RIGHT[name]
        for report in reports(make(), in_shape, batch=batch):
            assert report, str(report)


def test_a_network_keeps_its_promises_and_a_layer_within_it_that_breaks_one_is_reported():
    rng = np.random.default_rng(0)

    def network(layer):
        return nn.Sequential([nn.Dense(4), layer, nn.Tanh(), nn.Dense(2)], (3,), rng=rng)

    assert check_network(network(Norm()))
    assert check_network(network(Discrimination()), train=False)
    for layer, train, sentence in (
        (Ignores(3), True, "accumulate=True does not add the gradient of 1.Ignores.W"),
        (NeverFrozen(3), True, "writes the gradient of 1.NeverFrozen.W"),
        (RightAtFive(3), True, "on a batch of 23 the gradient of 1.RightAtFive.b is wrong"),
        (DoubleOut(), True, "y of DoubleOut() is float64"),
        (KeepsInput(), False, "depends on the last forward pass"),
        (ReadsBatch(), False, "at inference the output of an example depends on its neighbours"),
        (MovesWeights(), True, "update_buffers changes the parameters"),
        (Rebinds(), True, "self.running_mean = … puts another array"),
        (Replaces(3), True, 'grads["W"] = … replaces the entry'),
    ):
        problems = check_network(network(layer), train=train).problems
        assert any(sentence in problem for problem in problems), problems
