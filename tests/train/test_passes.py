"""How few images a network may see at once: what its layers say, not what its recipe is called."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from minigan import nn
from minigan.errors import ArgumentError, ShapeError
from minigan.recipes import RECIPES
from minigan.recipes.best import Best
from minigan.recipes.flux_dcgan import FluxDCGAN
from minigan.recipes.mlp import PyTorchMLP
from minigan.train import Trainer
from minigan.train.passes import passes

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
BEST, MLP, DCGAN = (RECIPES[name].smoke() for name in ("best", "pytorch-mlp", "flux-dcgan"))


class Compared(nn.Layer):
    """A layer of somebody's own that needs three examples."""

    def least_batch(self, in_shape):
        return 3

    def forward(self, x, *, train, rng=None):
        assert not train or len(x) >= 3
        return x, None

    def input_grad(self, dy, cache):
        return dy


@dataclass(frozen=True)
class Put(PyTorchMLP):
    """pytorch-mlp with other layers before those of G and of D."""

    def layers(self):
        g_layers, d_layers = super().layers()
        return [*self.before["G"](), *g_layers], [*self.before["D"](), *d_layers]


def put(before, **changes):
    class Own(Put):
        pass

    Own.before = {"G": list, "D": list, **before}
    return Own(**{**vars(MLP), **changes})


@dataclass(frozen=True)
class NormInImages(FluxDCGAN):
    """flux-dcgan with BatchNorm over the 14×14 places behind D's first convolution, and none in G's features."""

    def layers(self):
        g_layers, d_layers = super().layers()
        first = next(i for i, layer in enumerate(g_layers) if isinstance(layer, nn.BatchNorm))
        return g_layers[:first] + g_layers[first + 1 :], [d_layers[0], nn.BatchNorm(), *d_layers[1:]]


def norm():
    return [nn.BatchNorm()]


def fit(recipe, images):
    return Trainer(recipe, IMAGES[:images]).fit()


def refused(recipe, images, match):
    """Refused before the first step with this message, each of whose ways out is then gone."""
    with pytest.raises(ArgumentError, match=match) as error:
        Trainer(recipe, IMAGES[:images])
    message = str(error.value)
    ways = []
    if "--drop-last" in message:
        assert ("--d-fakes match" in message) == (recipe.d_fakes == "full")
        ways.append({"drop_last": True, "d_fakes": "match"})
    ways += [{"batch_size": int(size)} for size in re.findall(r"--batch-size (\d+)", message)]
    assert ways
    for way in ways:
        fit(replace(recipe, **way), images)


def test_a_D_of_spectral_normalisation_is_not_said_to_have_BatchNorm_and_G_is_named():
    refused(replace(BEST, batch_size=8), 17, r"layer 1 of G, BatchNorm\(.*\), learns from 2 examples")

    @dataclass(frozen=True)
    class Plain(Best):
        def layers(self):
            return RECIPES["pytorch-mlp"].smoke().layers()[0], super().layers()[1]

    fit(Plain(**{**vars(BEST), "batch_size": 8}), 17)


def test_a_single_image_is_enough_for_BatchNorm_over_its_places():
    recipe = NormInImages(**{**vars(DCGAN), "batch_size": 1})
    assert fit(recipe, 2).step == 2
    assert fit(replace(recipe, batch_size=8), 9).step == 2
    fit(replace(DCGAN, batch_size=8), 9)  # G's fakes fill a batch, and D has no BatchNorm
    refused(replace(DCGAN, batch_size=8, d_fakes="match", shared_fakes=False), 9, r"layer 1 of G, BatchNorm\(")


