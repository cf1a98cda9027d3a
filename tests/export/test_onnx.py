"""minigan's ONNX files as onnxruntime runs them, beside the networks that they were made of."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import ALL, IDS, SYSTEMS
from oracle.torch_layout_inputs import MIXED

import minigan
from minigan import nn
from minigan.backend import to_numpy
from minigan.errors import ArgumentError, PackageMissingError
from minigan.export.onnx import EXPORTS, OPSET, export_onnx
from minigan.recipes import RECIPES

pytestmark = pytest.mark.extra

#: Networks that end in what adds no node, or in a node that is not the layer's own.
ENDS = [
    ("Dropout-last", lambda: [nn.Dense(4), nn.Dropout(drop=0.5)], (3,)),
    ("Dropout-twice", lambda: [nn.Dropout(drop=0.5), nn.Dropout(drop=0.1)], (3,)),
    ("Flatten-last", lambda: [nn.Conv2d(2, 2), nn.Dropout(drop=0.5), nn.Flatten()], (3, 3, 1)),
    ("MaxPool2d-last", lambda: [nn.Conv2d(2, 2), nn.MaxPool2d(2), nn.Dropout(drop=0.5)], (4, 4, 1)),
]


@pytest.fixture(scope="module")
def onnx():
    pytest.importorskip("onnx.version_converter", reason="needs the package onnx, of minigan's extra 'onnx'")
    return pytest.importorskip("onnx", reason="needs the package onnx, of minigan's extra 'onnx'")


@pytest.fixture
def run(onnx, tmp_path):
    """A function: the outputs of a network, exported, in onnxruntime."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime, of minigan's extra 'onnx'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1

    def run(network, *inputs):
        path = tmp_path / "network.onnx"
        export_onnx(network, path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return [session.run(["y"], {"x": x.astype(np.float32)})[0] for x in inputs]

    return run


def shaken(network):
    """With random parameters and statistics, where new ones are often 0 or 1."""
    rng = np.random.default_rng(2)
    for name, view in network.state().items():
        view[...] += rng.uniform(0, 0.5, view.shape) if "running_var" in name else rng.normal(0, 0.1, view.shape)
    return network


def build(layers, in_shape, dtype=np.float32):
    return shaken(nn.Sequential(layers, in_shape, rng=np.random.default_rng(0), dtype=dtype))


def compare(run, network, sizes=(1, 7)):
    """`sizes`: numbers of inputs at once."""
    xs = [np.random.default_rng(n).standard_normal((n, *network.in_shape)).astype(network.dtype) for n in sizes]
    for x, y in zip(xs, run(network, *xs), strict=True):
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("part", [0, 1], ids=["G", "D"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_recipe_answers_in_onnxruntime_as_in_minigan(name, part, run):
    compare(run, shaken(RECIPES[name].smoke().networks(np.random.default_rng(0))[part]))


@pytest.mark.parametrize(("name", "make", "in_shape"), ALL, ids=IDS)
def test_a_layer_alone_answers_in_onnxruntime_as_in_minigan(name, make, in_shape, run):
    compare(run, build([make()], in_shape))


@pytest.mark.parametrize("name", MIXED)
def test_layers_of_all_kinds_together_answer_in_onnxruntime_as_in_minigan(name, run):
    make, in_shape = MIXED[name]
    compare(run, build(make(), in_shape))


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1], ids=["G", "D"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_recipe_at_its_full_size_answers_in_onnxruntime_as_in_minigan(name, part, run):
    compare(run, RECIPES[name].networks(np.random.default_rng(0))[part])


@pytest.mark.parametrize("scale", [3, 7, (5, 11)])
def test_every_pixel_of_an_upsampled_image_is_the_same_bits(scale, run):
    net = nn.Sequential([nn.Upsample2d(scale)], (13, 9, 2), rng=np.random.default_rng(0))
    x = np.random.default_rng(0).standard_normal((1, 13, 9, 2)).astype(np.float32)
    assert np.array_equal(run(net, x)[0], net(x))


def test_a_network_of_float64_is_exported_in_float32(run):
    compare(run, build([nn.Dense(4), nn.BatchNorm(), nn.SpectralNorm(nn.Dense(2))], (3,), np.float64))


def test_a_network_on_a_gpu_is_exported_from_there(run, standin):
    network = build([nn.SpectralNorm(nn.Conv2d(2, 3)), nn.BatchNorm(), nn.Flatten(), nn.Dense(2)], (4, 4, 1))
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 1)).astype(np.float32)
    y = to_numpy(network(x))
    np.testing.assert_allclose(run(network.to("gpu"), x)[0], y, rtol=1e-5, atol=1e-5)


def test_the_file_says_what_made_it_and_what_it_takes_and_gives(onnx, tmp_path):
    export_onnx(build([nn.Dense(6), nn.Reshape(1, 2, 3), nn.Dropout(drop=0.5)], (4,)), tmp_path / "g.onnx")
    model = onnx.load(tmp_path / "g.onnx")
    assert (model.producer_name, model.producer_version) == ("minigan", minigan.__version__)
    assert "Dense(features=6" in model.doc_string
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    (x,), (y,) = model.graph.input, model.graph.output
    shapes = [[d.dim_param or d.dim_value for d in end.type.tensor_type.shape.dim] for end in (x, y)]
    assert (x.name, y.name, shapes) == ("x", "y", [["N", 4], ["N", 1, 2, 3]])
    assert {weight.name for weight in model.graph.initializer} == {"0.Dense.W", "0.Dense.b", "1.Reshape.shape"}
    assert "Dropout" not in [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(("name", "make", "in_shape"), [*ALL, *ENDS], ids=[*IDS, *(name for name, _, _ in ENDS)])
def test_no_identity_keeps_a_network_from_a_runtime_of_an_older_opset(name, make, in_shape, onnx, run, tmp_path):
    made = make()
    network = build(made if isinstance(made, list) else [made], in_shape)
    compare(run, network, sizes=(2,))
    model = onnx.load(tmp_path / "network.onnx")
    operators = [node.op_type for node in model.graph.node]
    if all(isinstance(layer, nn.Dropout) for layer in network.layers):
        assert operators == ["Identity"]  # a graph must have a node
    else:
        assert "Identity" not in operators
        older = onnx.version_converter.convert_version(model, 15)
        onnx.checker.check_model(older, full_check=True)
        assert [node.op_type for node in older.graph.node] == operators


def test_every_layer_has_an_export():
    layers = {layer for layer in vars(nn).values() if isinstance(layer, type) and issubclass(layer, nn.Layer)}
    assert layers - {nn.Layer} == EXPORTS.keys()


class Scale(nn.Layer):
    """y = s·x, a factor for each feature: somebody else's layer."""

    def params(self, in_shape):
        return {"s": (in_shape[-1:], nn.init.ones)}

    def forward(self, x, *, train, rng=None):
        return x * self.s, x


def test_somebody_elses_layer_answers_in_onnxruntime_by_its_entry_alone(run, monkeypatch):
    def scale(graph, layer, x, _):
        return graph.node("Mul", x, graph.weight("s", layer.s))

    monkeypatch.setitem(EXPORTS, Scale, scale)
    compare(run, build([nn.Dense(4), Scale(), nn.ReLU(), Scale()], (3,)))
    compare(run, build([nn.Conv2d(2, 3), Scale(), nn.Flatten(), nn.Dense(2)], (4, 4, 1)))


class Doubled(nn.ReLU):
    """Not what its base class computes."""


def test_a_layer_without_an_export_is_refused_with_its_place_and_writes_nothing(onnx, tmp_path):
    said = (
        r"layer 1 \(Doubled\(\)\) cannot be exported to ONNX: .* of a Doubled.* entry in EXPORTS of minigan.export.onnx"
    )
    with pytest.raises(ArgumentError, match=said):
        export_onnx(build([nn.Tanh(), Doubled()], (3,)), tmp_path / "g.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_package_one_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(PackageMissingError, match=r"pip install 'minigan\[onnx\]'"):
        export_onnx(build([nn.Tanh()], (3,)), tmp_path / "g.onnx")


@pytest.mark.slow
def test_importing_the_module_imports_no_onnx():
    code = "import sys, minigan.export.onnx; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("own_recipes")
def test_onnx_computes_what_the_page_of_ones_own_layers_says_that_its_layer_is_there(run):
    PReLU = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "my_recipe.py"))["PReLU"]
    for in_shape in ((5,), (3, 3, 2)):
        network = build([nn.Dense(4), PReLU(), nn.Dense(2)], in_shape)
        x = np.random.default_rng(1).standard_normal((7, *in_shape), np.float32)
        np.testing.assert_allclose(run(network, x)[0], network(x), atol=1e-5)
