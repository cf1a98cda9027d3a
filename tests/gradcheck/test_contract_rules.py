"""The flags of backward, and what passes leave on a layer: layers that break one promise each."""

import numpy as np
import pytest

from minigan import nn
from minigan.gradcheck.contract import COMBINED, accumulated, breaches, combined, flags, remembering, sums
from minigan.gradcheck.trial import Trial, unbound
from minigan.nn.init import ones

X = np.random.default_rng(1).standard_normal((5, 2))


class Scaled(nn.Layer):
    """y = w·x; what is spoilt below."""

    def params(self, in_shape):
        return {"w": (in_shape, ones)}

    def forward(self, x, *, train, rng=None):
        return self.w * x, x

    def input_grad(self, dy, cache):
        return dy * self.w

    def param_grads(self, dy, cache, grads):
        grads["w"][...] = (dy * cache).sum(axis=0)


RIGHT = Scaled


def trial(train=True, x=X, **spoilt):
    layer = type("Spoilt", (Scaled,), spoilt)()
    net = nn.Sequential([layer], (2,), rng=np.random.default_rng(0), dtype=np.float64)
    net.params[...] = 1.5, -0.5
    return Trial(net, x.copy(), train=train)


def flagged(change):
    """A backward that does something else for some flags: change(flags, layer, dx) returns dx."""

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        given = {"need_param_grads": need_param_grads, "need_input_grad": need_input_grad, "accumulate": accumulate}
        return change(given, self, RIGHT.backward(self, dy, cache, **given))

    return trial(backward=backward)


# Adding --------------------------------------------------------------------------------------------------------------

HELD = {"w": np.array([1.0, 2.0]), "b": np.array([4.0])}
G = {"w": np.array([3.0, -5.0]), "b": np.array([0.5])}


def test_what_was_there_and_the_gradient_are_added():
    assert {name: array.tolist() for name, array in sums(HELD, G).items()} == {"w": [4, -3], "b": [4.5]}
    assert accumulated(sums(HELD, G), HELD, G) == []


@pytest.mark.parametrize(
    ("added", "seen"),
    [
        ([3, -5], "; it is ignored: what was there is overwritten, not added to"),
        ([1, 2], "; nothing is written: what was there is still there"),
        ([7, -8], "; it is added twice"),
        ([6, -10], "; what was there is overwritten, and the gradient then added to itself"),
        ([-2, 7], ""),
        ([4, -2], ""),
        ([10, -13], ""),
        ([9, -15], ""),
        ([0, 0], ""),
    ],
)
def test_what_is_done_in_place_of_adding_is_told(added, seen):
    said = (
        "accumulate=True does not add the gradient of {} to what was there{} (Layer.backward and write_grads do it for "
        "you)"
    )
    right = sums(HELD, G)
    assert accumulated({**right, "w": np.array(added, float)}, HELD, G) == [said.format("w", seen)]
    both = {"w": np.array(added, float), "b": G["b"]}
    ignored = "; it is ignored: what was there is overwritten, not added to"
    assert accumulated(both, HELD, G) == [said.format("w", seen), said.format("b", ignored)]


def test_of_two_ways_to_say_what_is_done_the_first_is_told():
    (said,) = accumulated({"w": G["w"]}, {"w": G["w"]}, {"w": G["w"]})
    assert "; it is ignored" in said


# Flags together ------------------------------------------------------------------------------------------------------


ANOTHER_DX = "returns another dx than without; it must be the same"
ANOTHER_GRADIENT = "leaves another gradient of {} than these flags mean; each alone is kept"


@pytest.mark.parametrize(
    ("given", "dx", "grads", "said"),
    [
        ({"accumulate": True}, [1, 2], HELD, ""),
        ({"accumulate": True}, [1, 3], HELD, ANOTHER_DX),
        ({"accumulate": True}, None, HELD, ANOTHER_DX),
        ({"accumulate": True, "need_param_grads": False}, [[1, 2]], HELD, ANOTHER_DX),
        ({"accumulate": True, "need_input_grad": False}, None, HELD, ""),
        ({"accumulate": True, "need_input_grad": False}, [1, 3], HELD, ""),
        ({"need_input_grad": False}, None, G, ANOTHER_GRADIENT.format("w, b")),
        ({"need_param_grads": False}, [1, 3], {**HELD, "b": 0}, ANOTHER_GRADIENT.format("b")),
    ],
)
def test_what_flags_do_together_is_held_against_what_they_mean(given, dx, grads, said):
    call = ", ".join(f"{name}={value}" for name, value in given.items())
    expected = f"backward(…, {call}) {said}" if said else ""
    found = None if dx is None else np.array(dx, float)
    assert combined(given, (found, grads, ""), HELD, np.array([1.0, 2.0])) == expected
    assert combined(given, (found, grads, "it fails"), HELD, np.array([1.0, 2.0])) == "it fails"


