"""minigan's weights in PyTorch's layout, against answers that PyTorch gave, stored in oracle/ beside the script.

After a new or changed case, run oracle/make_torch_layout_answers.py again; it needs PyTorch, these tests do not.
"""

import numpy as np
import pytest
from oracle import torch_layout_inputs as inputs

from minigan import nn
from minigan.backend import device_of
from minigan.errors import ArgumentError, DTypeError, ShapeError
from minigan.export.torch import from_torch, to_torch, torch_code
from minigan.export.torch_code import COUNTERPARTS, Counterpart

ANSWERS = inputs.load()


def build(layers, in_shape, dtype=np.float32):
    """A network whose running statistics are not those of a new one."""
    net = nn.Sequential(layers, in_shape, rng=np.random.default_rng(0), dtype=dtype)
    for name, view in net.named_buffers().items():
        if "running" in name:
            view[...] = np.random.default_rng(1).uniform(0.5, 2, view.shape)
    return net


def bits(network):
    return {name: view.tobytes() for name, view in network.state().items()}


def torch_state(case):
    """As PyTorch had it when it answered."""
    answer = ANSWERS[case]
    params = answer["shapes"].keys() - answer["buffers"].keys()
    state = {name: inputs.torch_parameter(f"{case}.{name}", answer["shapes"][name]) for name in params} | answer[
        "buffers"
    ]
    return {n: array.astype(np.int64) if n.endswith("num_batches_tracked") else array for n, array in state.items()}


# Beside PyTorch ------------------------------------------------------------------------------------------------------


def test_pytorch_answered_for_every_case_and_for_no_other():
    assert ANSWERS.keys() == inputs.CASES.keys(), "run tests/oracle/make_torch_layout_answers.py"


@pytest.mark.parametrize("case", inputs.CASES)
def test_code_names_and_shapes_are_those_that_pytorch_took(case):
    net = inputs.network(case)
    assert torch_code(net) == ANSWERS[case]["code"]
    assert {name: array.shape for name, array in to_torch(net).items()} == ANSWERS[case]["shapes"]


@pytest.mark.parametrize("case", inputs.CASES)
def test_a_state_that_pytorch_made_gives_pytorchs_outputs_and_can_be_had_back(case):
    net, state = inputs.network(case), torch_state(case)
    from_torch(net, state)
    y = inputs.channels_first(net(inputs.x_of(case)))
    np.testing.assert_allclose(y.ravel(), ANSWERS[case]["y"], rtol=1e-5, atol=1e-5)
    for name, array in to_torch(net).items():
        if name.endswith("._v"):  # made anew
            np.testing.assert_allclose(array, state[name], rtol=0, atol=1e-6)
        elif not name.endswith("num_batches_tracked"):
            assert array.tobytes() == state[name].tobytes(), name


@pytest.mark.parametrize("case", inputs.CASES)
def test_there_and_back_no_bit_has_changed(case):
    net = inputs.network(case)
    state, before = to_torch(net), bits(net)
    net.params[...] = net.buffers[...] = 0
    from_torch(net, state)
    assert bits(net) == before


def test_every_layer_has_a_counterpart():
    layers = {layer for layer in vars(nn).values() if isinstance(layer, type) and issubclass(layer, nn.Layer)}
    assert layers - {nn.Layer} == COUNTERPARTS.keys()


# Somebody else's layer ------------------------------------------------------------------------------------------------


class Scale(nn.Layer):
    """y = s·x, a factor for each feature."""

    def params(self, in_shape):
        return {"s": (in_shape[-1:], nn.init.ones)}

    def forward(self, x, *, train, rng=None):
        return x * self.s, x

    def input_grad(self, dy, cache):
        return dy * self.s


class Mix(nn.Dense):
    """A Dense layer under another name, of whose class nothing is known."""


