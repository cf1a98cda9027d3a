"""Every cause is named for several functions that make the mistake, and no other cause with it."""

import re

import numpy as np
import pytest
from planted import (
    BCE,
    TARGETS,
    Pair,
    at,
    conv,
    dense,
    draw,
    elementwise,
    embedding,
    flipped,
    last_one_wins,
    loss,
    mean_square,
    norm,
    pooled,
    pooled_everywhere,
    residual,
    scale,
    scale_backward,
    sigmoid,
    softmax,
    softmax_pair,
    spread,
    tanh,
)

#: {the cause: (what is said of it, {a name: (a pair, the mistake, the gradient it is in)})}
KINDS = {
    "approximated": (
        r"approximated, and right to about \de-0[67]",
        {
            "1 + 3e-7 in a dense layer": (dense(), lambda g, *_: g * (1 + 3e-7), 1),
            "1 - 8e-7 in an activation": (tanh, lambda g, *_: g * (1 - 8e-7), 0),
            "noise of 1e-6": (conv(), lambda g, *_: g * (1 + 1e-6 * draw(*g.shape, seed=9)), 1),
            "a one-sided difference": (tanh, lambda g, dy, x: dy * (np.tanh(x + 1e-6) - np.tanh(x)) / 1e-6, 0),
        },
    ),
    "rounded": (
        r"it is rounded: every entry (is a number of float\d\d|has \d decimals)",
        {
            "float16": (dense(), lambda g, *_: g.astype(np.float16).astype(float), 0),
            "float32": (conv(), lambda g, *_: (g * (1 + 1e-6)).astype(np.float32).astype(float), 1),
            "decimals": (tanh, lambda g, *_: np.round(g, 4), 0),
        },
    ),
    "outputs": (
        r"3 times what it should be, which is the size of the last axis of y, 3",
        {
            "a dense layer's dx": (dense(5, 4, 3), lambda g, *_: 3 * g, 0),
            "its db": (dense(5, 4, 3), lambda g, *_: 3 * g, 2),
        },
    ),
    "places": (
        r"which is( 1/)?.*(the size of axes 1, 2 of x|entries of x to one of y|entries of y to one of x)",
        {
            "a global mean": (pooled_everywhere(), lambda g, *_: 15 * g, 0),
            "a global mean, twice": (pooled_everywhere(), lambda g, *_: g / 15, 0),
            "a window's mean": (pooled(), lambda g, *_: 4 * g, 0),
            "an enlargement": (
                Pair(lambda x: (x.repeat(3, 1), 0), lambda dy, _: dy.reshape(4, 5, 3).sum(2), draw(4, 5)),
                lambda g, *_: g / 3,
                0,
            ),
        },
    ),
    "mean of a loss": (
        r"which is (1/15, with 15 )?the (number of entries|size of the last axis of x|size of axis 0 of x)(:|, \d+:)",
        {
            "over all entries": (mean_square(TARGETS), lambda g, *_: g * 15, 0),
            "over all, twice": (mean_square(TARGETS), lambda g, *_: g / 15, 0),
            "over the batch alone": (mean_square(TARGETS), lambda g, *_: g * 3, 0),
            "over the classes alone": (mean_square(TARGETS), lambda g, *_: g * 5, 0),
        },
    ),
    "2": (
        r"which may be a (1/2|2) of the formula",
        {
            "x² without its 2": (elementwise(np.square, lambda x: 2 * x), lambda g, *_: g / 2, 0),
            "the mean square without its 2": (mean_square(TARGETS), lambda g, *_: g / 2, 0),
            "a root with a 2 too many": (
                loss(np.linalg.norm, lambda x: x / np.linalg.norm(x), draw(7)),
                lambda g, *_: 2 * g,
                0,
            ),
        },
    ),
    "a constant": (
        r"which is (log 2|180/π|6/7|√6)",
        {
            "log 2": (
                elementwise(lambda x: np.log2(x * x + 1), lambda x: 2 * x / (x * x + 1) / np.log(2)),
                lambda g, *_: g * np.log(2),
                0,
            ),
            "degrees": (
                elementwise(lambda x: np.sin(np.deg2rad(x)), lambda x: np.pi / 180 * np.cos(np.deg2rad(x))),
                lambda g, *_: g * 180 / np.pi,
                0,
            ),
            "n - 1": (
                loss(lambda x: x.var(ddof=1), lambda x: 2 * (x - x.mean()) / 6, draw(7)),
                lambda g, *_: g * 6 / 7,
                0,
            ),
            "√n": (scale(), lambda g, *_: g * np.sqrt(6), 0),
        },
    ),
    "one entry": (
        r"^one entry alone is wrong, at \[\d(, \d)*\]: ",
        {
            "of an activation": (tanh, at((2, 1), lambda v: 1.5 * v), 0),
            "of a weight": (dense(), at((0, 0), lambda v: -v), 1),
            "of a kernel": (conv(), at((1, 2, 0, 1), lambda v: 0 * v), 1),
            "of a symmetric array": (
                loss(lambda x: (x * x).sum(), lambda x: 2 * x, np.array([1.0, 2.0, 1.0])),
                at(0, lambda v: v + 1),
                0,
            ),
        },
    ),
    "two entries": (
        "two entries alone are wrong: .* have each other's value",
        {
            "of a weight": (dense(), lambda g, *_: at(((0, 1), (0, 2)), lambda v: v[::-1])(g, 0, 0), 1),
            "of an activation": (tanh, lambda g, *_: at(((0, 4), (3, 2)), lambda v: v[::-1])(g, 0, 0), 0),
        },
    ),
    "one slice": (
        r"^all wrong entries lie at index \d of axis \d",
        {
            "a row of an activation": (tanh, at(2, np.square), 0),
            "a column of it": (tanh, at((slice(None), 3), lambda v: 1 + v * v), 0),
            "a row of zeros": (dense(), at(1, lambda v: 0 * v), 1),
            "a row of the wrong sign": (dense(), at((slice(None), 0), lambda v: -v), 1),
            "a tap": (conv(), at(1, lambda v: 3 * v), 1),
        },
    ),
    "some are a multiple": (
        r"^\d+ of \d+ entries are [\d.e-]+ times what they should be, the others are right",
        {
            "a block": (dense(), at((slice(0, 2), slice(0, 2)), lambda v: v / 2), 1),
            "the diagonal": (dense(), lambda g, *_: g * (1 + np.eye(4)), 1),
            "every other column": (dense(), at((slice(None), slice(1, None, 2)), lambda v: 2 * v), 1),
            "the edge": (
                elementwise(np.sin, np.cos, draw(5, 5)),
                lambda g, *_: g * np.where((np.indices(g.shape) % 4 == 0).any(0), 2, 1),
                0,
            ),
        },
    ),
    "signs": (
        r"^the sign of \d+ of \d+ entries is wrong, the others are right",
        {
            "log|x|": (elementwise(lambda x: np.log(abs(x)), lambda x: 1 / x), lambda g, dy, x: dy / abs(x), 0),
            "a conjugate": (dense(), at((slice(None), slice(2, None)), lambda v: -v), 1),
        },
    ),
    "clipped": (
        "^it is clipped: what should be",
        {
            "at 1": (dense(), lambda g, *_: np.clip(g, -1, 1), 0),
            "at 0": (conv(), lambda g, *_: np.maximum(g, 0), 1),
        },
    ),
    "turned": (
        r"(it|w) is turned by 180°",
        {
            "a kernel's gradient": (conv(), flipped(0, 1), 1),
            "the kernel in dx": (conv(), lambda g, dy, c: spread(dy, c[1][::-1, ::-1], g.shape), 0),
            "a weight's gradient": (dense(), flipped(0, 1), 1),
        },
    ),
    "reversed": (
        "reverse order along axis",
        {
            "a kernel along one axis": (conv(), flipped(0), 1),
            "the kernel in dx along one axis": (conv(), lambda g, dy, c: spread(dy, c[1][:, ::-1], g.shape), 0),
            "a bias": (dense(), flipped(0), 2),
        },
    ),
    "shifted": (
        r"a shifted index: right numbers, [12] too far (on|back) along axis \d",
        {
            "a kernel by a tap": (conv(), lambda g, *_: np.roll(g, 1, axis=0), 1),
            "by a tap, with the edge lost": (
                conv(),
                lambda g, *_: np.concatenate([0 * g[:, :1], g[:, :-1]], axis=1),
                1,
            ),
            "an image by its padding": (conv(), lambda g, *_: np.roll(g, (1, 1), (1, 2)), 0),
            "an embedding by one": (embedding(), lambda g, *_: np.roll(g, 1, axis=0), 0),
            "a padding cut off elsewhere": (
                Pair(lambda x: (np.pad(x, ((0, 0), (1, 2))), 0), lambda dy, _: dy[:, 1:-2], draw(3, 6)),
                lambda g, dy, _: dy[:, 2:-1],
                0,
            ),
        },
    ),
    "halves": (
        r"the two halves along axis \d are exchanged",
        {
            "of a gated unit": (
                Pair(
                    lambda x: (x[:, :3] * sigmoid(x[:, 3:]), x),
                    lambda dy, x: np.concatenate(
                        [dy * sigmoid(x[:, 3:]), dy * x[:, :3] * sigmoid(x[:, 3:]) * sigmoid(-x[:, 3:])], axis=1
                    ),
                    draw(4, 6),
                ),
                lambda g, *_: np.roll(g, 3, axis=1),
                0,
            ),
            "of a weight": (dense(), lambda g, *_: np.concatenate([g[:, 2:], g[:, :2]], axis=1), 1),
            "of a bias": (dense(), lambda g, *_: np.roll(g, 2), 2),
        },
    ),
    "blocks": (
        r"the \d blocks along axis \d are in the order|is taken for \(\d, \d\)|right numbers in another order",
        {
            "gates": (dense(5, 4, 8), lambda g, *_: g.reshape(4, 4, 2)[:, [0, 1, 3, 2]].reshape(4, 8), 1),
            "groups for members": (dense(5, 4, 8), lambda g, *_: g.reshape(4, 2, 4).swapaxes(1, 2).reshape(4, 8), 1),
            "columns": (dense(5, 4, 5), lambda g, *_: g[:, [2, 0, 1, 4, 3]], 1),
        },
    ),
    "transposed": (
        "it is transposed|not transposed where|axes .* were taken for|first two axes swapped",
        {
            "a gradient": (dense(), lambda g, *_: g.T, 1),
            "the weight": (dense(), lambda g, dy, c: dy @ c[1], 0),
            "a kernel": (conv(), lambda g, *_: g.swapaxes(0, 1), 1),
            "the kernel in dx": (conv(), lambda g, dy, c: spread(dy, c[1].swapaxes(0, 1), g.shape), 0),
            "dy": (
                Pair(
                    lambda a, b: (np.outer(a, b), (a, b)),
                    lambda dy, c: (dy @ c[1], c[0] @ dy),
                    draw(4),
                    draw(4, seed=1),
                ),
                lambda g, dy, c: dy.T @ c[1],
                0,
            ),
        },
    ),
    "symmetrised": (
        r"made (anti)?symmetric|(lower|upper) triangle",
        {
            "the half sum": (dense(), lambda g, *_: (g + g.T) / 2, 1),
            "the sum": (dense(), lambda g, *_: g + g.T, 1),
            "the sum, the diagonal once": (dense(), lambda g, *_: g + g.T - np.diag(np.diag(g)), 1),
            "the lower triangle": (dense(), lambda g, *_: np.tril(g), 1),
            "the upper one, mirrored": (dense(), lambda g, *_: np.triu(g) + np.triu(g, 1).T, 1),
        },
    ),
    "no add.at": (
        r"only the (first|last) is there: it is written where it should be added|the mean is there, where the sum",
        {
            "an embedding": (embedding(), last_one_wins, 0),
            "an embedding's mean": (embedding(), lambda g, *_: g / np.array([2, 1, 3, 1, 1])[:, None], 0),
            "one row alone": (
                Pair(
                    lambda E: (E[[0, 1, 1, 3]], 0),
                    lambda dy, _: np.stack([dy[0], dy[1] + dy[2], 0 * dy[0], dy[3]]),
                    draw(4, 3),
                ),
                lambda g, dy, _: np.stack([dy[0], dy[2], 0 * dy[0], dy[3]]),
                0,
            ),
            "windows": (conv(), lambda g, dy, c: spread(dy, c[1], g.shape, lambda old, new: new), 0),
        },
    ),
    "levelled": (
        "it is the (mean|sum) over ax[ie]s .* of what it should be",
        {
            "a mean over a middle axis": (
                conv(),
                lambda g, *_: np.broadcast_to(g.mean(axis=1, keepdims=True), g.shape),
                0,
            ),
            "a sum over the last": (dense(), lambda g, *_: np.broadcast_to(g.sum(axis=1, keepdims=True), g.shape), 1),
            "a sum over two axes": (
                conv(),
                lambda g, *_: np.broadcast_to(g.sum(axis=(0, 1), keepdims=True), g.shape),
                1,
            ),
        },
    ),
    "a part of the sum": (
        r"only the (first|last) (image|index of y's axis 1) is counted|(first|last) (image|index.*) is left out",
        {
            "the last image alone": (dense(), lambda g, dy, c: np.outer(c[0][-1], dy[-1]), 1),
            "all but the last": (dense(), lambda g, dy, c: c[0][:-1].T @ dy[:-1], 1),
            "one place": (conv(), lambda g, dy, c: np.einsum("nwcij,nwf->ijcf", c[2][:, 0], dy[:, 0]), 1),
            "all but one": (conv(), lambda g, dy, c: np.einsum("nhwcij,nhwf->ijcf", c[2][:, 1:], dy[:, 1:]), 1),
            "a bias": (dense(), lambda g, dy, c: dy[0], 2),
            "a weight as long as the batch": (dense(5, 5, 3), lambda g, dy, c: np.outer(c[0][-1], dy[-1]), 1),
            "a tap in dx": (
                conv(),
                lambda g, dy, c: spread(dy, c[1] * (np.arange(3) < 2)[:, None, None, None], g.shape),
                0,
            ),
        },
    ),
    "another image": (
        "dy is not that of the same image",
        {
            "rolled": (dense(), lambda g, dy, c: np.roll(c[0], 1, axis=0).T @ dy, 1),
            "reversed": (dense(), lambda g, dy, c: c[0][::-1].T @ dy, 1),
            "rolled in a scale": (scale(), lambda g, dy, c: (np.roll(c[0], 1, axis=0) * dy).sum(axis=0), 1),
        },
    ),
    "dy twice": (
        r"dy is multiplied by twice",
        {
            "a weight": (dense(), lambda g, dy, c: c[0].T @ (dy * dy), 1),
            "an activation": (tanh, lambda g, dy, x: g * dy, 0),
            "a loss": (mean_square(TARGETS), lambda g, dy, x: g * dy, 0),
        },
    ),
    "dy missing": (
        r"dy is missing",
        {
            "a weight": (dense(), lambda g, dy, c: c[0].T @ np.ones_like(dy), 1),
            "an activation": (tanh, lambda g, dy, x: 1 - np.tanh(x) ** 2, 0),
            "a loss": (mean_square(TARGETS), lambda g, dy, x: g / dy, 0),
        },
    ),
    "another array's": (
        "it is the gradient of [gWxyab]",
        {
            "dgamma is dbeta": (
                Pair(
                    lambda x, g, b: (x * g + b, (x, g)),
                    lambda dy, c: (*scale_backward(dy, c), dy.sum(0)),
                    draw(5, 6),
                    draw(6, seed=1),
                    draw(6, seed=2),
                ),
                lambda g, dy, c: (dy * c[0]).sum(0),
                2,
            ),
            "a product's": (
                Pair(
                    lambda a, b: (a * b, (a, b)), lambda dy, c: (dy * c[1], dy * c[0]), draw(4, 3), draw(4, 3, seed=1)
                ),
                lambda g, dy, c: dy * c[0],
                0,
            ),
        },
    ),
    "a term": (
        r"dy itself is (missing|too many)|off by -?[\d.]+ times dy",
        {
            "no way past": (residual, lambda g, dy, x: g - dy, 0),
            "a way past too many": (tanh, lambda g, dy, x: g + dy, 0),
            "half of a way past": (residual, lambda g, dy, x: g - dy / 2, 0),
            "x·dy": (
                elementwise(lambda x: x * sigmoid(x), lambda x: sigmoid(x) + x * sigmoid(x) * sigmoid(-x)),
                lambda g, dy, x: g - 0.3 * dy * x,
                0,
            ),
        },
    ),
    "decay": (
        r"(W|g|w) itself is in it, [\d.e-]+ times: weight decay",
        {
            "in a dense layer": (dense(), lambda g, dy, c: g + 0.1 * c[1], 1),
            "a very small one": (dense(), lambda g, dy, c: g + 2e-6 * c[1], 1),
            "in a convolution": (conv(), lambda g, dy, c: g + 0.01 * c[1], 1),
            "in a scale": (scale(), lambda g, dy, c: g + c[1], 1),
        },
    ),
    "constant": (
        r"off by the same amount",
        {
            "everywhere": (dense(), lambda g, *_: g + 0.3, 0),
            "in every image": (dense(), lambda g, *_: g + np.arange(4.0), 0),
            "along the features": (tanh, lambda g, *_: g - g.mean(axis=1, keepdims=True), 0),
        },
    ),
    "statistics": (
        r"(mean|variance|norm|softmax).* (is|are) (missing, or wrong|taken for)",
        {
            "a layer norm without them": (norm(), lambda g, dy, c: dy / c[1], 0),
            "without its mean": (norm(), lambda g, dy, c: g + dy.mean(-1, keepdims=True) / c[1], 0),
            "with sums for means": (
                norm(),
                lambda g, dy, c: g - 5 * c[0] * (dy * c[0]).mean(-1, keepdims=True) / c[1],
                0,
            ),
            "an instance norm without its variance": (
                norm((1, 2), shape=(2, 3, 3, 2)),
                lambda g, dy, c: g + c[0] * (dy * c[0]).mean((1, 2), keepdims=True) / c[1],
                0,
            ),
            "an RMS norm without it": (norm(mean=False), lambda g, dy, c: dy / c[1], 0),
            "a softmax without its sum": (softmax_pair(), lambda g, dy, y: dy * y, 0),
            "a softmax with the wrong sign": (
                softmax_pair(),
                lambda g, dy, y: y * (dy + (dy * y).sum(-1, keepdims=True)),
                0,
            ),
            "a Frobenius norm": (norm((0, 1), mean=False), lambda g, dy, c: dy / c[1], 0),
        },
    ),
    "divided": (
        r"a factor of its own .* (standard deviation|norm|root mean square) of x",
        {
            "a layer norm": (norm(), lambda g, dy, c: g * c[1], 0),
            "a layer norm, twice": (norm(), lambda g, dy, c: g / c[1], 0),
            "an RMS norm": (norm(mean=False), lambda g, dy, c: g * c[1], 0),
        },
    ),
    "a factor that is a function": (
        r"is a factor too many|the factor .* is missing",
        {
            "logits": (BCE, lambda g, dy, p: g * p * (1 - p), 0),
            "gamma": (scale(), lambda g, dy, c: g * c[1], 0),
            "a power": (elementwise(lambda x: x**3, lambda x: 3 * x * x), lambda g, dy, x: 3 * dy * x, 0),
            "y": (softmax_pair(), lambda g, dy, y: g / y, 0),
        },
    ),
    "another function": (
        r"it is the gradient of (log y|e\^y)",
        {
            "log softmax": (softmax_pair(), lambda g, dy, y: dy - y * dy.sum(-1, keepdims=True), 0),
            "softmax": (
                Pair(
                    lambda x: (np.log(softmax(x)), softmax(x)),
                    lambda dy, y: dy - y * dy.sum(-1, keepdims=True),
                    draw(5, 4),
                ),
                lambda g, dy, y: y * (dy - (dy * y).sum(-1, keepdims=True)),
                0,
            ),
        },
    ),
    "diagonal": (
        "the diagonal of the Jacobian",
        {"of softmax": (softmax_pair(), lambda g, dy, y: dy * y * (1 - y), 0)},
    ),
    "itself": (
        "it is -?dy itself",
        {
            "of a softmax": (softmax_pair(), lambda g, dy, y: dy, 0),
            "of an activation": (tanh, lambda g, dy, x: dy, 0),
            "of a sum that runs": (
                Pair(lambda x: (np.cumsum(x, 1), 0), lambda dy, _: np.cumsum(dy[:, ::-1], 1)[:, ::-1], draw(4, 5)),
                lambda g, dy, _: dy,
                0,
            ),
        },
    ),
    "direction": (
        "it goes in the wrong direction",
        {
            "of a sum that runs": (
                Pair(lambda x: (np.cumsum(x, 1), 0), lambda dy, _: np.cumsum(dy[:, ::-1], 1)[:, ::-1], draw(4, 5)),
                lambda g, dy, _: np.cumsum(dy, 1),
                0,
            )
        },
    ),
    "left out": (
        "is left out of the derivative: as if it were [01]",
        {
            "a bias, of a tanh": (
                Pair(
                    lambda x, b: (np.tanh(x + b), (x, b)),
                    lambda dy, c: (dy * (1 - np.tanh(sum(c)) ** 2), (dy * (1 - np.tanh(sum(c)) ** 2)).sum(0)),
                    draw(5, 4),
                    draw(4, seed=1),
                ),
                lambda g, dy, c: dy * (1 - np.tanh(c[0]) ** 2),
                0,
            )
        },
    ),
    "one side": (
        r"wrong (where x < 0|in \d+ of \d+ entries; all of them lie where)",
        {
            "an ELU": (
                elementwise(lambda x: np.where(x > 0, x, np.exp(x) - 1), lambda x: np.where(x > 0, 1, np.exp(x))),
                lambda g, dy, x: dy * np.where(x > 0, 1, np.exp(x) - 1),
                0,
            ),
            "a Huber loss": (
                elementwise(lambda x: np.where(abs(x) < 1, x * x / 2, abs(x) - 0.5), lambda x: np.clip(x, -1, 1)),
                lambda g, dy, x: dy * x,
                0,
            ),
        },
    ),
    "at kinks": (
        "^right but at kinks: ",
        {
            "a ReLU": (
                elementwise(lambda x: np.maximum(x, 0), lambda x: x > 0, np.where(draw(5, 4) > 1, 0, draw(5, 4))),
                lambda g, dy, x: dy * np.where(x == 0, 2, x > 0),
                0,
            ),
            "an absolute value": (
                elementwise(np.abs, np.sign, np.array([[0.0, 1.0, -2.0], [3.0, 0.0, 1.0]])),
                lambda g, dy, x: dy * np.where(x == 0, 1.5, np.sign(x)),
                0,
            ),
        },
    ),
}
PLANTED = [
    pytest.param(kind, name, marks=[pytest.mark.slow] if i else [])
    for kind, (_, cases) in KINDS.items()
    for i, name in enumerate(cases)
]


def assert_named(kind, name, **options):
    said, cases = KINDS[kind]
    pair, mistake, array = cases[name]
    causes = list(pair.causes(mistake, array, **options).values())
    assert len(causes) == 1
    assert re.search(said, causes[0]), causes[0]
    assert not {k for k, (other, _) in KINDS.items() if re.search(other, causes[0])} - {kind}, causes[0]


@pytest.mark.parametrize(("kind", "name"), PLANTED)
def test_a_planted_mistake_is_named_and_no_other(kind, name):
    assert_named(kind, name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_so_it_is_for_other_upstreams(kind):
    for name in KINDS[kind][1]:
        for seed in (1, 2):
            assert_named(kind, name, seed=seed)
