"""The contract of a layer, over every layer, device and dtype. It needs NumPy and pytest only (and CuPy for "gpu")."""

import numpy as np
import pytest
import standin
import thirdlibrary
from cases import ALL, CASES, IDS

from minigan import nn
from minigan.backend import RandomStream, to_device, to_numpy
from minigan.gradcheck import check_layer, check_network
from minigan.gradcheck.batches import claimed_alone
from minigan.gradcheck.contract import flags
from minigan.gradcheck.form import form
from minigan.gradcheck.precision import single_precision
from minigan.gradcheck.trial import Trial

DEVICES = ["standin", "third", pytest.param("gpu", marks=pytest.mark.gpu)]
BATCH = 5

each_layer = pytest.mark.parametrize(("name", "make", "in_shape"), ALL, ids=IDS)
each_mode = pytest.mark.parametrize("train", [True, False], ids=["train", "inference"])
each_device = pytest.mark.parametrize("device", DEVICES, indirect=True)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@pytest.fixture
def device(request):
    """The device's name for minigan: "gpu" for CuPy's stand-in too, which needs none."""
    if request.param == "standin":
        request.getfixturevalue("standin")
        return "gpu"
    if request.param == "third":
        standin.install(request.getfixturevalue("monkeypatch"), thirdlibrary.LIBRARY)
    return request.param


def trial_of(make, in_shape, *, train, device="cpu", dtype=np.float64):
    """A layer in a network of its own, with random parameters, an input, and an upstream gradient."""
    rng = np.random.default_rng(3)
    net = nn.Sequential([make()], in_shape, rng=rng, dtype=dtype)
    net.params[...] = rng.uniform(0.3, 1.2, net.params.shape)
    net.buffers[...] = rng.uniform(0.3, 1.2, net.buffers.shape)
    x = to_device(rng.standard_normal((BATCH, *in_shape)).astype(dtype), device)
    return Trial(net.to(device), x, train=train)


def test_every_layer_of_the_library_has_a_case():
    layers = {n for n in nn.__all__ if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Layer)}
    assert layers - {"Layer"} == CASES.keys()


@each_layer
@each_mode
def test_gradient_of_input_and_every_parameter(name, make, in_shape, train):
    report = check_layer(make(), in_shape, train=train)
    assert report, str(report)


@each_layer
@each_mode
def test_gradient_between_two_dense_layers(name, make, in_shape, train):
    # A layer put first is tested only through its parameters by a network; here its input gradient matters too.
    C = in_shape[-1]
    net = nn.Sequential([nn.Dense(C), make(), nn.Dense(2)], in_shape, rng=np.random.default_rng(0), dtype=np.float64)
    report = check_network(net, train=train)
    assert report, str(report)


@pytest.mark.slow
def test_of_all_entries_of_all_layers_none_is_wrong_or_undecided():
    reports = [check_layer(make(), shape, train=train) for _, make, shape in ALL for train in (True, False)]
    assert sum(report.entries for report in reports) > 1000
    assert not any(
        row.wrong.any() or row.undecided.any() or row.kink.any() for report in reports for row in report.rows
    )


# `check_layer`, above, has tried these rules on NumPy arrays, and others: that nothing is kept of a pass, memory
# layouts, other batches and weights, an example's neighbours, what update_buffers does. Here follow other devices.


@each_layer
@each_mode
@each_device
@each_dtype
def test_shape_dtype_and_device_are_kept(name, make, in_shape, train, device, dtype):
    assert form(trial_of(make, in_shape, train=train, device=device, dtype=dtype)) == []


def test_only_a_layer_that_takes_statistics_of_its_batch_does_not_take_each_example_alone():
    claims = {name: getattr(nn, name).each_alone for name in CASES}
    assert {name for name, claim in claims.items() if not claim} == {"BatchNorm"}


@each_layer
@each_device
def test_what_says_each_alone_takes_each_example_alone(name, make, in_shape, device):
    assert claimed_alone(trial_of(make, in_shape, train=True, device=device)) == []


