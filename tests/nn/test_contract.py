"""The contract of a layer, over every layer, device and dtype. It needs NumPy and pytest only (and CuPy for "gpu")."""

import numpy as np
import pytest
import standin
import thirdlibrary
from cases import ALL, CASES, IDS

from minigan import backend, nn
from minigan.backend import RandomStream, to_device, to_numpy
from minigan.gradcheck import check_layer, check_network
from minigan.gradcheck.batches import claimed_alone
from minigan.gradcheck.contract import flags
from minigan.gradcheck.form import form
from minigan.gradcheck.precision import single_precision
from minigan.gradcheck.purity import layouts
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


@pytest.mark.slow
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


# The third question, `tangent`, needs no differences: J dx is of the same matrix as Jᵀ dy ----------------------------

ROOM = {np.float32: 1e-5, np.float64: 1e-12}  # of the sum of the sizes of what is added up


def laid_out(array):
    """[(a word for it, the same numbers in that memory layout)], of the array's own library."""
    own = {standin.Array: standin.Array, thirdlibrary.Array: thirdlibrary.own}
    wrap = own.get(type(array), lambda host: to_device(host, backend.device_of(array)))
    return [("contiguous", array), *((layout, wrap(other)) for layout, other in layouts(to_numpy(array)))]


def arrays_in(cache):
    """Copies of all the arrays that a cache holds."""
    if isinstance(cache, (tuple, list)):
        return [array for part in cache for array in arrays_in(part)]
    return [to_numpy(cache).copy()] if hasattr(cache, "dtype") and hasattr(cache, "shape") else []


@each_layer
@each_mode
@each_device
@each_dtype
def test_the_tangent_and_the_input_gradient_are_of_one_matrix(name, make, in_shape, train, device, dtype):
    trial = trial_of(make, in_shape, train=train, device=device, dtype=dtype)
    _, cache = trial.forward()
    dx, dy = trial.normal(trial.x.shape, 2), to_numpy(trial.dy).astype(np.float64)
    backwards = (to_numpy(trial.backward(cache)).astype(np.float64) * to_numpy(dx)).sum()
    for layout, other in laid_out(dx):
        forwards = dy * to_numpy(trial.net.tangent(other, cache))
        assert abs(forwards.sum() - backwards) <= ROOM[dtype] * abs(forwards).sum(), layout


@each_layer
@each_mode
@each_device
@each_dtype
def test_the_tangent_is_linear_and_like_the_output(name, make, in_shape, train, device, dtype):
    trial = trial_of(make, in_shape, train=train, device=device, dtype=dtype)
    y, cache = trial.forward()
    (layer,), own = trial.net.layers, cache.layers[0]
    one, other = (trial.normal(trial.x.shape, draw) for draw in (2, 3))
    tangents = [layer.tangent(dx, own) for dx in (one, other, 2 * one - 3 * other)]
    for tangent in tangents:
        assert (type(tangent), tangent.shape, tangent.dtype) == (type(y), y.shape, y.dtype)
    of_one, of_other, of_both = map(to_numpy, tangents)
    room = ROOM[dtype] * (abs(of_one) + abs(of_other) + abs(of_one).max())
    assert (abs(of_both - (2 * of_one - 3 * of_other)) <= 10 * room).all()


@each_layer
@each_mode
@each_device
def test_tangents_and_their_gradients_leave_arguments_weights_and_cache_alone(name, make, in_shape, train, device):
    trial = trial_of(make, in_shape, train=train, device=device)
    y, cache = trial.forward()
    (layer,), own, dx = trial.net.layers, cache.layers[0], trial.normal(trial.x.shape, 2)
    left_alone = trial.x, y, trial.dy, dx, trial.net.params, trial.net.buffers, trial.net.grads
    kept, held = [to_numpy(array).copy() for array in left_alone], arrays_in(own)
    into = [{n: to_device(np.full(grad.shape, -7.0), device) for n, grad in trial.grads().items()} for _ in range(2)]
    once, again = (
        [layer.tangent(dx, own), layer.tangent_grads(dx, trial.dy, own, grads), *grads.values()] for grads in into
    )
    for a, b in zip(once, again, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
    for before, after in zip([*kept, *held], [*map(to_numpy, left_alone), *arrays_in(own)], strict=True):
        np.testing.assert_array_equal(before, after)
    assert all((to_numpy(grad) != -7).all() for grads in into for grad in grads.values()), "not every gradient written"


@each_layer
@each_mode
def test_the_tangent_is_a_central_difference(name, make, in_shape, train):
    trial = trial_of(make, in_shape, train=train)
    y, cache = trial.forward()
    h, dx = 1e-6, trial.normal(trial.x.shape, 2)
    ahead, behind = (trial.forward(trial.x + step * dx)[0] for step in (h, -h))
    np.testing.assert_allclose(
        trial.net.tangent(dx, cache), (ahead - behind) / (2 * h), rtol=1e-7, atol=1e-8 * (1 + abs(y).max())
    )


@each_layer
@each_mode
@each_device
def test_the_curvature_in_float32_on_this_device_is_that_in_float64_on_the_cpu(name, make, in_shape, train, device):
    fine = trial_of(make, in_shape, train=train)
    found = []
    for trial in (fine, fine.like(np.float32, device)):
        (layer,), own = trial.net.layers, trial.forward()[1].layers[0]
        dx = trial.normal(trial.x.shape, 2)
        bent = layer.tangent_grads(dx, trial.dy, own, layer.grads)
        assert bent is None or (type(bent), bent.shape, bent.dtype) == (type(dx), dx.shape, dx.dtype)
        found.append({**({} if bent is None else {"x": to_numpy(bent)}), **trial.grads()})
    exact, rough = found
    assert exact.keys() == rough.keys()
    for key, array in exact.items():
        np.testing.assert_allclose(rough[key], array, rtol=1e-4, atol=1e-5 * (1 + abs(array).max()), err_msg=key)


@each_mode
def test_a_networks_tangent_is_that_of_its_layers_one_after_the_other(train):
    layers = [
        nn.Conv2d(3, 3, stride=2, pad=1), nn.BatchNorm(), nn.LeakyReLU(slope=0.2), nn.Flatten(), nn.Dropout(drop=0.3),
        nn.SpectralNorm(nn.Dense(4)), nn.Tanh(), nn.Dense(2), nn.Sigmoid(),
    ]  # fmt: skip
    net = nn.Sequential(layers, (5, 4, 2), rng=np.random.default_rng(0), dtype=np.float64)
    trial = Trial(net, np.random.default_rng(1).standard_normal((BATCH, 5, 4, 2)), train=train)
    _, cache = trial.forward()
    dx, h = trial.normal(trial.x.shape, 2), 1e-6
    dy = net.tangent(dx, cache)
    forwards, backwards = trial.dy * dy, (trial.backward(cache) * dx).sum()
    assert abs(forwards.sum() - backwards) <= 1e-12 * abs(forwards).sum()
    ahead, behind = (trial.forward(trial.x + step * dx)[0] for step in (h, -h))
    np.testing.assert_allclose(dy, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-8)