# The flags of a layer ------------------------------------------------------------------------------------------------


def test_a_layer_that_keeps_its_flags_passes():
    assert flags(trial()) == flags(trial(train=False)) == []
    net = nn.Sequential([nn.Tanh()], (2,), rng=np.random.default_rng(0), dtype=np.float64)
    assert flags(Trial(net, X, train=True)) == []


def test_a_gradient_that_is_written_in_part_is_told_and_not_that_it_adds():
    def writes(dw):
        def param_grads(self, dy, cache, grads):
            grads["w"][:1] = dw

        return param_grads

    said = [
        "backward leaves entries of the gradient of w as it finds them; it must write each of them, 0 where nothing "
        "flows"
    ]
    for dw in (0.0, 1e-12, 1.0, 1e12):
        assert flags(trial(param_grads=writes(dw))) == said
    assert flags(trial(param_grads=lambda self, dy, cache, grads: None)) == said


def test_a_backward_that_does_not_add_is_told_and_nothing_besides():
    def ignoring(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        return RIGHT.backward(self, dy, cache, need_param_grads=need_param_grads, need_input_grad=need_input_grad)

    (said,) = flags(trial(backward=ignoring))
    assert said.startswith("accumulate=True does not add the gradient of w to what was there; it is ignored")


FROZEN = {"need_param_grads": False, "need_input_grad": True, "accumulate": False}
ALONE = {"need_param_grads": True, "need_input_grad": False, "accumulate": False}
ADDING = {"need_param_grads": True, "need_input_grad": True, "accumulate": True}


def test_a_frozen_backward_touches_no_gradient_and_returns_the_same():
    writes = "backward(…, need_param_grads=False) writes the gradient of w; it must not touch it"
    another = "backward(…, need_param_grads=False) returns another dx than without; it must be the same"

    def touching(by):
        def change(given, layer, dx):
            if given == FROZEN:
                layer.grads["w"][0] *= by
            return dx

        return change

    assert flags(flagged(touching(2))) == flags(flagged(touching(1 + 1e-13))) == [writes]
    assert flags(flagged(touching(1))) == []
    assert flags(flagged(lambda given, layer, dx: 2 * dx if given == FROZEN else dx)) == [another]
    assert flags(flagged(lambda given, layer, dx: None if given == FROZEN else dx)) == [another]
    both = flagged(lambda given, layer, dx: 2 * touching(2)(given, layer, dx) if given == FROZEN else dx)
    assert flags(both) == [writes, another]


def test_a_gradient_is_the_same_where_no_input_gradient_is_wanted():
    def change(given, layer, dx):
        if given == ALONE:
            layer.grads["w"] *= 2
        return dx

    assert flags(flagged(change)) == ["backward(…, need_input_grad=False) writes another gradient of w than without"]
    assert flags(flagged(lambda given, layer, dx: 0 if given == ALONE else dx)) == []


@pytest.mark.parametrize("given", [FROZEN, ALONE, ADDING])
def test_a_flag_for_which_backward_fails_is_told_and_nothing_else_of_it(given):
    def change(now, layer, dx):
        if now == given:
            raise ValueError("not so")
        return dx

    default = {"need_param_grads": True, "need_input_grad": True, "accumulate": False}
    (name,) = [name for name in given if given[name] != default[name]]
    assert flags(flagged(change)) == [f"backward(…, {name}={given[name]}) fails (ValueError: not so)"]


@pytest.mark.parametrize("given", COMBINED, ids=str)
def test_flags_that_are_kept_each_alone_are_asked_for_together(given):
    default = {"need_param_grads": True, "need_input_grad": True, "accumulate": False}
    call = ", ".join(f"{name}={value}" for name, value in given.items())

    def failing(now, layer, dx):
        if now == {**default, **given}:
            raise ValueError("not together")
        return dx

    if len(given) > 1:
        assert flags(flagged(failing)) == [f"backward(…, {call}) fails (ValueError: not together)"]

        def writing(now, layer, dx):
            if now == {**default, **given}:
                layer.grads["w"] += 1
            return dx

        (said,) = flags(flagged(writing))
        assert said.startswith(f"backward(…, {call}) leaves another gradient of w")
    if "need_input_grad" not in given:
        (said,) = flags(flagged(lambda now, layer, dx: 2 * dx if now == {**default, **given} else dx))
        assert said == f"backward(…, {call}) returns another dx than without; it must be the same"


def test_the_flags_that_are_asked_for_together():
    assert [sorted(given) for given in COMBINED] == [
        ["accumulate"],
        ["accumulate", "need_input_grad"],
        ["accumulate", "need_param_grads"],
        ["need_input_grad", "need_param_grads"],
    ]
    assert all(value == (name == "accumulate") for given in COMBINED for name, value in given.items())


# What a pass leaves on a layer ---------------------------------------------------------------------------------------


def with_new(spoilt):
    """A trial of a layer, and the layer as it was before any pass."""
    layer = type("Spoilt", (Scaled,), spoilt)()
    new = [unbound(layer)]
    net = nn.Sequential([layer], (2,), rng=np.random.default_rng(0), dtype=np.float64)
    return Trial(net, X.copy(), train=True), new


REMEMBERS = "forward gives another result than the first pass of a new layer would; it must keep nothing of its passes"


def first_scale(self, x, *, train, rng=None):
    self.scale = vars(self).get("scale", x.std())
    return self.w * x / self.scale, x / self.scale


def first_mask(self, x, *, train, rng=None):
    if "mask" not in vars(self):
        self.mask = rng.uniform(x.shape[1:]) > 0.5
    return self.w * x * self.mask, x * self.mask


def draws_anew(self, x, *, train, rng=None):
    noise = rng.normal(x.shape)
    return self.w * x + noise, x


@pytest.mark.parametrize(
    ("forward", "said"), [(RIGHT.forward, []), (draws_anew, []), (first_scale, [REMEMBERS]), (first_mask, [REMEMBERS])]
)
def test_what_is_kept_of_the_first_pass_is_seen_beside_a_new_layer(forward, said):
    assert remembering(*with_new({"forward": forward})) == said


# All rules -----------------------------------------------------------------------------------------------------------


def broken(*, right=True, **spoilt):
    one, new = with_new(spoilt)
    return breaches(one, new, right=right)


def test_a_layer_that_keeps_its_promises_breaks_none():
    assert broken() == []
    assert broken(right=False) == []


def squeezed(self, x, *, train, rng=None):
    return (self.w * x)[:, :1], x


def writes_entry(self, dy, cache, grads):
    grads["w"] = (dy * cache).sum(axis=0)


def test_what_all_rules_would_tell_of_is_told_alone():
    def ignoring(self, dy, cache, **wanted):
        return RIGHT.backward(self, dy, cache)

    assert broken(forward=first_scale, backward=ignoring) == [REMEMBERS]
    said = broken(param_grads=writes_entry, backward=ignoring)
    assert len(said) == 1
    assert said[0].startswith('grads["w"] = … replaces the entry')
    (said,) = broken(input_grad=lambda self, dy, cache: dy[:, :1], param_grads=RIGHT.param_grads)
    assert said == "dx has shape (5, 1) where x has (5, 2)"


def test_each_rule_is_asked():
    def ignoring(self, dy, cache, *, accumulate=False, **wanted):
        return RIGHT.backward(self, dy, cache, **wanted)

    (said,) = broken(backward=ignoring)
    assert said.startswith("accumulate=True does not add")

    def coarse(self, x, *, train, rng=None):
        return self.w * x * (1.01 if x.dtype == np.float32 else 1), x

    (said,) = broken(forward=lambda self, x, *, train, rng=None: (coarse(self, x, train=train)[0].astype(x.dtype), x))
    assert said.startswith("float32 gives another y")

    def at_ten(self, dy, cache):
        return RIGHT.input_grad(self, dy, cache) * (2 if len(dy) == 10 else 1)

    (said,) = broken(input_grad=at_ten)
    assert said.startswith("on a batch of 10 the gradient of x is wrong")
    assert broken(input_grad=at_ten, right=False) == []

    def together(self, x, *, train, rng=None):
        return self.w * (x + x.sum(axis=0)), x + x.sum(axis=0)

    layer = type("Spoilt", (Scaled,), {"forward": together})()
    new = [unbound(layer)]
    net = nn.Sequential([layer], (2,), rng=np.random.default_rng(0), dtype=np.float64)
    (said,) = breaches(Trial(net, X, train=False), new, right=False)
    assert "depends on its neighbours" in said

    def fails(self, cache):
        raise ValueError("an update")

    (said,) = broken(update_buffers=fails, buffers=lambda self, in_shape: {"b": (in_shape, ones)})
    assert said == "update_buffers fails after a training pass (ValueError: an update)"


def test_an_array_that_is_put_in_the_place_of_the_networks_later_is_told_at_the_end():
    def forward(self, x, *, train, rng=None):
        self.passes = vars(self).get("passes", 0) + 1
        if self.passes > 12:
            self.w = self.w.copy()
        return self.w * x, x

    assert broken(forward=forward)[-1].startswith("self.w = … puts another array")


def test_no_warning_of_a_strange_point_escapes():
    def forward(self, x, *, train, rng=None):
        return self.w * x + np.zeros(1, x.dtype) / (len(x) - 1), x

    assert broken(forward=forward) == []
