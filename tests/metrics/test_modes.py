"""Modes of toys: what is hit, how well, and how evenly, against mixtures whose answers are known."""

import math

import numpy as np
import pytest

from minigan.errors import ArgumentError, DataError, ShapeError
from minigan.metrics.modes import PERFECT, SAMPLES, grid, ring, score_modes

MIXTURES = {"ring": ring(), "grid": grid()}


def stream(seed=0):
    return np.random.default_rng(seed)


def test_the_ring_has_8_modes_at_distance_1_and_the_grid_25_two_apart():
    assert ring().means.shape == (8, 2)
    np.testing.assert_allclose(np.linalg.norm(ring().means, axis=1), 1)
    np.testing.assert_allclose(ring().means[[0, 2, 4]], [(1, 0), (0, 1), (-1, 0)], atol=1e-15)
    np.testing.assert_allclose(np.diff(np.unwrap(np.arctan2(*ring().means.T[::-1]))), math.pi / 4)
    assert {tuple(mean) for mean in grid().means} == {(i, j) for i in (-4, -2, 0, 2, 4) for j in (-4, -2, 0, 2, 4)}
    assert (ring().std, grid().std) == (0.01, 0.05)


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_points_of_a_mixture_have_its_spread_and_its_shares(mixture):
    x = mixture.sample(50_000, stream())
    assert (x.dtype, x.shape) == (np.float32, (50_000, 2))
    nearest = np.linalg.norm(x[:, None] - mixture.means, axis=2).argmin(axis=1)
    np.testing.assert_allclose((x - mixture.means[nearest]).std(axis=0), mixture.std, rtol=0.02)
    shares = np.bincount(nearest, minlength=len(mixture.means)) / len(x) * len(mixture.means)
    np.testing.assert_allclose(shares, 1, atol=0.12)
    np.testing.assert_array_equal(x, mixture.sample(50_000, stream()))
    assert not np.array_equal(x, mixture.sample(50_000, stream(1)))


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_a_perfect_sampler_hits_every_mode_with_98_89_percent_of_high_quality(mixture):
    assert round(PERFECT, 4) == 0.9889
    scores = [score_modes(mixture.sample(SAMPLES, stream(seed)), mixture) for seed in range(20)]
    K = len(mixture.means)
    assert {score.modes for score in scores} == {K}
    error = math.sqrt(PERFECT * (1 - PERFECT) / SAMPLES / len(scores))
    assert abs(np.mean([score.high_quality for score in scores]) - PERFECT) < 4 * error
    expected = (K - 1) / (2 * SAMPLES)  # of 2N·KL, which is nearly χ² of K - 1 degrees of freedom
    assert np.mean([score.reverse_kl for score in scores]) == pytest.approx(
        expected, rel=4 * math.sqrt(2 / (K - 1) / 20)
    )


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
@pytest.mark.parametrize("hit", [1, 2, 5])
def test_a_collapsed_sampler_is_charged_the_logarithm_of_what_it_leaves_out(mixture, hit):
    score = score_modes(np.repeat(mixture.means[:hit], 100, axis=0), mixture)
    assert (score.modes, score.high_quality) == (hit, 1.0)
    assert score.reverse_kl == pytest.approx(math.log(len(mixture.means) / hit))
    np.testing.assert_array_equal(score.counts, [100] * hit + [0] * (len(mixture.means) - hit))


def test_high_quality_ends_at_three_standard_deviations_in_every_direction():
    mixture = grid()
    for angle in np.linspace(0, 2 * math.pi, 9):
        way = mixture.std * np.array([[math.cos(angle), math.sin(angle)]])
        near, far = (score_modes(mixture.means[7] + r * way, mixture) for r in (2.999, 3.001))
        assert (near.modes, near.high_quality, near.counts[7]) == (1, 1.0, 1)
        assert (far.modes, far.high_quality, far.counts.sum()) == (0, 0.0, 0)
        assert far.reverse_kl == pytest.approx(math.log(25))  # it belongs to the mode, near or not


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_the_score_is_that_of_the_definition_written_as_a_loop_and_of_any_order(mixture):
    x = stream(3).uniform(-1.2, 1.2, (400, 2)) * np.abs(mixture.means).max()
    x[:200] = mixture.sample(200, stream(4))
    K = len(mixture.means)
    counts, shares = [0] * K, [0.0] * K
    for point in x:
        distances = [math.dist(point, mean) for mean in mixture.means]
        k = distances.index(min(distances))
        shares[k] += 1 / len(x)
        counts[k] += distances[k] < 3 * mixture.std
    for samples in (x, x[::-1]):
        score = score_modes(samples, mixture)
        np.testing.assert_array_equal(score.counts, counts)
        assert score.modes == sum(count > 0 for count in counts)
        assert score.high_quality == pytest.approx(sum(counts) / len(x))
        assert score.reverse_kl == pytest.approx(sum(q * math.log(q * K) for q in shares if q))


def test_shares_are_compared_with_those_of_the_data_where_it_is_given():
    mixture = ring()
    uneven = np.repeat(mixture.means, [10, 20, 30, 40, 50, 60, 70, 80], axis=0)
    assert score_modes(uneven, mixture, data=uneven).reverse_kl == 0
    assert score_modes(uneven, mixture).reverse_kl > 0.1
    half = score_modes(uneven[:150], mixture, data=uneven)  # the first five modes, in the data's proportions
    assert half.reverse_kl == pytest.approx(math.log(360 / 150))
    with pytest.raises(DataError, match=r"none of the 10 points of data belongs to mode 1, .*leave data out"):
        score_modes(uneven, mixture, data=uneven[:10])


@pytest.mark.parametrize("shape", [(5,), (5, 3), (0, 2), (2, 5, 2)])
def test_samples_that_are_no_points_of_a_plane_are_refused(shape):
    with pytest.raises(ShapeError, match="points \\(N, 2\\) with N at least 1, got shape"):
        score_modes(np.zeros(shape), ring())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_sampler_is_counted_not_scored(bad):
    x = np.zeros((10, 2))
    x[3, 1] = x[7, 0] = bad
    with pytest.raises(DataError, match="2 of 10 samples are NaN or infinite"):
        score_modes(x, ring())


@pytest.mark.parametrize(
    "make",
    [
        lambda: ring(0),
        lambda: ring(std=0.0),
        lambda: grid(0),
        lambda: grid(std=math.nan),
        lambda: ring().sample(0, np.random.default_rng(0)),
    ],
)
def test_an_impossible_mixture_is_refused(make):
    with pytest.raises(ArgumentError, match="at least 1"):
        make()
