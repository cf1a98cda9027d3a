"""Names that people type from habit: another library's settings, a layer alone, a module that was not imported."""

import ast
import copy
import inspect
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cases import ALL, IDS

import minigan
from minigan import nn
from minigan.errors import CallError, MiniganError, UnboundLayerError
from minigan.nn.names import CALLED_HERE
from minigan.optim import SGD, Adam

each_layer = pytest.mark.parametrize(("name", "make", "in_shape"), ALL, ids=IDS)


@cache
def network():
    return nn.Sequential([nn.Dense(3)], (4,), rng=np.random.default_rng(0))


# Settings ------------------------------------------------------------------------------------------------------------

RIGHT = {
    "padding": (lambda: nn.Conv2d(8, 3, padding=1), "Conv2d has no setting 'padding'; it is called pad here"),
    "kernel_size": (lambda: nn.ConvTranspose2d(8, kernel_size=3), "called kernel here"),
    "pool_size": (lambda: nn.MaxPool2d(pool_size=2), "called kernel here"),
    "strides": (lambda: nn.MaxPool2d(2, strides=2), "called stride here"),
    "out_channels": (lambda: nn.Conv2d(out_channels=8, kernel=3), "called channels here"),
    "units": (lambda: nn.Dense(units=3), "Dense has no setting 'units'; it is called features here"),
    "in_features": (lambda: nn.Dense(3, in_features=4), "follows from the network's in_shape"),
    "negative_slope": (lambda: nn.LeakyReLU(negative_slope=0.2), "called slope here"),
    "alpha": (lambda: nn.LeakyReLU(alpha=0.2), "called slope here"),
    "p": (lambda: nn.Dropout(p=0.3), "called drop here"),
    "rate": (lambda: nn.Dropout(rate=0.3), "called drop here"),
    "momentum": (lambda: nn.BatchNorm(momentum=0.1), r"called decay here \(PyTorch's momentum is 1 - decay"),
    "affine": (lambda: nn.BatchNorm(affine=True), "gamma and beta are always learned"),
    "scale_factor": (lambda: nn.UpsampleConv2d(8, 3, scale_factor=2), "called scale here"),
    "inplace": (lambda: nn.ReLU(inplace=True), "no pass alters its input"),
    "learning_rate": (lambda: Adam(network(), learning_rate=0.1), "Adam has no setting 'learning_rate'; .* lr here"),
    "betas": (lambda: Adam(network(), lr=0.1, betas=(0.5, 0.9)), "called beta1 and beta2 here"),
    "input_shape": (lambda: nn.Sequential([nn.Dense(3)], input_shape=(4,), rng=None), "called in_shape here"),
    "misspelt": (lambda: nn.Conv2d(8, 3, padd=1), "did you mean pad"),
    "not to be had": (lambda: nn.Conv2d(8, 3, dilation=2), "known: channels, kernel, stride, pad, bias, init_W"),
    "momentum of Adam": (lambda: Adam(network(), lr=0.1, momentum=0.9), "known: network, lr, beta1, beta2, eps"),
    "of a layer without": (lambda: nn.Tanh(foo=1), "it takes none by name"),
}


@pytest.mark.parametrize("case", RIGHT)
def test_an_unknown_setting_is_answered_with_the_right_one(case):
    call, words = RIGHT[case]
    with pytest.raises(CallError, match=words) as caught:
        call()
    assert isinstance(caught.value, TypeError)
    assert "\n" not in str(caught.value)


LAYERS = {type(make()) for _, make, _ in ALL}
SETTINGS = {name for made in (*LAYERS, Adam, SGD, nn.Sequential) for name in inspect.signature(made).parameters}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_every_layer_refuses_a_setting_that_it_does_not_have_as_a_type_error_of_ours(layer):
    with pytest.raises(CallError, match=f"{layer.__name__} has no setting 'nonsense'"):
        layer(nonsense=1)


def test_every_name_that_is_told_is_some_layers_or_optimisers():
    assert {own for ours, _ in CALLED_HERE.values() for own in ours} <= SETTINGS


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nn.Dense(784, 128), r"Dense takes \(features\) by position, got 784, 128; by name: bias=…, init_W=…"),
        (lambda: nn.Conv2d(1, 8, 3), r"Conv2d takes \(channels, kernel\) by position, got 1, 8, 3; by name: stride=…"),
        (lambda: nn.LeakyReLU(0.2), "LeakyReLU takes nothing by position, got 0.2; by name: slope=…"),
        (lambda: nn.Dropout(0.5), "Dropout takes nothing by position, got 0.5; by name: drop=…"),
        (lambda: nn.BatchNorm(64), "BatchNorm takes nothing by position, got 64; by name: decay=…"),
        (
            lambda: nn.ReLU(True),
            "ReLU takes nothing by position, got True$",
        ),  # silently taken, if Layer had no __init__
        (lambda: SGD(network(), 0.1), r"SGD takes \(network\) by position, got Sequential, 0.1; by name: lr=…"),
    ],
)
def test_values_too_many_by_position_are_answered_with_the_names(call, words):
    with pytest.raises(CallError, match=words):
        call()


