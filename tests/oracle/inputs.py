"""What `make_answers.py` and `test_oracle.py` share: the cases, and all numbers that go in, by formula. NumPy only.

So nothing is stored but PyTorch's answers, and neither side can drift from the other's inputs.
"""

import math
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from cases import SYSTEMS

from minigan.nn import LeakyReLU, Tanh
from minigan.recipes import RECIPES
from minigan.recipes.best import Best
from minigan.recipes.flux_dcgan import FLUX_DCGAN, FluxDCGAN
from minigan.recipes.mlp import MLP, QUICK_MLP, QuickMLP
from minigan.recipes.penalised import R1_MLP, Penalised

FILE = Path(__file__).with_name("answers.npz")

# Numbers by formula --------------------------------------------------------------------------------------------------


def values(name, shape):
    """Numbers in [-1, 1) that look random: cubes modulo a prime, shifted by the name.

    Whole numbers, so every machine gets the same bits; none is 0, where ReLU has its kink.
    """
    k = np.arange(math.prod(shape), dtype=np.int64) + zlib.crc32(name.encode()) % 10007
    return (2 * (k**3 % 10007) / 10007 - 1).reshape(shape)


def probabilities(name, shape):
    return (values(name, shape) + 1) / 2


def parameter(name, shape):
    """A parameter or running statistic that leaves the signal of ordinary size, and no gradient 0 by symmetry."""
    kind = name.rsplit(".", 1)[-1]
    centre = 1.0 if kind in ("gamma", "running_var") else 0.0
    return centre + values(name, shape) * (1.5 / math.sqrt(math.prod(shape[:-1])) if kind == "W" else 0.5)


# Answers -------------------------------------------------------------------------------------------------------------


@cache
def weights_of_sums(size):
    return values("weights of sums", (16, size))


def digest(array):
    """What is stored of an array: its entries, or of a large one 16 weighted sums, which any wrong entry moves."""
    flat = np.asarray(array, np.float64).ravel()
    return flat if flat.size <= 200 else weights_of_sums(flat.size) @ flat


def save(answers):
    """Three arrays, not one for each answer: a file inside an npz costs more than most answers do."""
    sizes = [len(answer) for answer in answers.values()]
    np.savez_compressed(FILE, names=list(answers), sizes=sizes, values=np.concatenate(list(answers.values())))


def load():
    """{"case/entry": digest, …}"""
    with np.load(FILE) as file:
        names, sizes, flat = file["names"].tolist(), file["sizes"], file["values"]
    return dict(zip(names, np.split(flat, np.cumsum(sizes)[:-1]), strict=True))


# Cases (those of layers are in cases.py) -----------------------------------------------------------------------------

BATCH = 4

_P = {
    "inside": probabilities("p", (4, 3)),
    "small": np.array([1e-11, 1 - 1e-11, 1e-7, 0.5]),
    "clamped": np.array([0.0, 1.0, 1e-13, 1 - 1e-13]),
}
_X = {"inside": 3 * values("x", (4, 3)), "extreme": np.array([0.0, 20.0, -20.0, 40.0, -40.0, 1000.0, -1000.0])}


def _targets(shape):
    """0, 1 and 0.3 by turns, beside the single numbers."""
    turns = np.resize([0.0, 1.0, 0.3], math.prod(shape)).reshape(shape)
    return {"t=0": 0.0, "t=1": 1.0, "smoothed": 0.9, "array": turns}


#: {case: (loss, predictions, targets)}
LOSSES = {
    f"{loss}-{kind}-{target}": (loss, x, t)
    for loss, predictions in (("binary_cross_entropy", _P), ("binary_cross_entropy_with_logits", _X))
    for kind, x in predictions.items()
    for target, t in _targets(x.shape).items()
}

_LOGITS = 3 * values("logits", (5, 4))
_ROWS = probabilities("rows", (5, 4))
LOSSES |= {
    "softmax_cross_entropy-labels": ("softmax_cross_entropy", _LOGITS, np.array([0, 3, 1, 1, 2])),
    "softmax_cross_entropy-rows": ("softmax_cross_entropy", _LOGITS, _ROWS / _ROWS.sum(axis=1, keepdims=True)),
    "softmax_cross_entropy-extreme": ("softmax_cross_entropy", 300 * _LOGITS, np.array([0, 3, 1, 1, 2])),
}

LOSSES |= {f"{loss}-{side}": (loss, _LOGITS, side) for loss in ("hinge", "signed_mean") for side in (1, -1)}

STEPS = (1, 2, 10, 100)  # after which the parameters are compared
SIZES = np.logspace(-10, 3, 12)  # of the gradient's entries: far below Adam's eps to far above
START = 1e-3 * SIZES * values("theta", SIZES.shape)  # so small that a wrong change shows in every digit