@pytest.mark.parametrize("images", [4, 12], ids=["the only batch", "the last batch"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_batch_that_packing_makes_one_group_is_refused_before_training_not_at_its_end(images, shared):
    recipe = put({"D": norm}, batch_size=min(8, images), packing=4, shared_fakes=shared)
    refused(recipe, 12, r"layer 0 of D, BatchNorm.* 2 examples \(of 4 images side by side\) .* would give it 1")


def test_a_D_that_sees_real_and_fake_as_one_batch_learns_from_one_image_of_each_but_for_Gs_step():
    recipe = put({"D": norm}, batch_size=8, d_batching="concat")
    fit(recipe, 17)  # the fakes of G's step fill a batch
    refused(
        replace(recipe, shared_fakes=True), 17, "layer 0 of D, BatchNorm.* the last batch of an epoch would give it 1"
    )
    refused(replace(recipe, batch_size=1), 17, "layer 0 of D, BatchNorm.* a batch would give it 1")
    refused(replace(recipe, d_batching="separate"), 17, "layer 0 of D, BatchNorm")


def test_a_G_whose_fakes_fill_a_batch_learns_beside_a_single_real_image():
    recipe = put({"G": norm}, batch_size=8)
    refused(recipe, 17, "layer 0 of G, BatchNorm.* the last batch of an epoch would give it 1")
    fit(replace(recipe, d_fakes="full"), 17)
    refused(replace(recipe, batch_size=1), 2, "layer 0 of G, BatchNorm.* a batch would give it 1")


def test_without_batchnorm_a_single_image_is_enough():
    fit(replace(MLP, batch_size=1), 2)
    fit(replace(MLP, batch_size=8), 9)


def test_a_layer_of_ones_own_says_how_many_it_needs():
    recipe = put({"D": lambda: [Compared()]}, batch_size=8)
    refused(recipe, 18, r"layer 0 of D, Compared\(\), learns from 3 examples at a time or more, and .* would give it 2")
    fit(recipe, 19)


def test_too_few_images_for_a_layer_are_told_as_that():
    with pytest.raises(ArgumentError, match=r"a batch would give it 1; there are too few images for it"):
        Trainer(put({"D": norm}, batch_size=1), IMAGES[:1])


@pytest.mark.parametrize("packing", [2, 3])
def test_a_last_batch_that_cannot_be_packed_leaves_a_way_out(packing):
    refused(replace(MLP, batch_size=6, packing=packing), 19, "would hold 1 images, which cannot be packed")
    refused(replace(MLP, batch_size=6, packing=packing, d_fakes="full"), 19, "would hold 1 images")


LEAST = [
    (nn.BatchNorm(), (3,), 2),
    (nn.BatchNorm(), (1, 1, 3), 2),
    (nn.BatchNorm(), (7, 7, 3), 1),
    (nn.BatchNorm(), (1, 2, 3), 1),
    (nn.SpectralNorm(nn.Dense(2)), (3,), 1),
    (nn.Dropout(drop=0.5), (3,), 1),
    (nn.Conv2d(2, 3), (5, 5, 1), 1),
]


@pytest.mark.parametrize(
    ("layer", "in_shape", "least"), LEAST, ids=lambda v: repr(v) if isinstance(v, nn.Layer) else None
)
def test_what_a_layer_says_of_its_least_batch_is_what_it_does(layer, in_shape, least):
    from minigan.backend import RandomStream

    net = nn.Sequential([layer], in_shape, rng=np.random.default_rng(0))
    assert layer.least_batch(in_shape) == least
    x = np.random.default_rng(1).standard_normal((least, *in_shape)).astype(np.float32)
    y, cache = net.forward(x, train=True, rng=RandomStream(0, "dropout"))
    net.backward(y, cache)
    net.update_buffers(cache)
    assert np.isfinite(net.grads).all()
    assert np.isfinite(net.buffers).all()
    if least > 1:
        with pytest.raises(ShapeError):
            net.forward(x[1:], train=True)


SCHEDULES = [
    {"shared_fakes": shared, "d_batching": batching, "d_fakes": fakes, "packing": packing}
    for shared in (False, True)
    for batching in ("separate", "concat")
    for fakes in ("match", "full")
    for packing in (1, 2)
] + [{"update": "simultaneous", "packing": packing} for packing in (1, 2)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: "-".join(map(str, s.values())))
def test_the_passes_are_those_that_a_step_makes(schedule, monkeypatch):
    recipe = replace(MLP, batch_size=8, **schedule)
    trainer = Trainer(recipe, IMAGES[:14])
    seen, real = [], nn.Sequential.forward

    def forward(self, x, **options):
        seen.append(("G" if self is trainer.G else "D", len(x)))
        return real(self, x, **options)

    monkeypatch.setattr(nn.Sequential, "forward", forward)
    for number, count in enumerate((8, 6)):
        trainer.train_step(trainer.batches.batch(number))
        assert set(seen) == set(passes(recipe, count, trainer.D))
        seen.clear()
