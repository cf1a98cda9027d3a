"""The Parzen log-likelihood: equal to the sum that defines it, whatever the order, the block and the distance."""

import math
import tracemalloc

import numpy as np
import pytest

from minigan.errors import ArgumentError, DataError, DTypeError, ShapeError
from minigan.metrics import parzen as module
from minigan.metrics.parzen import SIGMAS, choose_sigma, log_likelihoods, parzen, parzen_log_likelihood


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).uniform(size=shape).astype(dtype)


def naive(samples, test, sigma):
    """Each image's log-likelihood by the formula, one pair of images at a time."""
    values = []
    for image in test:
        exponents = [-0.5 * (((x.astype(float) - image) / sigma) ** 2).sum() for x in samples]
        top = max(exponents)
        mean = math.fsum(math.exp(e - top) for e in exponents) / len(exponents)
        values.append(top + math.log(mean) - image.size * math.log(sigma * math.sqrt(2 * math.pi)))
    return np.array(values)


@pytest.mark.parametrize("sigma", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7,), (5, 5), (4, 4, 1), (784,)])
def test_it_equals_the_naive_sum(shape, dtype, sigma):
    samples, test = draw(23, *shape, dtype=dtype), draw(11, *shape, seed=1, dtype=dtype)
    result, values = parzen_log_likelihood(samples, test, sigma=sigma), naive(samples, test, sigma)
    assert result.mean == pytest.approx(values.mean(), rel=1e-10)
    assert result.error == pytest.approx(values.std() / math.sqrt(11), rel=1e-8)
    assert result.sigma == sigma
    np.testing.assert_allclose(log_likelihoods(samples, test, [sigma])[0], values, rtol=1e-9, atol=1e-9)


def test_around_one_sample_it_is_the_density_of_a_normal_distribution():
    sample, sigma, P = draw(1, 6), 0.3, 6
    test = np.stack([sample[0], sample[0] * 0.5])
    log_p = -0.5 * ((test - sample) ** 2).sum(axis=1) / sigma**2 - P / 2 * math.log(2 * math.pi * sigma**2)
    np.testing.assert_allclose(log_likelihoods(sample, test, [sigma])[0], log_p, rtol=1e-12)
    assert parzen_log_likelihood(sample, test, sigma=sigma).mean == pytest.approx(log_p.mean())


def test_the_order_of_the_samples_and_of_the_images_does_not_matter():
    samples, test = draw(40, 9), draw(30, 9, seed=1)
    mixed = np.random.default_rng(2).permutation
    first, second = (
        parzen_log_likelihood(*both, sigma=0.2) for both in ((samples, test), (mixed(samples), mixed(test)))
    )
    np.testing.assert_allclose(first, second, rtol=1e-12)


def test_copies_of_the_samples_change_nothing():
    samples, test = draw(10, 9), draw(8, 9, seed=1)
    once, thrice = (parzen_log_likelihood(x, test, sigma=0.2) for x in (samples, np.tile(samples, (3, 1))))
    np.testing.assert_allclose(once, thrice, rtol=1e-12)


def test_images_at_the_far_corner_do_not_underflow():
    black, white = np.zeros((3, 784)), np.ones((2, 784))
    expected = -0.5 * 784 / 0.1**2 - 784 * math.log(0.1 * math.sqrt(2 * math.pi))
    assert parzen_log_likelihood(black, white, sigma=0.1).mean == pytest.approx(expected)


def test_constant_samples_have_a_number():
    result = parzen(np.full((50, 4), 0.5), draw(20, 4), draw(30, 4, seed=1))
    assert np.isfinite(result).all()
    same = parzen_log_likelihood(np.full((5, 4), 0.5), np.full((3, 4), 0.5), sigma=0.1)
    assert same.error == 0
    assert same.mean == pytest.approx(-4 * math.log(0.1 * math.sqrt(2 * math.pi)))


def test_sigma_is_the_one_that_the_validation_images_like_best():
    samples, validation, test = draw(50, 12), draw(30, 12, seed=1), draw(20, 12, seed=2)
    means = [parzen_log_likelihood(samples, validation, sigma=s).mean for s in SIGMAS]
    best = SIGMAS[int(np.argmax(means))]
    assert SIGMAS[0] < best < SIGMAS[-1]
    assert choose_sigma(samples, validation) == best
    assert parzen(samples, validation, test) == parzen_log_likelihood(samples, test, sigma=best)
    np.testing.assert_allclose(SIGMAS, 10 ** np.linspace(-1, 0, 10))


def test_the_distances_are_computed_once_for_all_widths(monkeypatch):
    calls, plain = [], module.matmul
    monkeypatch.setattr(module, "matmul", lambda *a, **k: calls.append(1) or plain(*a, **k))
    choose_sigma(draw(50, 12), draw(30, 12, seed=1))
    assert len(calls) == 1


def test_blocks_keep_the_memory_small_and_change_no_result(monkeypatch):
    samples, test = draw(1000, 20), draw(3000, 20, seed=1)
    whole = log_likelihoods(samples, test, [0.2, 0.5])
    monkeypatch.setattr(module, "BLOCK", 2**16)
    tracemalloc.start()
    blocks = log_likelihoods(samples, test, [0.2, 0.5])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)
    assert peak < 5e6  # the distances of all pairs are 24 MB


def test_the_images_given_are_left_as_they_are():
    samples, test = draw(5, 3), draw(4, 3, seed=1)
    kept = samples.copy(), test.copy()
    parzen(samples, test, test)
    np.testing.assert_array_equal(samples, kept[0])
    np.testing.assert_array_equal(test, kept[1])


def spoilt(value):
    x = draw(6, 5)
    x[2, 3] = value
    return x


GOOD = draw(6, 5)


@pytest.mark.parametrize(
    ("samples", "test", "sigma", "error", "match"),
    [
        (GOOD[:0], GOOD, 0.2, ArgumentError, "samples has 0 samples and at least 1 are needed"),
        (GOOD, GOOD[:1], 0.2, ArgumentError, "test images has 1 samples and at least 2 are needed"),
        (GOOD[0], GOOD, 0.2, ShapeError, r"samples have shape \(5,\); images are \(N, …\)"),
        (GOOD[:, :0], GOOD, 0.2, ShapeError, r"samples have shape \(6, 0\)"),
        (GOOD, GOOD[:, :4], 0.2, ShapeError, "samples have 5 pixels and test images 4"),
        (2 * GOOD - 1, GOOD, 0.2, DataError, r"samples have values from -.* to .*; .*\(x \+ 1\) / 2"),
        (GOOD, 255 * GOOD, 0.2, DataError, "test images have values from .* bytes / 255"),
        (spoilt(np.nan), GOOD, 0.2, DataError, "samples has 1 values of 30 that are NaN or infinite"),
        (GOOD, spoilt(np.inf), 0.2, DataError, "test images has 1 values of 30"),
        (GOOD.astype(complex), GOOD, 0.2, DTypeError, "complex128"),
        (GOOD, GOOD, 0.0, ArgumentError, r"finite widths sigma above 0, got \[0.0\]"),
        (GOOD, GOOD, math.nan, ArgumentError, "finite widths sigma above 0"),
    ],
)
def test_what_has_no_likelihood_is_refused(samples, test, sigma, error, match):
    with pytest.raises(error, match=match):
        parzen_log_likelihood(samples, test, sigma=sigma)


def test_choosing_among_no_widths_is_refused():
    with pytest.raises(ArgumentError, match=r"got \[\]"):
        choose_sigma(GOOD, GOOD, [])