#: {case: (optimiser, options)}
OPTIMIZERS = {
    "Adam-defaults": ("Adam", {"lr": 2e-4, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    "Adam-short-memory-large-eps": ("Adam", {"lr": 0.05, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}),
    "SGD-plain": ("SGD", {"lr": 0.1, "momentum": 0.0}),
    "SGD-momentum": ("SGD", {"lr": 0.01, "momentum": 0.9}),
}


class NormInD(QuickMLP):
    """BatchNorm in both networks: no recipe has it in D, where it matters which passes its statistics take in."""

    d_activation = LeakyReLU(slope=0.2)

    def layers(self):
        leaky, drop = LeakyReLU(slope=0.2), self.dropout
        g_layers = [*self.hidden(self.g_hidden, leaky, norm=True), self.dense(self.pixels), Tanh()]
        d_layers = self.hidden(self.d_hidden, self.d_activation, drop=drop, norm=True)
        return g_layers, [*d_layers, *self.answer(self.dense(1))]


class NormAndTanhInD(NormInD):
    """What D says of an example depends on the others, and its slopes change everywhere."""

    d_activation = Tanh()


class TanhInConvolutions(FluxDCGAN):
    """Dropout and one curved layer between D's convolutions and its answer."""

    def layers(self):
        g_layers, d_layers = super().layers()
        last = max(i for i, layer in enumerate(d_layers) if isinstance(layer, LeakyReLU))
        d_layers[last] = Tanh()
        return g_layers, d_layers


_SYSTEMS = {**RECIPES, "norm-in-D": NormInD(**vars(QUICK_MLP))}
_VARIANTS = {
    "published": {},
    "minimax": {"g_loss": "minimax"},
    "logits": {"d_output": "logit"},
    "logits-minimax": {"d_output": "logit", "g_loss": "minimax"},
    "separate": {"d_batching": "separate"},
    "concat": {"d_batching": "concat"},
    "swapped-labels": {"labels": (0.0, 1.0)},
    "smoothed-labels-minimax": {"labels": (0.9, 0.1), "g_loss": "minimax"},
    "own-fakes": {"shared_fakes": False},
    "shared-fakes": {"shared_fakes": True},
    "simultaneous": {"update": "simultaneous", "d_batching": "separate", "shared_fakes": False},
}


def small(recipe, changes):
    """The same system with few units; the images stay 28 by 28."""
    g_hidden, d_hidden = (tuple(range(6, 6 - len(widths), -1)) for widths in (recipe.g_hidden, recipe.d_hidden))
    return replace(recipe, batch_size=BATCH, latent_dim=3, g_hidden=g_hidden, d_hidden=d_hidden, **changes)


def variants(name, recipe):
    """Of the systems of Dense layers all that are not what the recipe does anyway; the hinge loss has three."""
    if isinstance(recipe, Penalised):
        return set()
    if isinstance(recipe, Best):
        return {"separate", "own-fakes", "simultaneous"}
    if isinstance(recipe, MLP) and (name in SYSTEMS or name not in RECIPES):
        return {variant for variant, changes in _VARIANTS.items() if replace(recipe, **changes) != recipe}
    return set()


#: {case: recipe}
GAMES = {
    f"{name}-{variant}": small(recipe, changes)
    for name, recipe in _SYSTEMS.items()
    for variant, changes in _VARIANTS.items()
    if variant == "published" or variant in variants(name, recipe)
}

#: Penalties on the gradient of these D's.
_CRITICS = {
    "dense": R1_MLP,
    "convolutions": TanhInConvolutions(**vars(FLUX_DCGAN)),
    "norm": NormAndTanhInD(**vars(QUICK_MLP)),
}
_BCE, _WASSERSTEIN = ({"d_output": "logit", "loss_kind": kind} for kind in ("bce", "wasserstein"))
_PENALTIES = {
    "r1": {**_BCE, "penalty": "r1"},
    "r1-every-third": {**_BCE, "penalty": "r1", "penalty_every": 3},
    "r2": {**_BCE, "penalty": "r2"},
    "dragan": {**_BCE, "penalty": "dragan"},
    "wgan-gp": {**_WASSERSTEIN, "penalty": "wgan-gp"},
    "wgan-gp-one-sided": {**_WASSERSTEIN, "penalty": "wgan-gp-one-sided"},
}
_PLAIN = {"d_batching": "separate", "d_fakes": "match"}
GAMES |= {
    f"penalised-{name}-{penalty}": small(recipe, {**_PLAIN, **changes})
    for name, recipe in _CRITICS.items()
    for penalty, changes in _PENALTIES.items()
}
GAMES |= {
    "penalised-dense-r1-concat": replace(GAMES["penalised-dense-r1"], d_batching="concat"),
    "penalised-kinks-r1": small(FLUX_DCGAN, {**_PLAIN, "penalty": "r1"}),
    "penalised-kinks-r2": small(FLUX_DCGAN, {**_PLAIN, "penalty": "r2"}),
}


def steepness(recipe):
    """What D's parameters are multiplied with: so that penalised gradients are longer than 1 in places, not in all."""
    return 1.0 if recipe.penalty == "none" else 1.5