@each_layer
@each_mode
@each_device
def test_passes_leave_input_upstream_parameters_and_cache_alone(name, make, in_shape, train, device):
    trial = trial_of(make, in_shape, train=train, device=device)
    left_alone = trial.x, trial.dy, trial.net.params, trial.net.buffers
    kept = [to_numpy(a).copy() for a in left_alone]
    y, cache = trial.forward()
    y_kept = to_numpy(y).copy()
    first = to_numpy(trial.backward(cache)).copy(), to_numpy(trial.net.grads).copy()
    second = to_numpy(trial.backward(cache)), to_numpy(trial.net.grads)
    for before, after in zip(kept, left_alone, strict=True):
        np.testing.assert_array_equal(before, to_numpy(after))
    np.testing.assert_array_equal(y_kept, to_numpy(y))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b, err_msg="a second backward on the same cache differs")


@each_layer
@each_mode
@each_device
def test_accumulate_adds_and_the_need_flags_change_nothing_else(name, make, in_shape, train, device):
    trial = trial_of(make, in_shape, train=train, device=device)
    assert flags(trial) == []
    assert trial.backward(trial.forward()[1], need_input_grad=False) is None


@each_layer
@each_mode
def test_a_layer_by_itself_answers_both_questions_and_writes_unless_told_otherwise(name, make, in_shape, train):
    trial = trial_of(make, in_shape, train=train)
    expected = trial.both()
    (layer,) = trial.net.layers
    _, cache = layer.forward(trial.x, train=train, rng=RandomStream(1, "dropout"))
    trial.net.grads[...] = -7
    np.testing.assert_array_equal(layer.backward(trial.dy, cache), expected.dx)
    for parameter, grad in trial.grads().items():
        np.testing.assert_array_equal(grad, expected.grads[parameter])


@each_layer
@each_mode
@each_device
def test_each_question_alone_is_answered_with_the_bits_of_backward(name, make, in_shape, train, device):
    """Whatever an overridden `backward` takes once for both."""
    trial = trial_of(make, in_shape, train=train, device=device)
    dx, grads = to_numpy(trial.backward(trial.forward()[1])).copy(), trial.grads()
    (layer,), cache = trial.net.layers, trial.forward()[1].layers[0]
    alone = {parameter: to_device(np.full_like(grad, -7), device) for parameter, grad in grads.items()}
    trial.net.grads[...] = -7
    layer.param_grads(trial.dy, cache, alone)
    np.testing.assert_array_equal(to_numpy(layer.input_grad(trial.dy, cache)), dx)
    for parameter, grad in grads.items():
        np.testing.assert_array_equal(to_numpy(alone[parameter]), grad)
    assert (to_numpy(trial.net.grads) == -7).all()


@each_layer
@each_mode
@each_device
@pytest.mark.parametrize("accumulate", [False, True], ids=["written", "added"])
def test_gradients_go_into_another_vector_with_the_same_bits_and_nowhere_else(
    name, make, in_shape, train, device, accumulate
):
    trial = trial_of(make, in_shape, train=train, device=device)
    (layer,), grads, cache = trial.net.layers, trial.net.grads, trial.forward()[1]
    held = trial.normal(grads.shape, 3)
    grads[...] = held
    dx = to_numpy(trial.backward(cache, accumulate=accumulate)).copy()
    expected, others = to_numpy(grads).copy(), [held.copy() for _ in range(3)]
    views = {parameter.split(".")[-1]: view for parameter, view in trial.net.named_grads(others[1]).items()}
    grads[...] = -7
    options = {"accumulate": accumulate}
    np.testing.assert_array_equal(to_numpy(trial.backward(cache, grads=others[0], **options)), dx)
    np.testing.assert_array_equal(to_numpy(layer.backward(trial.dy, cache.layers[0], grads=views, **options)), dx)
    assert trial.backward(cache, grads=others[2], need_input_grad=False, **options) is None
    for other in others:
        np.testing.assert_array_equal(to_numpy(other), expected)

    untouched = held.copy()
    np.testing.assert_array_equal(
        to_numpy(trial.backward(cache, grads=untouched, need_param_grads=False, **options)), dx
    )
    np.testing.assert_array_equal(to_numpy(untouched), to_numpy(held))
    assert (to_numpy(grads) == -7).all()


@each_layer
@each_mode
@each_device
def test_float32_on_this_device_agrees_with_float64_on_the_cpu(name, make, in_shape, train, device):
    assert single_precision(trial_of(make, in_shape, train=train), device) == []
