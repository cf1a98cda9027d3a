"""The form of what passes take and return: each sentence, and what is right beside it."""

import numpy as np
import pytest

from minigan import nn
from minigan.errors import ArgumentError
from minigan.gradcheck.form import check_forms, check_taken, culprit, form, kind, two
from minigan.gradcheck.trial import Trial


class Square(nn.Layer):
    """y = x²; what is spoilt below."""

    def forward(self, x, *, train, rng=None):
        return x * x, x

    def input_grad(self, dy, cache):
        return 2 * dy * cache


RIGHT = Square
X = np.random.default_rng(1).standard_normal((3, 2))


def network(*layers, dtype=np.float64):
    return nn.Sequential(layers, (2,), rng=np.random.default_rng(0), dtype=dtype)


def spoilt(**methods):
    return type("Spoilt", (Square,), methods)()


def test_two_things_are_a_tuple_or_a_list_of_two():
    assert two((1, 2), "f must") == two([1, 2], "f must") == (1, 2)
    for returned, what in (
        ((1,), "1 things"),
        ((1, 2, 3), "3 things"),
        ((), "0 things"),
        ([1, 2, 3], "list"),
        (None, r"nothing \(None\)"),
        (np.zeros(2), "ndarray"),
        ("ab", "str"),
    ):
        with pytest.raises(ArgumentError, match=f"^f must give two, and it returned {what}$"):
            two(returned, "f must give two")


def test_what_was_returned_is_put_in_words():
    assert kind(None) == "nothing (None)"
    assert kind(3.0) == "float"
    assert kind(np.zeros(2)) == "ndarray"


def test_arguments_are_taken_by_name():
    def some(x, *, train):
        pass

    def all_of_them(x, **options):
        pass

    check_taken(some, ("train",), "f")
    check_taken(some, ("x", "train"), "f")
    check_taken(all_of_them, ("train", "rng"), "f")
    for names, missing in ((("train", "rng"), "rng"), (("mode", "train", "rng"), "mode and rng")):
        with pytest.raises(ArgumentError, match=f"^f must take {missing} by name; it takes x, train$"):
            check_taken(some, names, "f")
    with pytest.raises(ArgumentError, match=r"by name; it takes x, options$"):
        check_taken(lambda x, *options: 0, ("rng",), "f")


def gives(y=None, dx=None):
    """A layer that returns something else: functions of x, or of dy."""

    def forward(self, x, *, train, rng=None):
        return (x * x if y is None else y(x)), x

    def input_grad(self, dy, cache):
        return 2 * dy * cache if dx is None else dx(dy)

    return spoilt(forward=forward, input_grad=input_grad)