class Halves(nn.Layer):
    """The mean of each two neighbours."""

    def out_shape(self, in_shape):
        return (in_shape[0] // 2,)

    def forward(self, x, *, train, rng=None):
        return x.reshape(len(x), -1, 2).mean(axis=-1), None


def mixed(layer, in_shape):
    return Counterpart([f"mine.Mix({in_shape[0]}, {layer.features})"], features="mixed")


def test_somebody_elses_layers_go_to_pytorch_and_back_by_their_entries_alone(monkeypatch):
    monkeypatch.setitem(COUNTERPARTS, Mix, mixed)
    entry = Counterpart(["mine.Double()", "mine.Scale(12)"], 1, names={"s": "factor"})
    monkeypatch.setitem(COUNTERPARTS, Scale, lambda *_: entry)
    net = build([Mix(12), Scale(), nn.Reshape(2, 3, 2), nn.Flatten(), Mix(1, bias=False)], (2,))
    assert torch_code(net).splitlines()[1:3] == [
        "    mine.Mix(2, 12),",
        "    nn.Sequential(mine.Double(), mine.Scale(12)),",
    ]
    state, before = to_torch(net), bits(net)
    assert [*state] == ["0.weight", "0.bias", "1.1.factor", "4.weight"]
    channels = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]  # as an image's features lie in PyTorch
    np.testing.assert_array_equal(state["1.1.factor"], net.layers[1].s[channels])
    np.testing.assert_array_equal(state["0.weight"], net.layers[0].W[:, channels].T)
    np.testing.assert_array_equal(state["4.weight"], net.layers[4].W[channels].T)
    net.params[...] = 0
    from_torch(net, state)
    assert bits(net) == before


def test_somebody_elses_layer_may_take_neighbours_in_groups(monkeypatch):
    monkeypatch.setitem(COUNTERPARTS, Halves, lambda *_: Counterpart(["nn.AvgPool1d(2)"], group=2))
    net = build([nn.Dense(8, bias=False), Halves(), nn.Reshape(1, 2, 2)], (1,))
    net.params[...] = np.arange(8)
    assert to_torch(net)["0.weight"].ravel().tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


@pytest.mark.parametrize(
    ("layer", "entry", "said"),
    [
        (Scale(), Counterpart(["mine.Scale(4)"]), r"says not what PyTorch calls its s \(names=\{'s': …\}\)"),
        (Halves(), Counterpart(["nn.AvgPool1d(2)"]), "says features='each' and group=1"),
        (Halves(), Counterpart(["nn.AvgPool1d(4)"], group=4), "says features='each' and group=4"),
    ],
    ids=["no name", "no group", "another group"],
)
def test_an_entry_that_does_not_fit_its_layer_is_named_with_its_place(layer, entry, said, monkeypatch):
    monkeypatch.setitem(COUNTERPARTS, type(layer), lambda *_: entry)
    where = rf"layer 1 \({type(layer).__name__}\(\), \(4,\) to .*COUNTERPARTS of minigan.export.torch_code"
    with pytest.raises(ArgumentError, match=f"{where} {said}"):
        to_torch(build([nn.Dense(4), layer], (4,)))


# The order of the features -------------------------------------------------------------------------------------------


def test_the_columns_of_a_dense_layer_before_a_reshape_and_what_normalises_them_go_channel_by_channel():
    net = build([nn.Dense(12), nn.BatchNorm(), nn.Reshape(2, 3, 2)], (1,))
    net.named_params()["0.Dense.W"][0] = net.named_params()["0.Dense.b"][...] = np.arange(12)
    for name in ("gamma", "beta", "running_mean", "running_var"):
        net.state()[f"1.BatchNorm.{name}"][...] = np.arange(12)
    state = to_torch(net)
    channels = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]  # all of the first channel, then all of the second
    permuted = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    assert all(state[name].ravel().tolist() == channels for name in permuted)


def test_the_rows_of_a_dense_layer_after_a_flatten_go_channel_by_channel():
    net = build([nn.Flatten(), nn.Dense(1, bias=False)], (2, 3, 2))
    net.params[...] = np.arange(12)
    assert to_torch(net)["1.weight"].tolist() == [[0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]]


