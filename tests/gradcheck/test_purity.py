"""What must be true of two passes before their numbers mean something: pairs that break one rule in one place."""

import warnings

import numpy as np
import pytest

from minigan.gradcheck.purity import (
    Snapshot,
    adds,
    attempt,
    broadcast_problems,
    copied_arrays,
    impurities,
    in_between,
    in_single_precision,
    largest_of,
    layout_problems,
    layouts,
    left_behind,
    malformed,
    near,
    other_values,
    overwritten,
    repeated,
    same,
    strange_points,
)
from minigan.gradcheck.subject import Subject


def draw(*shape, seed=0):
    return np.random.default_rng([seed, 3]).standard_normal(shape)


DY = draw(4, 3, seed=2)


def product(forward=None, backward=None, *, inputs=("x",), **options):
    """y = x·w of x (4, 3) and w (3,), and its gradients; either pass may be replaced."""
    arrays = {"x": draw(4, 3), "w": draw(3, seed=1)}

    def passed(x=arrays["x"], w=arrays["w"]):
        return x * w, (x, w)

    def back(dy, cache):
        x, w = cache
        return {"x": dy * w, "w": (dy * x).sum(axis=0)}

    return Subject(arrays, forward or passed, backward or back, inputs, **options)


def given(make):
    """The subject whose passes `make` builds from those of the right one."""
    right = product()
    forward, backward, *options = make(right)
    return right._replace(forward=forward or right.forward, backward=backward or right.backward, **dict(*options))


def grads_of(subject):
    return copied_arrays(subject.backward(DY, subject.forward()[1]))


# What is small -------------------------------------------------------------------------------------------------------


def test_the_largest_of_arrays_is_that_of_their_finite_entries():
    assert largest_of(np.array([0.5, -0.25])) == 0.5
    assert largest_of(np.array([0.25, -0.5]), np.array([[0.125]])) == 0.5
    assert largest_of(np.array([0.5]), np.array([-3.0])) == 3
    assert largest_of(np.array([np.nan, -2, np.inf])) == 2
    assert largest_of(np.array([np.nan])) == largest_of(np.zeros(0)) == 0


def test_arrays_are_the_same_to_the_bit_where_nan_is_nan():
    assert same([1.0, np.nan], np.array([1.0, np.nan]))
    assert not same([1.0, 2.0], [1.0, np.nextafter(2.0, 3)])
    assert not same([1.0], [[1.0]])


@pytest.mark.parametrize(
    ("a", "b", "size", "are"),
    [
        (1 + 0.9e-9, 1.0, 0.0, True),
        (1 + 1.1e-9, 1.0, 0.0, False),
        (-1e3 * (1 + 0.9e-9), -1e3, 0.0, True),
        (0.9e-7, 0.0, 100.0, True),
        (1.1e-7, 0.0, 100.0, False),
        (0.9e-11, 0.0, 0.01, True),
        (1.1e-11, 0.0, 0.01, False),
        (np.nan, np.nan, 1.0, True),
        (np.nan, 1.0, 1.0, False),
        ([1.0], 1.0, 1.0, False),
        ([1.0, 2.0], [1.0, 2.0], 1.0, True),
        ([1.0, 2.0], [1.0, 3.0], 1.0, False),
        ([[1.0, 2.0]], [1.0, 2.0], 1.0, False),
    ],
)
def test_numbers_are_near_if_they_differ_by_a_rounding_of_their_own_size_or_a_given_one(a, b, size, are):
    assert near(a, b, size) == are


@pytest.mark.parametrize(
    ("first", "once", "twice", "are"),
    [
        ([1.0, 2], [2.0, 4], [3.0, 6], True),
        ([0.0], [1.0], [2.0], True),
        ([1.0], [1.0], [1.0], False),
        ([1.0], [2.0], [2.0], False),
        ([1.0], [2.0], [4.0], False),
        ([1.0], [1.0], [2.0], False),
        ([1.0, 2], [2.0, 3], [3.0, 5], False),
        ([1e6], [1e6 + 1], [1e6 + 2], True),
        ([1e6], [1e6 + 1], [1e6 + 2 + 1e-5], False),
        ([1.0], [[2.0]], [[3.0]], False),
        ([[1.0]], [2.0], [[3.0]], False),
        ([1.0], [2.0], [3.0, 3.0], False),
        ([1], [2], [3], False),
        ([1], [2.0], [3.0], False),
        ([1.0], [2], [3], False),
    ],
)
def test_what_adds_to_its_last_answer_is_known_by_three_answers(first, once, twice, are):
    assert adds(np.array(first), np.array(once), np.array(twice)) is are