FORMS = {
    "one thing": (
        lambda: spoilt(forward=lambda self, x, *, train, rng=None: x),
        r"forward must return \(y, cache\), .*",
    ),
    "a number": (lambda: gives(y=lambda x: 1.0), "forward must return an array for y, and it returned float"),
    "an array of no axis": (
        lambda: gives(y=lambda x: np.array(1.0)),
        r"forward must keep the batch for its first axis: x has shape \(3, 2\) and y \(\)",
    ),
    "another batch": (lambda: gives(y=lambda x: x[:2]), r"forward must keep .*: x has shape \(3, 2\) and y \(2, 2\)"),
    "no mode": (lambda: spoilt(forward=lambda self, x, *, rng=None: (x, x)), "forward must take train by name; .*"),
    "no rng": (lambda: spoilt(forward=lambda self, x, *, train: (x, x)), "forward must take rng by name; .*"),
    "no gradient": (lambda: gives(dx=lambda dy: None), r"input_grad must return dx, and it returned nothing \(None\)"),
    "a list": (lambda: gives(dx=lambda dy: [dy]), "input_grad must return dx, and it returned list"),
    "a backward of its own": (
        lambda: spoilt(backward=lambda self, dy, cache, **flags: 0),
        "backward must return dx, and it returned int",
    ),
    "no flags": (
        lambda: spoilt(backward=lambda self, dy, cache, *, need_param_grads: dy),
        "backward must take need_input_grad and accumulate by name; it takes dy, cache, need_param_grads",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_layer_of_another_form_is_refused_wherever_it_stands(name):
    make, said = FORMS[name]
    for train in (True, False):
        with pytest.raises(ArgumentError, match=f"^Spoilt.{said}$"):
            check_forms(network(make()), X, train=train)
        with pytest.raises(ArgumentError, match=f"^Spoilt.{said}$"):
            check_forms(network(nn.Tanh(), make(), nn.Tanh()), X, train=train)


def test_a_layer_of_the_right_form_passes_in_its_mode_with_what_it_draws_and_whatever_it_warns_of():
    seen = []

    def forward(self, x, *, train, rng=None):
        seen.append((train, rng.normal((2,)).tolist()))
        return x * x, x

    def input_grad(self, dy, cache):
        seen.append(dy.dtype)
        return dy / np.zeros(1)

    for dtype in (np.float32, np.float64):
        for train in (True, False):
            seen.clear()
            net = network(spoilt(forward=forward, input_grad=input_grad), dtype=dtype)
            assert check_forms(net, X.astype(dtype), train=train) is None
            assert seen[0][0] is train
            assert seen[1] == dtype


# A trial's form ------------------------------------------------------------------------------------------------------


def said(*layers, dtype=np.float64, device=None):
    trial = Trial(network(*layers, dtype=dtype), X.astype(dtype), train=True)
    trial.device = device or trial.device
    return form(trial)


def test_what_is_right_in_both_dtypes_passes():
    for dtype in (np.float32, np.float64):
        assert said(Square(), dtype=dtype) == said(nn.Dense(3), nn.Tanh(), dtype=dtype) == []


def test_what_a_pass_changes_is_named_with_the_dtype():
    def forward(self, x, *, train, rng=None):
        y = x * x
        x[...] = 7
        return y, x

    def input_grad(self, dy, cache):
        dx = 2 * dy
        dy[...] = 7
        return dx

    trial = Trial(network(spoilt(forward=forward)), X.copy(), train=True)
    trial.x[...] = 5  # which the trial's own first pass has changed already
    assert form(trial) == ["a pass in float64 changes x; work on a copy"]
    assert said(spoilt(input_grad=input_grad), dtype=np.float32) == ["a pass in float32 changes dy; work on a copy"]


def test_another_shape_than_promised_is_told():
    assert said(gives(y=lambda x: x[:, :1])) == ["y has shape (3, 1) where out_shape says (3, 2)"]
    assert said(gives(dx=lambda dy: dy[:, :1])) == ["dx has shape (3, 1) where x has (3, 2)"]
    assert said(spoilt(backward=lambda self, dy, cache, **flags: None)) == [
        "backward returns nothing where dx is wanted"
    ]


def other_dtype(name, found, network, x):
    return (
        f"{found} out of a {network} network: {name} is {found} where x is {x}; let constants take the dtype of x or "
        "dy, as in x.dtype.type(0.5)"
    )


def test_another_dtype_is_told_with_what_has_it_first():
    def double(x):
        return x.astype(np.float64)

    assert said(gives(y=double), dtype=np.float32) == [other_dtype("y", "float64", "float32", "float32")]
    assert said(gives(dx=double), dtype=np.float32) == [other_dtype("dx", "float64", "float32", "float32")]
    assert said(nn.Tanh(), gives(y=double), Square(), dtype=np.float32)[:1] == [
        other_dtype("y of Spoilt()", "float64", "float32", "float32")
    ]
    assert said(gives(y=lambda x: x.astype(np.float32))) == [other_dtype("y", "float32", "float64", "float64")]


def test_the_layer_that_changes_the_dtype_is_found_by_a_pass_of_each_in_turn():
    double = gives(y=lambda x: x.astype(np.float64))
    for layers, found in (
        ((double,), "y"),
        ((nn.Tanh(), double), "y of Spoilt()"),
        ((double, nn.Tanh()), "y of Spoilt()"),
        ((nn.Tanh(), nn.Tanh()), "y"),
    ):
        trial = Trial(network(*layers, dtype=np.float32), X.astype(np.float32), train=True)
        assert culprit(trial) == found


def test_another_device_is_told():
    assert said(Square(), device="gpu") == [
        "y lives on the cpu and x on the gpu",
        "dx lives on the cpu and x on the gpu",
    ]