def test_an_image_of_one_channel_or_of_one_pixel_needs_no_other_order():
    for shape in ((2, 3, 1), (1, 1, 6)):
        net = build([nn.Dense(6), nn.Reshape(*shape), nn.Flatten(), nn.Maxout(2), nn.Dense(6)], (6,))
        assert np.array_equal(to_torch(net)["0.weight"], net.named_params()["0.Dense.W"].T)


def test_a_transposed_kernel_is_not_turned_round():
    net = build([nn.ConvTranspose2d(1, (2, 3), bias=False)], (1, 1, 1))
    net.params[...] = np.arange(6)
    assert to_torch(net)["0.weight"].ravel().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("layers", "in_shape", "index"),
    [
        ([nn.Flatten()], (2, 3, 2), 0),
        ([nn.Conv2d(2, 1), nn.ReLU(), nn.Flatten(), nn.ReLU()], (2, 3, 2), 3),
        ([nn.Reshape(2, 3, 2), nn.Flatten(), nn.Dense(1)], (12,), 0),
        ([nn.Reshape(2, 2, 3), nn.Flatten(), nn.Dense(1)], (2, 3, 2), 0),
        ([nn.Flatten(), nn.Reshape(3, 4), nn.Dense(1)], (2, 3, 2), 1),
    ],
)
def test_an_order_that_no_dense_layer_can_mend_is_refused_with_the_layers_place(layers, in_shape, index):
    with pytest.raises(ArgumentError, match=rf"layer {index} .* put a Dense layer between"):
        to_torch(build(layers, in_shape))


def test_the_groups_of_a_maxout_after_a_flatten_are_refused():
    with pytest.raises(
        ArgumentError, match=r"layer 1 \(Maxout\(pieces=2\)\) takes the largest of neighbouring features"
    ):
        to_torch(build([nn.Flatten(), nn.Maxout(2), nn.Dense(1)], (2, 3, 2)))


# What has no counterpart ---------------------------------------------------------------------------------------------


class Doubled(nn.ReLU):
    """Not what its base class computes."""


def test_a_layer_without_a_counterpart_is_refused_with_its_place():
    with pytest.raises(ArgumentError, match=r"layer 1 \(Doubled\(\)\) has no counterpart in PyTorch: none is known"):
        torch_code(build([nn.Tanh(), Doubled()], (3,)))
    with pytest.raises(ArgumentError, match=r"layer 0 .*BatchNorm takes flat features or images and not \(2, 3\)"):
        to_torch(build([nn.BatchNorm()], (2, 3)))
    with pytest.raises(ArgumentError, match=r"layer 0 .*no place for an input of \(1, 1, 1, 4\)"):
        to_torch(build([nn.Maxout(2)], (1, 1, 1, 4)))


def test_a_spectral_norm_that_pytorch_would_divide_by_zero_for_is_refused_but_can_be_loaded():
    net = build([nn.ReLU(), nn.SpectralNorm(nn.Dense(3))], (4,))
    state = to_torch(net)
    net.params[...] = 0
    with pytest.raises(ArgumentError, match=r"layer 1: SpectralNorm's W u is 0"):
        to_torch(net)
    from_torch(net, state)
    assert net.params.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [0.7, 0.0])
def test_an_averaged_u_goes_to_pytorch_with_length_1_since_pytorch_divides_by_it_as_it_is(length, dtype):
    net = build([nn.Flatten(), nn.SpectralNorm(nn.Dense(3))], (2, 2, 1), dtype)
    net.buffers *= length
    state = to_torch(net)
    W, u, v = (state[f"1.parametrizations.weight.{name}"] for name in ("original", "0._u", "0._v"))
    assert np.linalg.norm(u) == pytest.approx(1, abs=1e-6)
    x = np.random.default_rng(3).standard_normal((5, 2, 2, 1)).astype(dtype)
    y = x.reshape(5, 4) @ (W / (u @ W @ v)).T + state["1.bias"]  # the code of torch.nn.utils.parametrizations
    np.testing.assert_allclose(y, net(x), rtol=1e-5, atol=1e-5)
    from_torch(net, state)
    np.testing.assert_allclose(net(x), y, rtol=1e-5, atol=1e-5)