def test_a_setting_that_is_missing_is_named_by_python():
    with pytest.raises(TypeError, match="'slope'"):
        nn.LeakyReLU()


class Scaled(nn.Layer):
    def __init__(self, *, factor):
        self.factor = factor


class Passing(nn.Dense):
    """Hands on whatever it is given."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)


@dataclass(eq=False)
class Shifted(nn.Layer):
    by: float = 0.0


def test_layers_that_users_write_are_answered_with_their_own_settings():
    assert (Scaled(factor=3).factor, Passing(3, bias=False).features, Shifted(by=2).by) == (3, 3, 2)
    with pytest.raises(CallError, match=r"Scaled has no setting 'factr'; did you mean factor\?"):
        Scaled(factr=3)
    with pytest.raises(CallError, match="Shifted has no setting 'bye'"):
        Shifted(bye=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'padding'"):  # Python's own, since it takes all
        Passing(3, padding=1)


@each_layer
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_layer_whose_settings_are_checked_can_still_be_copied(name, make, in_shape, copied):
    layer = make()
    assert repr(copied(layer)) == repr(layer)


# A layer alone --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "in_shape"), [(make, shape) for _, make, shape in ALL if make().params(shape)], ids=lambda value: ""
)
def test_a_layer_in_no_network_says_that_it_has_no_weights_and_who_gives_it_some(make, in_shape):
    layer = make()
    words = (
        rf"this {type(layer).__name__} is in no network .* net = Sequential\(\[{type(layer).__name__}\(…\)\], in_shape"
    )
    with pytest.raises(UnboundLayerError, match=words) as caught:
        layer.forward(np.ones((2, *in_shape)), train=True)
    assert isinstance(caught.value, AttributeError)


class Broken(nn.Dense):
    @property
    def twice(self):
        return self.nothing * 2


def test_what_else_a_layer_lacks_is_an_error_of_pythons_own():
    layer = network().layers[0]
    assert not hasattr(layer, "w")
    assert not hasattr(nn.Dense(3), "W")
    for bare in (layer, nn.ReLU()):
        with pytest.raises(AttributeError, match="has no attribute 'foo'") as caught:
            bare.foo  # noqa: B018
        assert not isinstance(caught.value, MiniganError)
    with pytest.raises(AttributeError, match="has no attribute '_ipython_display_'"):
        nn.Dense(3)._ipython_display_  # noqa: B018
    broken = Broken(3)
    nn.Sequential([broken], (4,), rng=np.random.default_rng(0))
    with pytest.raises(AttributeError, match="'nothing'"):  # and not 'twice', which is there
        broken.twice  # noqa: B018


def test_a_spectral_norm_that_is_half_made_does_not_ask_itself_for_ever():
    with pytest.raises(UnboundLayerError, match="no 'layer'"):
        repr(nn.SpectralNorm.__new__(nn.SpectralNorm))


# Modules --------------------------------------------------------------------------------------------------------------

ROOT = Path(minigan.__file__).parent
MODULES = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
MODULES -= {"__init__", "__main__", "pytest_plugin"}


@pytest.mark.parametrize("name", ["nn", "gradcheck", "runs", "plot", "metrics"])
def test_a_module_need_not_be_imported_by_its_own_name(name):
    code = f"import sys, minigan; assert 'numpy' not in sys.modules; print(minigan.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"minigan.{name}"


def test_completion_offers_every_module_and_a_type_checker_is_told_of_the_same():
    assert MODULES <= set(dir(minigan))
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    told = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == MODULES


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gradchek", r"minigan has no module 'gradchek'; did you mean gradcheck\?"),
        ("Dense", "it is minigan.nn.Dense"),
        ("foo", "known: .* nn, "),
    ],
)
def test_a_module_that_there_is_not_is_answered_with_the_nearest(name, words):
    assert not hasattr(minigan, name)
    with pytest.raises(AttributeError, match=words):
        getattr(minigan, name)
    with pytest.raises(ImportError, match=name):
        exec(f"from minigan import {name}")


def test_what_copy_and_pickle_ask_of_a_module_imports_nothing():
    code = (
        "import sys, minigan; hasattr(minigan, '__deepcopy__'), hasattr(minigan, '_x'); print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