def test_an_attempt_gives_what_comes_or_none():
    assert attempt(lambda: 7) == 7
    assert attempt(lambda: 1 // 0) is None
    with pytest.raises(KeyboardInterrupt):
        attempt(lambda: (_ for _ in ()).throw(KeyboardInterrupt))


def test_other_values_are_the_same_in_another_order_and_floats_are_smaller_too():
    rng = np.random.default_rng(0)
    moved = other_values(np.full((100, 20), 8.0), rng)
    assert moved.shape == (100, 20)
    assert 4 <= moved.min() < 4.1
    assert 7.1 < moved.max() <= 7.2
    rising = np.arange(1.0, 101).reshape(10, 10)
    assert (other_values(rising, rng) > rising).any()
    for dtype in (int, bool, complex):
        array = np.arange(100).reshape(4, 25).astype(dtype)
        moved = other_values(array, rng)
        assert moved.dtype == array.dtype
        assert not np.array_equal(moved, array)
        assert np.array_equal(np.sort(moved.ravel()), np.sort(array.ravel()))


def test_no_warning_escapes_from_a_strange_point():
    with strange_points():
        warnings.warn("strange", stacklevel=1)
        assert np.isnan(np.zeros(1) / np.zeros(1))
        assert np.exp(np.float64(1e9)) == np.inf


@pytest.mark.parametrize(
    ("y", "are"),
    [
        (draw(50).astype(np.float32), True),
        (draw(50), False),
        ([*draw(50).astype(np.float32), 0.1], False),
        ([0.25, -1.5, 3.0], False),
        ([1 + 2.0**-16], True),
        ([-1 - 2.0**-16], True),
        ([1 + 2.0**-15], False),
        ([1000 * (1 + 2.0**-23)], False),
        ([2.0**20 * (1 + 2.0**-23)], True),
        ([1 + 2.0**-23, 1], False),
        ([1 + 2.0**-23, 1 + 2.0**-22, 1], True),
        ([1 + 2.0**-23, 1, 1], False),
        ([], False),
    ],
)
def test_single_precision_is_known_by_the_bits_that_most_numbers_need(y, are):
    assert in_single_precision(np.array(y, float)) is are


def test_a_gradient_of_another_shape_or_dtype_is_told():
    arrays = {name: np.zeros((4, 3)) for name in "abcd"}
    grads = {
        "a": np.zeros((4, 3)),
        "b": np.zeros((4, 1)),
        "c": np.zeros((4, 3), np.float32),
        "d": np.zeros(3, np.float32),
    }
    shape = "the gradient of {} has shape {} and {} has (4, 3); NumPy may broadcast the one to the other without a word"
    assert malformed(arrays, grads) == [
        shape.format("b", (4, 1), "b"),
        "the gradient of c is float32 where everything else is float64",
        shape.format("d", (3,), "d"),
    ]


# What passes change --------------------------------------------------------------------------------------------------


def test_what_was_changed_is_named_and_put_back():
    first, second = np.arange(3), np.arange(3)
    subject = product(state=(first, second))
    kept = copied_arrays(subject.arrays)
    before = Snapshot(subject)
    assert before.changes("forward") == []
    subject.arrays["w"][1] = 7
    second[...] = 5
    assert before.changes("forward") == [
        "forward changes w; work on a copy",
        "forward changes what it reads besides (int64 (3,)); work on a copy",
    ]
    assert all(same(subject.arrays[name], kept[name]) for name in kept)
    assert first.tolist() == second.tolist() == [0, 1, 2]
    first[0] = 9
    subject.arrays["x"][0, 0] = np.nan
    before.restore()
    assert before.changes("forward") == []


# The second time -----------------------------------------------------------------------------------------------------


def twice(subject):
    return repeated(subject, DY, grads_of(subject))


def counting(step):
    """A forward whose output is changed: a function of it and of the number of the call."""

    def make(right):
        calls = iter(range(99))

        def forward(**arrays):
            y, cache = right.forward(**arrays)
            return step(y, next(calls)), cache

        return forward, None

    return given(make)


def test_what_is_the_same_the_second_time_passes():
    assert twice(product()) == []
    assert impurities(product(), DY, grads_of(product()), np.random.default_rng(0)) == []


RANDOM = (
    "forward is not deterministic: two calls on the same arguments {}; take random numbers from the rng that forward "
    "is given, or freeze the generator"
)


def test_a_forward_that_is_random_is_told_with_how_far_apart_it_is():
    assert twice(counting(lambda y, n: 0 * y + 3 - 0.25 * n)) == [RANDOM.format("differ by up to 2.5e-01")]
    assert twice(counting(lambda y, n: np.full_like(y, np.nan) if n == 2 else y)) == [
        RANDOM.format("differ by up to nan")
    ]
    assert twice(counting(lambda y, n: y[:n])) == [RANDOM.format("give other shapes")]


def test_backward_is_looked_at_too_unless_forward_gives_other_shapes():
    adding = backward_that(lambda dw, n: (n + 1) * dw).backward
    assert len(twice(counting(lambda y, n: y + n)._replace(backward=adding))) == 2
    assert len(twice(counting(lambda y, n: y[:n])._replace(backward=adding))) == 1


def test_an_output_that_is_written_anew_into_the_same_memory_is_still_compared():
    memory = np.zeros((4, 3))

    def make(right):
        def forward(**arrays):
            memory[...] += 0.5
            return memory, right.forward(**arrays)[1]

        return forward, None

    assert twice(given(make)) == [RANDOM.format("differ by up to 5.0e-01")]


def test_a_cache_that_is_used_up_is_told():
    def make(right):
        def forward(**arrays):
            y, cache = right.forward(**arrays)
            return y, [cache]

        return forward, lambda dy, cache: right.backward(dy, cache.pop())

    assert twice(given(make)) == [
        "a second backward on the same cache fails (IndexError: pop from empty list); leave the cache whole"
    ]


def backward_that(change):
    """A backward whose gradient of w is changed: a function of it and of the number of the call."""

    def make(right):
        calls = iter(range(99))

        def backward(dy, cache):
            grads = right.backward(dy, cache)
            return {**grads, "w": change(grads["w"], next(calls))}

        return None, backward

    return given(make)


def test_a_backward_that_adds_or_gives_another_gradient_is_told():
    assert twice(backward_that(lambda dw, n: (n + 1) * dw)) == [
        "backward adds to the gradient of w that an earlier call left; it should write it"
    ]
    assert twice(backward_that(lambda dw, n: 2.0**n * dw)) == [
        "a second backward on the same cache gives another gradient of w"
    ]
    assert twice(backward_that(lambda dw, n: dw)) == []


# A pass between a pass and its backward ------------------------------------------------------------------------------


def between(subject):
    kept = copied_arrays(subject.arrays)
    problems = in_between(subject, DY, np.random.default_rng(0))
    assert all(same(subject.arrays[name], kept[name]) for name in kept)
    return problems


def test_a_pass_in_between_changes_nothing_of_right_code():
    assert between(product()) == []
    others = (("on a larger batch", lambda: (draw(9, 3), None)), ("at a place that is refused", lambda: 1 // 0))
    assert between(product(others=others)) == []
    assert between(product(others=others[::-1])) == []


def test_an_output_that_the_next_pass_overwrites_is_told():
    memory = np.zeros((4, 3))

    def make(right):
        def forward(**arrays):
            y, cache = right.forward(**arrays)
            memory[...] = y
            return memory, cache

        return forward, None

    assert between(given(make)) == [
        "a forward pass on other values overwrites the output of the one before it; return a new array each time"
    ]


def test_a_gradient_that_goes_by_the_last_pass_is_told():
    last = {}

    def make(right):
        def forward(x=right.arrays["x"], w=right.arrays["w"]):
            last["w"] = w.copy()
            return x * w, (x, w)

        return forward, lambda dy, cache: {**right.backward(dy, cache), "x": dy * last["w"]}

    def said(what):
        return (
            "the gradient of x depends on the last forward pass, not on the cache of its own (it is another once there "
            f"was a pass {what}); keep in the cache what backward needs, not in the object"
        )

    subject = given(make)
    assert between(subject) == [said("on other values")]
    other = ("on labels", lambda: subject.forward(w=np.ones(3)))
    assert between(subject._replace(others=(other,))) == [said("on labels")]
    harmless = ("on itself", lambda: (np.ones(2), None))
    assert between(subject._replace(others=(harmless, other))) == [said("on labels")]
    assert between(subject._replace(others=(harmless,))) == []


def test_a_backward_that_fails_after_another_pass_is_told():
    last = {}

    def make(right):
        def forward(**arrays):
            last["calls"] = last.get("calls", 0) + 1
            y, cache = right.forward(**arrays)
            return y, (*cache, last["calls"])

        def backward(dy, cache):
            if cache[2] != last["calls"]:
                raise LookupError("gone")
            return right.backward(dy, cache[:2])

        return forward, backward

    assert between(given(make)) == [
        "backward fails once there was a forward pass on other values (LookupError: gone): it depends on the last "
        "forward pass; keep in the cache what backward needs, not in the object"
    ]


def test_no_warning_of_a_backward_after_another_pass_escapes():
    subject = product(backward=lambda dy, cache: {"x": dy / np.zeros(1)})
    grads = {"x": np.copysign(np.inf, DY)}
    assert left_behind(subject, DY, subject.forward()[1], grads, "here") == []


def test_a_forward_that_another_pass_moves_is_told():
    first = []

    def make(right):
        def forward(x=right.arrays["x"], w=right.arrays["w"]):
            if not (x is right.arrays["x"] and same(x, draw(4, 3))):
                first.append(x)
            return x * w + (1.0 if first else 0.0), (x, w)

        return forward, None

    assert between(given(make)) == [
        "forward gives another result once there was a pass on other values; an object must keep nothing of its passes"
    ]


def test_what_is_read_in_place_is_moved_during_the_first_other_pass_alone():
    subject, seen = product(), []

    def other():
        seen.append(copied_arrays(subject.arrays))
        return np.zeros(1), None

    def moved(i):
        return [name for name in subject.arrays if not same(seen[i][name], subject.arrays[name])]

    others = (("one", other), ("two", other))
    assert between(subject._replace(others=others)) == []
    assert [moved(0), moved(1)] == [["w"], []]
    seen.clear()
    assert between(subject._replace(others=others, inputs=())) == []
    assert [moved(0), moved(1)] == [["x", "w"], []]
    seen.clear()

    def forward(**arrays):
        seen.append(copied_arrays(subject.arrays))
        return subject.forward(**arrays)

    assert between(subject._replace(forward=forward)) == []
    assert [name for i in range(len(seen)) for name in moved(i)] == ["x", "w"]


def test_what_is_moved_in_place_is_put_back_though_a_pass_is_broken_off():
    def stop():
        raise KeyboardInterrupt

    subject = product(others=(("stopped", stop),))
    kept = copied_arrays(subject.arrays)
    with pytest.raises(KeyboardInterrupt):
        in_between(subject, DY, np.random.default_rng(0))
    assert all(same(subject.arrays[name], kept[name]) for name in kept)


def test_a_forward_in_single_precision_is_told():
    told = ["forward computes in float32, whatever its arguments are: its differences would be noise"]
    single, double = draw(9).astype(np.float32), draw(9)
    without = np.append(single, np.nan)

    def said(*outputs):
        return between(product(others=[("here", lambda y=y: (y, double)) for y in outputs]))

    assert said(single) == said(without) == said(single, double) == told
    assert said(double) == said(double, single) == []
    refused = ("refused", lambda: 1 // 0)
    subject = product(others=(refused, ("here", lambda: (single, double))))
    assert between(subject) == told
    right = product()
    rounded = right._replace(forward=lambda **arrays: ((r := right.forward(**arrays))[0].astype(np.float32), r[1]))
    assert between(rounded) == told


def test_an_answer_that_is_overwritten_is_told():
    def over(subject):
        return overwritten(subject, DY)

    memory, dw = np.zeros((4, 3)), np.zeros(3)

    def make(right):
        def backward(dy, cache):
            grads = right.backward(dy, cache)
            return {"x": np.multiply(grads["x"], 1, out=memory), "w": np.multiply(grads["w"], 1, out=dw)}

        return None, backward

    assert over(product()) == []
    assert over(given(make)) == [
        "a second backward overwrites the gradient of x that the first returned; return a new array each time"
    ]
    assert over(given(make)._replace(inputs=())) == []

    def spoils(right):
        def forward(**arrays):
            y, cache = right.forward(**arrays)
            return y, (y, *cache)

        def backward(dy, cache):
            cache[0].fill(0)
            return right.backward(dy, cache[1:])

        return forward, backward

    assert over(given(spoils)) == ["backward changes y, which forward has returned; work on a copy"]
    both = given(spoils)
    overwriting = given(make)
    either = both._replace(backward=lambda dy, c: (c[0].fill(0), overwriting.backward(dy, c[1:]))[1])
    assert len(over(either)) == 2


def test_each_rule_is_asked_unless_one_before_it_was_broken():
    def said(subject):
        return impurities(subject, DY, grads_of(product()), np.random.default_rng(0))

    assert said(counting(lambda y, n: y + n))[0].startswith("forward is not deterministic")
    memory = np.zeros((4, 3))

    def keeps(right):
        def forward(**arrays):
            y, cache = right.forward(**arrays)
            memory[...] = y
            return memory, cache

        return forward, None

    assert said(given(keeps))[0].startswith("a forward pass on other values overwrites")

    def own(right):
        return None, lambda dy, cache: {
            **right.backward(dy, cache),
            "x": np.multiply(dy, cache[1], out=memory),
        }

    assert said(given(own))[0].startswith("a second backward overwrites the gradient of x")

    def late(right):
        def backward(dy, cache):
            found = right.backward(dy, cache)
            if not same(dy, DY):
                right.arrays["x"][...] = 7
            return found

        return None, backward

    assert said(given(late)) == ["a second pass changes x; work on a copy"]


# Memory layouts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("array", [draw(4), draw(4, 3), draw(4, 3, 2)], ids=lambda array: f"{array.ndim}d")
def test_a_layout_holds_the_same_values_otherwise(array):
    found = dict(layouts(array))
    assert list(found) == ["non-contiguous", "reversed (negative strides)", "Fortran-ordered", "read-only"]
    for laid_out in found.values():
        assert np.array_equal(laid_out, array)
    assert not found["non-contiguous"].flags.c_contiguous
    assert not found["non-contiguous"].flags.f_contiguous
    assert all(stride < 0 for stride in found["reversed (negative strides)"].strides)
    assert found["Fortran-ordered"].flags.f_contiguous
    assert not found["read-only"].flags.writeable
    assert array.flags.writeable


def test_a_number_has_no_layout():
    assert list(layouts(np.array(1.0))) == []


def told(subject):
    return layout_problems(subject, DY, grads_of(subject))


def forward_that(change):
    """A forward whose output is changed: a function of it and of x."""

    def make(right):
        def forward(x=right.arrays["x"], w=right.arrays["w"]):
            return change(x * w, x), (x, w)

        return forward, None

    return given(make)


def dy_that(change):
    """A backward whose gradients are changed: a function of each and of dy."""

    def make(right):
        def backward(dy, cache):
            return {name: change(grad, dy) for name, grad in right.backward(dy, cache).items()}

        return None, backward

    return given(make)


LAID_OUT = {
    "non-contiguous": lambda a: not a.flags.c_contiguous and not a.flags.f_contiguous and a.strides[0] > 0,
    "reversed (negative strides)": lambda a: a.strides[-1] < 0,
    "Fortran-ordered": lambda a: a.flags.f_contiguous,
    "read-only": lambda a: not a.flags.writeable and 0 not in a.strides,
}


def test_right_code_takes_any_layout():
    assert told(product()) == ([], [])


@pytest.mark.parametrize("layout", LAID_OUT)
@pytest.mark.parametrize(("who", "name", "make"), [("forward", "x", forward_that), ("backward", "dy", dy_that)])
def test_a_result_that_one_layout_changes_or_that_raises_for_it_is_told(layout, who, name, make):
    def raising(error, of=layout):
        def change(found, given):
            if LAID_OUT[of](given):
                raise ValueError(error)
            return found

        return make(change)

    changed = make(lambda found, given: found + 0.1 * LAID_OUT[layout](given))
    assert told(changed) == ([f"{who} gives another result for a {layout} {name}"], [])
    failed = f"{who} fails on a {layout} {name} (ValueError: "
    fit = f"; {name} = np.ascontiguousarray({name}) at its start makes it fit for any"
    assert told(raising("no")) == ([], [f"{failed}no){fit}"])
    writes = f"{failed}output array is read-only); it writes into its argument: work on a copy"
    caution = f"{failed}output array is read-only){fit}"
    assert told(raising("output array is read-only")) == (([writes], []) if layout == "read-only" else ([], [caution]))


@pytest.mark.parametrize(("who", "name", "make"), [("forward", "x", forward_that), ("backward", "dy", dy_that)])
def test_another_layout_may_round_otherwise(who, name, make):
    """By a share of the largest entry of the results: here 1000, and 0 is off."""

    def off(by):
        def change(found, given):
            found = np.zeros_like(found)
            found[..., 0] = 1000
            found[..., 1] = by * LAID_OUT["Fortran-ordered"](given)
            return found

        return told(make(change))

    assert off(0.9e-6) == ([], [])
    assert off(1.1e-6) == ([f"{who} gives another result for a Fortran-ordered {name}"], [])


def repeats(array):
    return array.strides[:1] == (0,)


REPEATED = "{} gives another result for a {} of which np.broadcast_to repeats one image"


def test_an_image_that_is_repeated_gives_what_its_copies_do():
    assert told(forward_that(lambda y, x: y + 0.1 * repeats(x))) == ([REPEATED.format("forward", "x")], [])
    assert told(dy_that(lambda grad, dy: grad + 0.1 * repeats(dy))) == ([REPEATED.format("backward", "dy")], [])
    assert told(forward_that(lambda y, x: y + 1e-12 * repeats(x))) == ([], [])


def test_a_layout_mistake_is_told_before_that_of_a_repeated_image():
    def both(y, x):
        return y + 0.1 * repeats(x) + 0.1 * LAID_OUT["Fortran-ordered"](x)

    assert told(forward_that(both)) == (["forward gives another result for a Fortran-ordered x"], [])


def repeated_of(subject, dy=DY):
    cache = subject.forward()[1]
    return broadcast_problems(subject, dy, cache, largest_of(*copied_arrays(subject.backward(dy, cache)).values()))


def test_what_moves_as_much_with_the_last_bit_of_the_input_decides_nothing():
    """A forward that magnifies what differs from one image to the next."""

    def steep(y, x):
        return 1e12 * (x - x[:1]) + y + 0.1 * repeats(x)

    assert repeated_of(forward_that(steep)) == []
    assert repeated_of(forward_that(lambda y, x: 1e12 * (x - x[:1]) + y)) == []
    assert repeated_of(forward_that(lambda y, x: 1e3 * (x - x[:1]) + y + repeats(x))) == [
        REPEATED.format("forward", "x")
    ]


def test_what_is_refused_where_images_are_alike_is_skipped():
    def refusing(when):
        def change(found, given):
            if when(given):
                raise ValueError("alike")
            return found + 0.1 * repeats(given)

        return change

    def alike(array):
        return np.ptp(array, axis=0).max() == 0

    assert repeated_of(forward_that(refusing(alike))) == []
    assert repeated_of(forward_that(refusing(repeats))) == []
    assert repeated_of(dy_that(refusing(alike))) == []
    assert repeated_of(dy_that(refusing(repeats))) == []
    assert repeated_of(dy_that(refusing(lambda dy: alike(dy) and not repeats(dy)))) == []
    right = product()

    def forward(x=right.arrays["x"], w=right.arrays["w"]):
        if alike(x):
            raise ValueError("alike")
        return x * w + repeats(w), (x, w)

    assert repeated_of(right._replace(forward=forward, inputs=("x", "w"))) == [REPEATED.format("forward", "w")]


def test_an_array_of_numbers_and_a_single_number_may_be_handed_over_too():
    for x in (np.array(2.0), np.array([2.0, 3.0, 4.0])):

        def forward(x=x):
            return np.asarray(x * 3 + repeats(np.asarray(x))), None

        subject = Subject({"x": x}, forward, lambda dy, _: {"x": 3 * dy}, ("x",))
        for dy in (1.0, np.full(x.shape, 1.5)):
            assert repeated_of(subject, dy) == ([REPEATED.format("forward", "x")] if x.ndim else [])
        assert layout_problems(subject, 1.0, {"x": np.full(x.shape, 3.0)})[1] == []