def test_vectors_of_a_spectral_norm_that_are_older_than_its_weights_are_refused():
    net = build([nn.SpectralNorm(nn.Dense(3))], (4,))
    state = to_torch(net)
    before = bits(net)
    state["0.parametrizations.weight.original"][:, 0] += 1  # as after a step of PyTorch's optimiser
    with pytest.raises(ArgumentError, match=r"_v is older than its weights.*let the model run once in training mode"):
        from_torch(net, state)
    assert bits(net) == before


# What is let in ------------------------------------------------------------------------------------------------------


class Tensor:
    """PyTorch's, from far away."""

    shape, dtype = (3, 4), np.float32


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda state: state.pop("0.bias"), ArgumentError, r"lacks 0\.bias and has nothing too many"),
        (
            lambda state: state.update({"9.bias": state["0.bias"]}),
            ArgumentError,
            r"lacks nothing and has 9\.bias too many",
        ),
        (
            lambda state: state.update({"0.weight": state["0.weight"].T}),
            ShapeError,
            r"0\.weight has shape \(4, 3\).*\(3, 4\)",
        ),
        (lambda state: state.update({"0.bias": np.zeros(3)}), DTypeError, r"0\.bias is float64 and should be float32"),
        (lambda state: state.update({"0.weight": Tensor()}), DTypeError, r"0\.weight is a Tensor.*t\.numpy\(\)"),
        (lambda state: state.update({"1.num_batches_tracked": np.float32(1)}), DTypeError, "must be a NumPy array"),
    ],
)
def test_a_state_that_is_not_the_networks_changes_nothing(change, error, message):
    net = build([nn.Dense(3), nn.BatchNorm()], (4,))
    state, before = to_torch(net), bits(net)
    for array in state.values():
        array[...] = 7
    change(state)
    with pytest.raises(error, match=message):
        from_torch(net, state)
    assert bits(net) == before


def test_float64_stays_float64():
    net = build([nn.Dense(3), nn.SpectralNorm(nn.Dense(2))], (4,), np.float64)
    state, before = to_torch(net), bits(net)
    assert {array.dtype for array in state.values()} == {np.dtype(np.float64)}
    from_torch(net, state)
    assert bits(net) == before


def test_the_state_is_a_copy_that_later_training_does_not_change():
    net = build([nn.Dense(3)], (4,))
    weight = to_torch(net)["0.weight"]
    before = weight.tobytes()
    net.params[...] = 0
    assert weight.tobytes() == before


def test_the_arrays_can_be_saved_as_they_lie_in_memory():
    net = build([nn.Dense(12), nn.Reshape(2, 3, 2), nn.Conv2d(3, 2), nn.Flatten(), nn.SpectralNorm(nn.Dense(2))], (4,))
    assert all(array.flags.c_contiguous for array in to_torch(net).values())


def test_passes_from_before_the_weights_came_are_stale():
    net = build([nn.Dense(3)], (4,))
    version = net.version
    from_torch(net, to_torch(net))
    assert net.version > version


def test_a_network_on_a_gpu_gives_and_takes_arrays_of_the_host(standin):
    here, there = (build([nn.Dense(3), nn.BatchNorm()], (4,)) for _ in range(2))
    there.to("gpu")
    assert all(type(array) is np.ndarray for array in to_torch(there).values())
    here.params[...] = 2
    from_torch(there, to_torch(here))
    assert device_of(there.params) == "gpu"
    assert np.array_equal(to_torch(there)["0.weight"], to_torch(here)["0.weight"])
