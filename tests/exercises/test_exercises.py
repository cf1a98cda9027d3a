"""The exercises: right solutions pass and train, wrong ones are told why."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from minigan import exercises, gan, losses, nn, optim, recipes, train
from minigan.cli.main import main
from minigan.errors import ArgumentError
from minigan.exercises import DRAWN, READ, STUBS, USERS, classifier, plugged_in, stub_path, work_on, write_stub
from minigan.exercises.checks.adam import MISTAKES, wrong_adam
from minigan.exercises.verify import verify
from minigan.recipes import mlp
from minigan.recipes.loading import load_file

SEEN = """
def seen(x, i, j, stride, counts):
    rows, columns = (slice(at, at + s * (n - 1) + 1, s) for at, s, n in zip((i, j), stride, counts, strict=True))
    return x[:, rows, columns]


class"""

SOLUTIONS = {
    "dense": {
        'raise NotImplementedError("y = x W + b")': "return x @ self.W + (self.b if self.bias else 0), x",
        'raise NotImplementedError("dx, with the shape of x")': "return dy @ self.W.T",
        'raise NotImplementedError("dW and db; every axis of x but the last counts as batch")': (
            "rows = dy.reshape(-1, dy.shape[-1])\n"
            '        grads["W"][...] = cache.reshape(-1, cache.shape[-1]).T @ rows\n'
            '        if self.bias:\n            grads["b"][...] = rows.sum(axis=0)'
        ),
    },
    "batchnorm": {
        'raise NotImplementedError("y and a BatchNormCache")': (
            "over = tuple(range(x.ndim - 1))\n"
            "        mean, var = (x.mean(over), x.var(over)) if train else (self.running_mean, self.running_var)\n"
            "        inv_std = 1 / (var + self.eps) ** 0.5\n"
            "        x_hat = (x - mean) * inv_std\n"
            "        y = x_hat * self.gamma + self.beta\n"
            "        return y, BatchNormCache(x_hat, inv_std, (mean, var) if train else None)"
        ),
        'raise NotImplementedError("dx: x reaches y directly, through the mean, and through the variance")': (
            "over = tuple(range(dy.ndim - 1))\n"
            "        if cache.batch is None:\n            return dy * self.gamma * cache.inv_std\n"
            "        inner = dy - dy.mean(over) - cache.x_hat * (dy * cache.x_hat).mean(over)\n"
            "        return self.gamma * cache.inv_std * inner"
        ),
        'raise NotImplementedError("dgamma and dbeta: sums over every axis but the last")': (
            "over = tuple(range(dy.ndim - 1))\n"
            '        grads["gamma"][...] = (dy * cache.x_hat).sum(over)\n        grads["beta"][...] = dy.sum(over)'
        ),
    },
    "dropout": {
        'raise NotImplementedError("y = x·m / (1 - drop) in training, x at inference")': (
            "if not train:\n            return x, 1.0\n"
            "        mask = (rng.uniform(x.shape) < 1 - self.drop) / x.dtype.type(1 - self.drop)\n"
            "        mask = self.m = mask.astype(x.dtype)\n        return x * mask, mask"
        ),
        'raise NotImplementedError("dx: the same features are silent on the way back")': "return dy * cache",
    },
    "conv2d": {
        "\nclass": SEEN,
        'raise NotImplementedError("y: at each window the sum of what it sees, weighted by the kernel, plus b")': (
            "(KH, KW), stride, pad, (OH, OW) = self.windows(x.shape[1:3])\n"
            "        padded = np.pad(x, ((0, 0), *pad, (0, 0)))\n"
            "        y = np.zeros((len(x), OH, OW, self.channels), x.dtype)\n"
            "        for i, j in np.ndindex(KH, KW):\n"
            "            y += seen(padded, i, j, stride, (OH, OW)) @ self.W[i, j]\n"
            "        return y + (self.b if self.bias else 0), x"
        ),
        'raise NotImplementedError("dx: what a pixel gets from one window is added to what it gets from the others")': (
            "N, H, W, C = cache.shape\n"
            "        (KH, KW), stride, ((top, bottom), (left, right)), (OH, OW) = self.windows((H, W))\n"
            "        dx = np.zeros((N, top + H + bottom, left + W + right, C), dy.dtype)\n"
            "        for i, j in np.ndindex(KH, KW):\n"
            "            seen(dx, i, j, stride, (OH, OW))[...] += dy @ self.W[i, j].T\n"
            "        return dx[:, top : top + H, left : left + W]"
        ),
        'raise NotImplementedError("dW and db: the same weights are at work at every place of every image")': (
            "(KH, KW), stride, pad, (OH, OW) = self.windows(cache.shape[1:3])\n"
            "        padded, rows = np.pad(cache, ((0, 0), *pad, (0, 0))), dy.reshape(-1, dy.shape[-1])\n"
            "        for i, j in np.ndindex(KH, KW):\n"
            "            part = seen(padded, i, j, stride, (OH, OW))\n"
            '            grads["W"][i, j] = part.reshape(-1, part.shape[-1]).T @ rows\n'
            '        if self.bias:\n            grads["b"][...] = rows.sum(axis=0)'
        ),
    },
    "conv-transpose2d": {
        "\nclass": SEEN,
        'raise NotImplementedError("y: the stamps on an image with its margins, which are then cut off; plus b")': (
            "OH, OW = self.out_size(x.shape[1:3])\n"
            "        (KH, KW), stride, ((top, bottom), (left, right)), counts = self.windows((OH, OW))\n"
            "        y = np.zeros((len(x), top + OH + bottom, left + OW + right, self.channels), x.dtype)\n"
            "        for i, j in np.ndindex(KH, KW):\n"
            "            seen(y, i, j, stride, counts)[...] += x @ self.W[i, j].T\n"
            "        return y[:, top : top + OH, left : left + OW] + (self.b if self.bias else 0), x"
        ),
        'raise NotImplementedError("dx: each input value collects from all that it has stamped; dy outside y is 0")': (
            "(KH, KW), stride, pad, counts = self.windows(dy.shape[1:3])\n"
            "        padded = np.pad(dy, ((0, 0), *pad, (0, 0)))\n"
            "        dx = np.zeros(cache.shape, dy.dtype)\n"
            "        for i, j in np.ndindex(KH, KW):\n"
            "            dx += seen(padded, i, j, stride, counts) @ self.W[i, j]\n"
            "        return dx"
        ),
        'raise NotImplementedError("dW and db: the same kernel is stamped by every place of every image")': (
            "(KH, KW), stride, pad, counts = self.windows(dy.shape[1:3])\n"
            "        padded, rows = np.pad(dy, ((0, 0), *pad, (0, 0))), cache.reshape(-1, cache.shape[-1])\n"
            "        for i, j in np.ndindex(KH, KW):\n"
            "            part = seen(padded, i, j, stride, counts)\n"
            '            grads["W"][i, j] = part.reshape(-1, part.shape[-1]).T @ rows\n'
            '        if self.bias:\n            grads["b"][...] = dy.reshape(-1, dy.shape[-1]).sum(axis=0)'
        ),
    },
    "upsample2d": {
        'raise NotImplementedError("y: every pixel repeated, downwards and to the right")': (
            "a, b = pair(self.scale)\n        return x.repeat(a, axis=1).repeat(b, axis=2), x.shape"
        ),
        'raise NotImplementedError("dx: a pixel has been copied to a·b places, and each of them answers")': (
            "(N, H, W, C), (a, b) = cache, pair(self.scale)\n"
            "        return dy.reshape(N, H, a, W, b, C).sum(axis=(2, 4))"
        ),
    },
    "maxpool2d": {
        "\nclass": SEEN,
        'raise NotImplementedError("y: the largest of each window; and remember which it was")': (
            "(KH, KW), stride, pad, counts = self.windows(x.shape[1:3])\n"
            "        padded = np.pad(x, ((0, 0), *pad, (0, 0)), constant_values=-np.inf)\n"
            "        parts = np.array([seen(padded, i, j, stride, counts) for i, j in np.ndindex(KH, KW)])\n"
            "        return parts.max(axis=0), (parts.argmax(axis=0), x.shape)"
        ),
        'raise NotImplementedError("dx: only the winner of a window hears of it; it may have won several")': (
            "which, (N, H, W, C) = cache\n"
            "        (KH, KW), stride, ((top, bottom), (left, right)), counts = self.windows((H, W))\n"
            "        dx = np.zeros((N, top + H + bottom, left + W + right, C), dy.dtype)\n"
            "        for number, (i, j) in enumerate(np.ndindex(KH, KW)):\n"
            "            seen(dx, i, j, stride, counts)[...] += dy * (which == number)\n"
            "        return dx[:, top : top + H, left : left + W]"
        ),
    },
    "maxout": {
        'raise NotImplementedError("y: the largest of each group; and remember which it was")': (
            "groups = x.reshape(*x.shape[:-1], -1, self.pieces)\n"
            "        return groups.max(axis=-1), groups.argmax(axis=-1)"
        ),
        'raise NotImplementedError("dx: dy for the winner of each group, 0 for the others")': (
            "won = cache[..., None] == np.arange(self.pieces)\n"
            "        return (dy[..., None] * won).reshape(*dy.shape[:-1], -1)"
        ),
    },
    "bce": {
        'raise NotImplementedError("value and gradient")': (
            'with np.errstate(divide="ignore"):\n'
            "        log_p, log_q = np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)\n"
            "    value = -(t * log_p + (1 - t) * log_q).mean()\n"
            "    return value, (p - t) / np.maximum(p * (1 - p), 1e-12) / p.size"
        ),
    },
    "softmax": {
        'raise NotImplementedError("value and gradient")': (
            "shifted = x - x.max(axis=1, keepdims=True)\n"
            "    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))\n"
            "    rows = np.eye(x.shape[1], dtype=x.dtype)[t] if t.ndim == 1 else t\n"
            "    return -(rows * log_p).sum() / len(x), (np.exp(log_p) - rows) / len(x)"
        ),
    },
    "adam": {
        'raise NotImplementedError("one step of Adam")': (
            "self.m[...] = self.beta1 * self.m + (1 - self.beta1) * g\n"
            "        self.v[...] = self.beta2 * self.v + (1 - self.beta2) * g * g\n"
            "        m, v = self.m / (1 - self.beta1**self.steps), self.v / (1 - self.beta2**self.steps)\n"
            "        theta -= self.lr * m / (np.sqrt(v) + self.eps)"
        ),
    },
    "generator-step": {
        'raise NotImplementedError("forward through G and D, backward through D and G, one step")': (
            "x_fake, cache_G = fakes or G.forward(z, train=True, rng=rng)\n"
            "    out, cache_D = D.forward(x_fake, train=True, rng=rng)\n"
            "    value, d_out = loss.for_generator(out)\n"
            "    dx_fake = D.backward(d_out, cache_D, need_param_grads=False)\n"
            "    G.backward(dx_fake, cache_G, need_input_grad=False)\n"
            "    G.update_buffers(cache_G)\n    g_optimizer.step()\n"
            "    return GeneratorResult(value, x_fake)"
        ),
    },
}

#: (exercise, the part of the solution that is changed, what it becomes, what the tutor says)
SLIPS = [
    (
        "dense",
        "cache.reshape(-1, cache.shape[-1]).T @ rows",
        "cache.reshape(-1, cache.shape[-1]).T @ rows / len(rows)",
        "1/5",
    ),
    ("dense", "dy @ self.W.T", "dy @ self.W", "mismatch|not transposed"),
    (
        "dense",
        'grads["b"][...] = rows.sum',
        'grads["b"][...] += rows.sum',
        "backward adds to the gradient of b",
    ),
    (
        "dense",
        "+ (self.b if self.bias else 0)",
        "",
        r"forward \(train=True\): y is off by up to .*it should be x W \+ b",
    ),
    ("batchnorm", " - cache.x_hat * (dy * cache.x_hat).mean(over)", "", r"the batch's variance is\s+missing"),
    ("batchnorm", "self.gamma * cache.inv_std * inner", "cache.inv_std * inner", "gamma is missing"),
    ("batchnorm", "x.var(over)", "x.var(over, ddof=1)", "forward .*off by up to"),
    (
        "batchnorm",
        "(mean, var) if train else None)",
        "(mean, var * 1.25) if train else None)",
        "running_var goes wrong",
    ),
    ("dropout", "/ x.dtype.type(1 - self.drop)", "/ x.dtype.type(1)", "a feature of 1 that is kept becomes 1;"),
    ("dropout", "return dy * cache", "return dy * (cache > 0)", r"0\.7 times"),
    ("dropout", "return dy * cache", "return dy", "what its own forward silenced"),
    ("bce", "np.log1p(-p), -100)", "np.log1p(-p), -50)", r"at p = \[0\. 1\. 1\.\] and t = 0"),
    ("bce", ".mean()", ".sum()", "a mean is taken for a sum"),
    ("bce", " / p.size", "", r"6 times what it should be.*a mean\s+is missing"),
    ("bce", "(p - t)", "(t - p)", "the sign is wrong"),
    ("adam", "theta -= self.lr * m /", "theta += self.lr * m /", "it climbs"),
    ("adam", "/ (np.sqrt(v) + self.eps)", "/ np.sqrt(v + self.eps)", "eps is added under the root"),
    ("adam", "theta -=", "g *= 1.5; theta -=", "the gradient g has been changed"),
    ("generator-step", "need_param_grads=False", "need_param_grads=True", "D's gradients were written"),
    ("generator-step", "G.update_buffers(cache_G)", "pass", "G's running statistics: off by"),
    ("generator-step", "loss.for_generator(out)", "loss.bce(out, 0.0)", "G's weights after|the loss in the result"),
    ("generator-step", "G.backward(dx_fake,", "G.backward(-dx_fake,", r"the sign is\s+wrong"),
    ("generator-step", "train=True, rng=rng)\n    value", "train=False)\n    value", "wrong|off by|rng"),
    ("bce", "p.size", "len(p)", "n is the number of all entries of p, not of its rows"),
    ("bce", "value = -(t", "p = np.asarray(p, float); value = -(t", "the gradient has p's shape and dtype"),
    ("bce", "return value, ", "return ", r"it must return \(value, gradient\), and it returned ndarray"),
    ("dense", "else 0), x", "else 0)", "forward must return y, cache, and it returned ndarray"),
    (
        "dense",
        "return dy @ self.W.T",
        "return None",
        r"Dense.input_grad must return dx, and it returned nothing \(None\)",
    ),
    ("adam", "theta -=", "theta = theta -", "the weights have not moved: change theta in place"),
    (
        "batchnorm",
        "inv_std = 1 /",
        "self.running_mean[...] += train; inv_std = 1 /",
        "forward changes what it reads besides",
    ),
    ("dropout", "return dy * cache", "return dy * self.m", "what its own forward silenced"),
    ("generator-step", "fakes or G.forward", "G.forward", "learn from the fakes"),
    (
        "conv2d",
        "self.W[i, j]\n        return y",
        "self.W[KH - 1 - i, KW - 1 - j]\n        return y",
        "forward .*the kernel is turned round",
    ),
    ("conv2d", "return y + (self.b if self.bias else 0), x", "return y, x", "b is missing"),
    ("conv2d", "*pad, (0, 0)))\n        y", "*(p[::-1] for p in pad), (0, 0)))\n        y", "sides are exchanged"),
    (
        "conv2d",
        "[...] += dy @",
        "[...] = dy @",
        r"windows\s+that\s+overlap.*where it should be\s+added",
    ),
    (
        "conv2d",
        "dy @ self.W[i, j].T",
        "dy @ self.W[KH - 1 - i, KW - 1 - j].T",
        "input_grad: the kernel is turned round",
    ),
    ("conv2d", "top : top + H, left : left", "bottom : bottom + H, right : right", "differ from side to side"),
    ("conv2d", "return dx[:, top : top + H, left : left + W]", "return dx", r"\(3, 7, 9, 2\) where x has"),
    ("conv2d", '["W"][i, j] = part', '["W"][KH - 1 - i, KW - 1 - j] = part', "dW is turned round"),
    ("conv2d", "rows.sum(axis=0)", "rows.sum(axis=0) / len(dy)", "1/3, with 3 the size of"),
    ("conv2d", ".channels), x.dtype)", ".channels))", "y is float64 where x is float32"),
    ("conv-transpose2d", "[...] += x @", "[...] = x @", "added up where they overlap"),
    ("conv-transpose2d", "top : top + OH, left : left", "bottom : bottom + OH, right : right", "sides are exchanged"),
    ("conv-transpose2d", "x @ self.W[i, j].T", "x @ self.W[KH - 1 - i, KW - 1 - j].T", "turned round"),
    (
        "conv-transpose2d",
        "counts) @ self.W[i, j]",
        "counts) @ self.W[KH - 1 - i, KW - 1 - j]",
        "input_grad: the kernel",
    ),
    ("conv-transpose2d", "np.zeros(cache.shape, dy.dtype)", "np.zeros(cache.shape)", "dx is float64"),
    ("upsample2d", "x.repeat(a, axis=1).repeat(b, axis=2)", "np.tile(x, (1, a, b, 1))", "the image is repeated"),
    (
        "upsample2d",
        "x.repeat(a, axis=1).repeat(b",
        "x.repeat(b, axis=1).repeat(a",
        r"scale=\(2, 3\)\) on x .* has shape",
    ),
    (
        "upsample2d",
        ".sum(axis=(2, 4))",
        ".mean(axis=(2, 4))",
        r"0\.25 times .*1/4, with 4 the number of\s+entries of y to one of x.* a mean\s+stands",
    ),
    ("maxpool2d", "[...] += dy *", "[...] = dy *", "an entry that is in several of them gets the sum"),
    ("maxpool2d", "constant_values=-np.inf", "constant_values=0", "zeros where -∞ belongs"),
    ("maxpool2d", "parts.max(axis=0), ", "parts.mean(axis=0), ", "the mean of each window"),
    (
        "maxpool2d",
        "parts.argmax(axis=0)",
        "KH * KW - 1 - parts[::-1].argmax(axis=0)",
        "the first should get dy, and here the last of them gets it",
    ),
    ("maxout", "-1, self.pieces)\n", "self.pieces, -1).swapaxes(-2, -1)\n", "the groups lie across"),
    ("softmax", "x - x.max(axis=1, keepdims=True)", "x", "loss is nan .* subtract the largest"),
    ("softmax", "sum() / len(x), ", "sum(), ", "a sum is taken for a mean"),
    ("softmax", "(rows * log_p).sum() / len(x), ", "(rows * log_p).mean(), ", "not of all entries of x"),
    ("softmax", "- rows) / len(x)", "- rows)", "the gradient is 5 times what it should be"),
    ("softmax", ", dtype=x.dtype", "", "the gradient has x's shape and dtype"),
]


def write(name, folder, *changes):
    stub = stub_path(name, folder)
    if not stub.exists():
        write_stub(name, folder)
    text = stub.read_text()
    for todo, done in [*SOLUTIONS[name].items(), *changes]:
        assert todo in text, todo
        text = text.replace(todo, done)
    stub.write_text(text)
    return getattr(load_file(stub), STUBS[name])


def todos(name):
    """What is to be replaced in a stub."""
    return [todo for todo in SOLUTIONS[name] if "NotImplementedError" in todo]


@pytest.mark.parametrize(("name", "number"), [(name, i) for name in STUBS for i in range(len(todos(name)))])
def test_what_is_still_to_be_written_is_named_where_nothing_says_what(name, number, tmp_path):
    piece = write(name, tmp_path, (SOLUTIONS[name][todos(name)[number]], "raise NotImplementedError"))
    lines = stub_path(name, tmp_path).read_text().splitlines()
    line = next(i for i, text in enumerate(lines) if text.strip() == "raise NotImplementedError")
    method = next(re.search(r"def (\w+)", text)[1] for text in lines[line::-1] if "def " in text)
    assert verify(name, piece) == f"still to be written: {method} ({stub_path(name, tmp_path).name}, line {line + 1})"


NOTHING = {
    "forward": r"forward must return y, cache, and it returned nothing \(None\)",
    "input_grad": r"no gradient \(None\) for x|input_grad must return dx, and it returned nothing \(None\)",
    "param_grads": "it is never written",
    "binary_cross_entropy": r"it must return \(value, gradient\), and it returned nothing \(None\)",
    "softmax_cross_entropy": r"it must return \(value, gradient\), and it returned nothing \(None\)",
    "_update": "the weights have not moved",
    "generator_step": r"it must return GeneratorResult\(value, x_fake\), and it returned nothing \(None\)",
}


@pytest.mark.parametrize("nothing", ["pass", "return None"])
@pytest.mark.parametrize(("name", "number"), [(name, i) for name in STUBS for i in range(len(todos(name)))])
def test_a_method_that_does_nothing_is_told_what_it_must_return(name, number, nothing, tmp_path):
    piece = write(name, tmp_path, (SOLUTIONS[name][todos(name)[number]], nothing))
    lines = stub_path(name, tmp_path).read_text().splitlines()
    line = next(i for i, text in enumerate(lines) if text.strip() == nothing)
    method = next(re.search(r"def (\w+)", text)[1] for text in lines[line::-1] if "def " in text)
    assert re.search(NOTHING[method], verify(name, piece))


@pytest.mark.parametrize("name", STUBS)
def test_a_stub_is_told_what_is_to_be_written_and_a_solution_passes(name, tmp_path):
    stub = write_stub(name, tmp_path)
    assert verify(name, getattr(load_file(stub), STUBS[name])).startswith("still to be written: ")
    assert verify(name, write(name, tmp_path)) == ""


@pytest.mark.parametrize(("name", "right", "wrong", "said"), SLIPS, ids=lambda v: v[:20])
def test_a_slip_is_named(name, right, wrong, said, tmp_path):
    assert re.search(said, verify(name, write(name, tmp_path, (right, wrong))), re.DOTALL)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        ("", "each of them gets all of it"),
        (" / cache.sum(axis=-1, keepdims=True, dtype=dy.dtype)", "they share it"),
    ],
)
def test_who_gets_the_gradient_of_equal_values_is_named(share, said, tmp_path):
    most = ("groups.argmax(axis=-1)", "groups == groups.max(axis=-1, keepdims=True)")
    piece = write("maxout", tmp_path, most, ("cache[..., None] == np.arange(self.pieces)", f"cache{share}"))
    assert said in verify("maxout", piece)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_known_mistake_in_adam_is_told_from_the_others(mistake):
    assert mistake in verify("adam", wrong_adam(**MISTAKES[mistake]))
    assert verify("adam", wrong_adam()) == ""


def test_minigans_own_pieces_pass_their_exercises():
    own = {
        "dense": nn.Dense,
        "batchnorm": nn.BatchNorm,
        "dropout": nn.Dropout,
        "conv2d": nn.Conv2d,
        "conv-transpose2d": nn.ConvTranspose2d,
        "upsample2d": nn.Upsample2d,
        "maxpool2d": nn.MaxPool2d,
        "maxout": nn.Maxout,
        "bce": losses.binary_cross_entropy,
        "softmax": losses.softmax_cross_entropy,
        "adam": optim.Adam,
        "generator-step": gan.generator_step,
    }
    assert own.keys() == STUBS.keys()
    for name, piece in own.items():
        assert verify(name, piece) == "", name


def test_a_students_exception_is_reported_with_its_line(tmp_path):
    piece = write("dense", tmp_path, ("return dy @ self.W.T", "return dy @ self.V.T"))
    line = stub_path("dense", tmp_path).read_text().splitlines().index("        return dy @ self.V.T") + 1
    assert (
        verify("dense", piece)
        == f"it raises AttributeError: 'Dense' object has no attribute 'V' (dense.py, line {line}), with "
        "Dense(features=3, bias=True) on x (5, 4), train=True"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "options"),
    [("exercises", ""), (".", "exercises/"), (".", "--import-mode=importlib exercises/"), ("..", "work/exercises/")],
)
def test_the_written_test_finds_its_stub_from_anywhere_and_fails_until_it_is_solved(where, options, tmp_path):
    """As in the clone, whose settings import tests by "importlib", and elsewhere."""
    (tmp_path / "work").mkdir()
    folder = tmp_path / "work" / "exercises"
    *options, place = f"{options}test_dense.py".split()

    def run_pytest():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options, place]
        return subprocess.run(command, cwd=tmp_path / "work" / where, capture_output=True, text=True)

    write_stub("dense", folder)
    failed = run_pytest()
    assert failed.returncode == 1
    assert "still to be written" in failed.stdout
    write("dense", folder)
    assert run_pytest().returncode == 0


@pytest.mark.parametrize(("name", "piece"), STUBS.items())
def test_each_written_test_tells_what_its_stub_lacks(name, piece, tmp_path):
    stub = write_stub(name, tmp_path)
    test = load_file(stub.with_name(f"test_{stub.name}"))
    with pytest.raises(AssertionError, match="still to be written"):
        getattr(test, f"test_{stub.stem}")()
    stub.write_text("nothing = 0\n")
    with pytest.raises(AssertionError, match=f"unknown name in .*{stub.name} '{piece}'"):
        getattr(test, f"test_{stub.stem}")()


def test_a_plugged_in_piece_is_what_trains_and_is_taken_out_again():
    calls = []

    class Dense(nn.Dense):
        def forward(self, x, **options):
            calls.append("Dense")
            return super().forward(x, **options)

    def generator_step(*args, **options):
        calls.append("generator_step")
        return gan.generator_step(*args, **options)

    def binary_cross_entropy(p, t):
        calls.append("binary_cross_entropy")
        return losses.binary_cross_entropy(p, t)

    class Adam(optim.Adam):
        def _update(self, theta, g):
            calls.append("Adam")
            super()._update(theta, g)

    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    pieces = {
        "Dense": Dense,
        "generator_step": generator_step,
        "binary_cross_entropy": binary_cross_entropy,
        "Adam": Adam,
    }
    recipe = replace(mlp.QUICK_MLP.smoke(), images=64)
    with plugged_in(**pieces):
        train.Trainer(recipe, images).fit()
    assert set(calls) == pieces.keys()
    calls.clear()
    train.Trainer(recipe, images).fit()
    assert calls == []


@pytest.fixture
def smoke_start(monkeypatch, tmp_path):
    """`minigan exercise` in a folder of its own, with a run that is over in a moment."""
    from minigan import runs

    genuine = runs.start

    def start(name, *, epochs, dataset, say, **changes):
        recipe = replace(recipes.RECIPES[name], epochs=epochs, **changes)  # the numbers must be possible ones
        return genuine(recipe.smoke(), dataset="glyphs", say=say)

    monkeypatch.setattr("minigan.runs.start", start)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_writes_a_stub_then_checks_it_then_trains_with_it(smoke_start, capsys):
    main(["exercise", "dense"])
    assert "Wrote exercises/dense.py and exercises/test_dense.py." in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["exercise", "dense"])
    assert stop.value.code == 1
    assert "not yet.\n\nstill to be written: y = x W + b" in capsys.readouterr().out
    write("dense", smoke_start / "exercises")
    main(["exercise", "dense", "--epochs", "0"])
    assert not (smoke_start / "runs").exists()
    main(["exercise", "dense"])
    said = capsys.readouterr().out
    assert "exercises/dense.py: right." in said
    assert "trains with your Dense in place of minigan's" in said
    assert "Your Dense has learned to draw." in said
    assert (smoke_start / "runs" / "quick-mlp-001" / "samples" / "samples.gif").exists()
    assert mlp.Dense is nn.Dense


@pytest.mark.parametrize("name", DRAWN)
def test_a_finished_layer_draws_in_the_recipe_that_has_it(name, smoke_start):
    piece, said = write(name, smoke_start), []
    assert work_on(name, smoke_start, epochs=1, say=said.append)
    recipe = DRAWN[name].recipe
    assert f"{recipe} trains with your {STUBS[name]} in place of minigan's." in said[1]
    assert said[-1].startswith(f"Your {STUBS[name]} has learned to draw.")
    assert (smoke_start / "runs" / f"{recipe}-001" / "samples" / "samples.gif").exists()
    with plugged_in(**{STUBS[name]: piece}):
        networks = replace(recipes.RECIPES[recipe], **DRAWN[name].changes).networks(np.random.default_rng(0))
    assert any(type(layer) is piece for net in networks for layer in net.layers)


@pytest.mark.parametrize("name", READ)
def test_what_no_gan_is_made_of_reads_digits(name, tmp_path, monkeypatch):
    genuine, said, used = classifier.train_classifier, [], []
    piece = write(name, tmp_path)
    monkeypatch.setattr(
        "minigan.exercises.classifier.train_classifier",
        lambda **options: used.append(getattr(classifier, STUBS[name])) or genuine(learn=500, held_out=100, **options),
    )
    assert work_on(name, tmp_path, epochs=1, say=said.append)
    assert used[0].__module__ == piece.__module__
    assert "of 100 digits that it has not seen it reads " in said[-2]
    assert said[-1] == f"Your {STUBS[name]} has learned to read."
    assert getattr(classifier, STUBS[name]).__module__ != piece.__module__


def test_the_classifier_learns():
    assert classifier.train_classifier(epochs=4, learn=500, held_out=200, say=lambda line: None) > 0.7


@pytest.mark.parametrize("name", [name for name, piece in STUBS.items() if hasattr(nn, piece)])
def test_backward_asks_the_methods_that_the_student_writes(name, tmp_path):
    """A layer of minigan's that overrides backward would answer in the student's stead, and anything would pass."""
    assert getattr(load_file(write_stub(name, tmp_path)), STUBS[name]).backward is nn.Layer.backward


def test_every_piece_that_training_imports_can_be_plugged_in_wherever_it_does():
    for name, modules in USERS.items():
        own = [getattr(m, name) for m in modules]
        with plugged_in(**{name: name}):
            assert all(getattr(m, name) == name for m in modules)
        assert [getattr(m, name) for m in modules] == own
    assert {*STUBS.values()} <= USERS.keys()
    with pytest.raises(ArgumentError, match="did you mean Dense"), plugged_in(Denss=nn.Dense):
        pass


def test_a_stub_is_never_written_over(tmp_path):
    write("adam", tmp_path)
    with pytest.raises(exercises.RunExistsError, match="somebody's work"):
        write_stub("adam", tmp_path)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "which exercise? minigan exercise dense | batchnorm"),
        (["dens"], "unknown exercise 'dens'; did you mean dense?"),
        (["dense", "--epochs", "-1"], "--epochs must not be negative, got -1"),
        (["dense", "--epoch", "1"], "unknown flag '--epoch'; did you mean --epochs?"),
    ],
)
def test_a_mistake_ends_in_one_line_and_exit_code_2(args, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["exercise", *args])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_leaves_python_has_not_solved_its_exercise(tmp_path):
    stub = write_stub("dense", tmp_path)
    stub.write_text(stub.read_text() + "\nraise SystemExit(0)\n")
    with pytest.raises(ArgumentError, match=r"dense\.py cannot be imported: SystemExit: 0"):
        work_on("dense", tmp_path, epochs=0)
    piece = write("dense", tmp_path / "another", ("return dy @ self.W.T", "raise SystemExit(0)"))
    assert verify("dense", piece).startswith("it raises SystemExit: 0 (dense.py, line ")
