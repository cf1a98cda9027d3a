"""The metrics of samples against SciPy and scikit-learn (answers stored in oracle/), closed forms and naive twins."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import metric_inputs as inputs

from minigan.errors import ArgumentError, DataError, DeviceError, DTypeError, MiniganError, ShapeError
from minigan.metrics import kernel, neighbours
from minigan.metrics.frechet import frechet_distance
from minigan.metrics.kernel import kernel_distance
from minigan.metrics.modes import ring, score_modes
from minigan.metrics.neighbours import copies, nearest, pairs, precision_recall
from minigan.metrics.parzen import parzen_log_likelihood
from minigan.metrics.score import digit_balance, mnist_score

ANSWERS = inputs.load()
TO_SIX_DIGITS = {"rel": 1e-6, "abs": 0}
A, B = inputs.PAIRS["unlike"]


def with_moments(mean, root, n=50, name="whitened"):
    """n samples whose mean and sample covariance are exactly `mean` and root·rootᵀ."""
    F = len(mean)
    raw = inputs.values(name, (n, F))
    Q = np.linalg.qr(raw - raw.mean(axis=0))[0]
    return mean + math.sqrt(n - 1) * Q @ np.asarray(root).T


def one_hot(labels, classes=10):
    return np.eye(classes)[labels]


# The answers of others -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", inputs.PAIRS)
def test_the_frechet_distance_is_that_of_scipys_sqrtm(case):
    assert frechet_distance(*inputs.PAIRS[case]) == pytest.approx(ANSWERS["frechet"][case], **TO_SIX_DIGITS)


@pytest.mark.parametrize("chunk", [kernel.CHUNK, 7])
@pytest.mark.parametrize("case", inputs.PAIRS)
def test_the_kernel_distance_is_that_of_scikit_learns_kernel_whatever_the_chunks(case, chunk, monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", chunk)
    assert kernel_distance(*inputs.PAIRS[case]) == pytest.approx(ANSWERS["kernel"][case], **TO_SIX_DIGITS)


@pytest.mark.parametrize("chunk", [neighbours.CHUNK, 7])
@pytest.mark.parametrize("k", inputs.NEIGHBOURS)
@pytest.mark.parametrize("case", inputs.PAIRS)
def test_precision_and_recall_are_those_of_scikit_learns_neighbours_whatever_the_chunks(case, k, chunk, monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    found = precision_recall(*inputs.PAIRS[case], k=k)
    assert found == pytest.approx(ANSWERS["precision_recall"][f"{case}-{k}"], **TO_SIX_DIGITS)


@pytest.mark.parametrize("case", ANSWERS["score"])
def test_the_score_and_its_spread_are_those_of_scipys_relative_entropy(case):
    table, splits = case.rsplit("-", 1)
    assert mnist_score(inputs.TABLES[table], int(splits)) == pytest.approx(ANSWERS["score"][case], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("case", inputs.TABLES)
def test_the_balance_is_scipys_entropy_of_labels_and_of_probabilities(case):
    p = inputs.TABLES[case]
    for answers in (p, p.astype(np.float32), p.argmax(axis=1)):
        assert digit_balance(answers).kl == pytest.approx(ANSWERS["balance"][case], **TO_SIX_DIGITS)


@pytest.mark.parametrize(("chunk", "block"), [(neighbours.CHUNK, neighbours.BLOCK), (7, 13), (1, 1)])
@pytest.mark.parametrize("as_float", [False, True])
def test_the_nearest_images_are_scikit_learns_whatever_the_blocks(chunk, block, as_float, monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    monkeypatch.setattr(neighbours, "BLOCK", block)
    images, training = (x / 255 if as_float else x for x in (inputs.IMAGES, inputs.TRAINING))
    found, checked, answer = nearest(images, training), copies(images, training), ANSWERS["nearest"]
    first, second = np.array(answer["distance"]).T
    assert found.indices.tolist() == checked.indices.tolist() == answer["index"]
    np.testing.assert_allclose(found.distances, first, rtol=1e-12, atol=1e-7)  # theirs takes differences of squares
    np.testing.assert_allclose(checked.ratios, first / second, rtol=1e-12, atol=1e-7)
    assert found.distances[3] == 0
    assert checked.share == 1 / 40  # the copy, and not the half of two


# Closed forms --------------------------------------------------------------------------------------------------------


def test_the_frechet_distance_of_gaussians_with_given_moments_is_the_closed_form():
    mean = np.array([3.0, -1.0])
    a, b = np.array([[2.0, 0], [0, 0.5]]), np.array([[1.0, 0.0], [2.0, 3.0]])
    M = a @ a.T @ b @ b.T  # for matrices of 2×2, tr √M = √(tr M + 2·√det M)
    root = math.sqrt(np.trace(M) + 2 * math.sqrt(np.linalg.det(M)))
    expected = mean @ mean + np.trace(a @ a.T + b @ b.T) - 2 * root
    found = frechet_distance(with_moments(np.zeros(2), a), with_moments(mean, b, n=70, name="others"))
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_frechet_distance_of_one_rotated_frame_is_the_distance_of_standard_deviations():
    frame = np.linalg.qr(inputs.values("frame", (5, 5)))[0]
    s, t = np.array([0.0, 1e-3, 1, 2, 30]), np.array([1.0, 2e-3, 0, 2, 31])  # both covariances are singular
    found = frechet_distance(with_moments(np.ones(5), frame * s), with_moments(np.ones(5), frame * t))
    assert found == pytest.approx(((s - t) ** 2).sum(), rel=1e-9)


def test_a_small_frechet_distance_keeps_its_digits():
    assert 0 <= frechet_distance(A, A) < 1e-25
    assert frechet_distance(A, A + 1e-5) == pytest.approx(A.shape[1] * 1e-10, rel=1e-8)
    assert frechet_distance(A - A.mean(axis=0), (1 + 1e-6) * (A - A.mean(axis=0))) == pytest.approx(
        1e-12 * np.trace(np.cov(A.T)), rel=1e-6
    )


def test_the_frechet_distance_is_symmetric():
    assert frechet_distance(A, B) == pytest.approx(frechet_distance(B, A), rel=1e-12)


def test_the_kernel_distance_of_two_samples_each_is_the_sum_written_out():
    a, b = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[3.0, 1.0], [1.0, 1.0]])

    def k(x, y):
        return (x @ y / 2 + 1) ** 3

    cross = sum(k(x, y) for x in a for y in b)
    assert kernel_distance(a, b) == pytest.approx(k(a[0], a[1]) + k(b[0], b[1]) - cross / 2, rel=1e-12)


def test_the_kernel_distance_of_one_source_is_zero_on_average_and_not_above_it():
    rng = np.random.default_rng(0)
    found = np.array([kernel_distance(*rng.standard_normal((2, 15, 4))) for _ in range(200)])
    assert abs(found.mean()) < 3 * found.std() / math.sqrt(200)
    assert (found < 0).any()


def test_the_score_counts_the_classes_that_a_sure_classifier_meets():
    labels = np.repeat(np.arange(10), 300)
    assert mnist_score(one_hot(labels), splits=1) == pytest.approx((10, 0))
    assert mnist_score(one_hot(labels // 2), splits=1) == pytest.approx((5, 0))
    assert mnist_score(one_hot(labels)).mean == pytest.approx(10, rel=0.03)
    assert mnist_score(one_hot(0 * labels)) == (1, 0)
    for row in inputs.probabilities("rows", 20, 10, 3.0):  # rounding may take a mean below its equal terms
        score = mnist_score(np.tile(row, (100, 1)))
        assert score == pytest.approx((1, 0), abs=1e-12)
        assert score.mean >= 1


def test_the_splits_of_a_score_spread_as_random_ones_do():
    """Each tenth of the sorted rows would make them too much alike, and neighbours in it would be of one digit."""
    p, rng = inputs.probabilities("spread", 1000, 10, 6.0), np.random.default_rng(0)

    def spread(p):
        scores = []
        for part in np.split(rng.permutation(p), 10):
            scores.append(np.exp((part * np.log(part / part.mean(axis=0))).sum(axis=1).mean()))
        return np.std(scores)

    random = [spread(p) for _ in range(100)]
    assert np.quantile(random, 0.01) < mnist_score(p).std < np.quantile(random, 0.99)


def test_a_score_hardly_moves_with_the_last_bits_of_its_probabilities():
    p = inputs.probabilities("bits", 1000, 10, 12.0)
    nudged = p * (1 + 1e-7 * inputs.values("nudge", p.shape))
    assert mnist_score(nudged) == pytest.approx(mnist_score(p), rel=1e-5)


def test_the_balance_is_zero_for_equal_shares_and_log_of_ten_for_one_digit():
    even, one = digit_balance(np.arange(50) % 10), digit_balance(np.full(7, 3))
    assert (even.kl, even.shares.tolist()) == (pytest.approx(0, abs=1e-15), [0.1] * 10)
    assert (one.kl, one.shares.tolist()) == (pytest.approx(math.log(10)), one_hot(3).tolist())
    assert digit_balance(np.array([0, 0, 1], np.uint8), classes=2).kl == pytest.approx(
        2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3)
    )


def test_precision_sees_quality_and_recall_variety():
    real = inputs.values("real", (200, 2))
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(real, real + 100) == (0, 0)
    assert precision_recall(real, np.tile(real[0], (50, 1))) == (1, 1 / 200)  # one good sample over and over
    half = real[real[:, 0] < 0]
    precision, recall = precision_recall(real, half)
    assert precision == 1
    assert len(half) / 200 <= recall < 0.7
    assert precision_recall(half, real) == (recall, precision)


def test_a_point_on_the_edge_of_a_ball_is_inside():
    real = np.array([[0.0], [3.0], [100.0], [103.0]])
    assert precision_recall(real, np.array([[-3.0], [106.0], [-3.1], [50.0]]), k=1).precision == 0.5
    x, v = 10 * inputs.values("centres", (40, 30)), inputs.values("steps", (40, 30))
    assert precision_recall(np.vstack([x, x + v]), x - v, k=1).precision == 1  # rounding alone would throw half out
    several = np.repeat(math.pi * inputs.values("several", (40, 30)), 4, axis=0)  # balls of radius 0, but for rounding
    assert precision_recall(several, several[:100] + 0, k=3) == (1, 100 / 160)


def test_features_far_from_zero_are_told_apart_all_the_same():
    assert precision_recall(A + 1e6, B + 1e6) == precision_recall(A, B)


small = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=4, max_size=12).map(np.array)


@settings(max_examples=30)
@given(real=small, fake=small, k=st.integers(1, 3))
def test_precision_and_recall_are_the_definition_among_ties_and_duplicates(real, fake, k):
    def share(centres, others):
        radii = [
            sorted(((c - x) ** 2).sum() for j, x in enumerate(centres) if j != i)[k - 1] for i, c in enumerate(centres)
        ]
        inside = [any(((c - x) ** 2).sum() <= r for c, r in zip(centres, radii, strict=True)) for x in others]
        return sum(inside) / len(others)

    assert precision_recall(real, fake, k) == (share(real, fake), share(fake, real))


# Copies --------------------------------------------------------------------------------------------------------------


def test_training_images_are_copies_and_so_are_noisy_ones_but_mixtures_are_not():
    training = inputs.TRAINING
    noisy = np.uint8(np.clip(training + 10 * inputs.values("noise", training.shape), 0, 255))
    mixed = training[:-1] // 2 + training[1:] // 2
    assert copies(training, training).share == copies(noisy, training).share == 1
    assert (nearest(noisy, training).indices == np.arange(90)).all()
    assert copies(mixed, training).share == 0
    assert copies(mixed, training, ratio=1).share > 0.9


def test_copies_of_training_images_that_are_there_twice_are_found():
    training = inputs.TRAINING[[5, 9, 2, 9, 2, 9]]
    found = copies(inputs.TRAINING[[9, 2]], training)
    assert (found.distances.tolist(), found.share) == ([0, 0], 1)
    np.testing.assert_array_equal(training[found.indices], inputs.TRAINING[[9, 2]])


def by_hand(images, training):
    """Every distance, entry by entry in float64, (N, M)."""
    images, training = (x / 255 if x.dtype == np.uint8 else x.astype(float) for x in (images, training))
    return np.sqrt([((training - image) ** 2).sum(axis=(1, 2)) for image in images])


def alike(spread, dtype=float, centres=(0.9,)):
    """(images, training images) of which those about one centre differ by `spread`, far less than from black."""
    rng = np.random.default_rng(0)
    draw = [c + spread * rng.uniform(-1, 1, (90, 12, 12)) for c in centres]
    return [np.concatenate([part[sl] for part in draw]).astype(dtype) for sl in (slice(0, 15), slice(15, None))]


HARD = {
    "alike": alike(1e-4),
    "alike in float32": alike(1e-4, np.float32),
    "alike, to the last digits": alike(1e-12),
    "two sorts": alike(1e-5, centres=(0.9, 0.1)),  # the mean of the training images is near to neither
    "tiny": [1e-30 * x for x in alike(0.5, centres=(0.5,))],
    "squares with few digits left in float32": [1e-22 * x for x in alike(0.5, centres=(0.5,))],
    "one grey level": [
        np.full((2, 12, 12), 200, np.uint8),
        200 + np.tile(np.eye(144, dtype=np.uint8).reshape(144, 12, 12), (3, 1, 1)),
    ],
    "blank": [np.zeros((3, 12, 12), np.uint8), np.zeros((70, 12, 12), np.uint8)],
    "blank and not": [inputs.IMAGES[:9], np.concatenate([np.zeros_like(inputs.TRAINING), inputs.TRAINING])],
}


@pytest.mark.parametrize("block", [neighbours.BLOCK, 31])
@pytest.mark.parametrize("case", HARD)
def test_among_training_images_that_are_nearly_alike_the_nearest_is_found_and_of_equals_the_first(
    case, block, monkeypatch
):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    images, training = HARD[case]
    every = by_hand(images, training)
    found, two = nearest(images, training), copies(images, training)
    np.testing.assert_array_equal(found.indices, every.argmin(axis=1))
    first, second = np.sort(every, axis=1)[:, :2].T
    np.testing.assert_allclose(found.distances, first, rtol=1e-12)
    np.testing.assert_allclose(two.ratios, np.divide(first, second, out=np.zeros_like(first), where=second > 0))


@pytest.mark.parametrize(
    ("images", "training", "most"),
    [
        (np.zeros((5, 4, 4)), np.zeros((10_000, 4, 4)), 10),  # two for each
        (*alike(1e-4), 45),
        (inputs.IMAGES, inputs.TRAINING, 2 * 40 + 1),
    ],
    ids=["equal", "alike", "ordinary"],
)
def test_few_training_images_are_compared_in_float64_however_many_are_alike(images, training, most, monkeypatch):
    compared, apart = [], neighbours._apart
    monkeypatch.setattr(neighbours, "_apart", lambda x, i, y, j: compared.append(len(i)) or apart(x, i, y, j))
    copies(images, training)
    assert 2 * len(images) <= sum(compared) <= most


def test_a_distance_is_euclidean_with_pixels_from_zero_to_one():
    black, white = np.zeros((1, 28, 28), np.uint8), np.full((1, 28, 28), 255, np.uint8)
    assert nearest(black, white).distances == pytest.approx([28])
    assert nearest(black / 255, white / 255).distances == pytest.approx([28])


def test_pairs_come_closest_first_and_image_beside_image():
    images, training = inputs.IMAGES, inputs.TRAINING
    for found, closeness in ((nearest(images, training), "distances"), (copies(images, training), "ratios")):
        both = pairs(images, training, found, count=6)
        order = np.argsort(getattr(found, closeness))[:6]
        assert (both.shape, both.dtype) == ((12, 6, 5), np.uint8)
        np.testing.assert_array_equal(both[::2], images[order])
        np.testing.assert_array_equal(both[1::2], training[found.indices[order]])
    assert len(pairs(images, training, nearest(images, training), count=1000)) == 80


# The order of samples, and samples that are all alike ----------------------------------------------------------------

P = np.vstack([p[:20] for p in inputs.TABLES.values()])
METRICS = {
    "frechet": lambda i, j: frechet_distance(A[:60][i], B[:60][j]),
    "kernel": lambda i, j: kernel_distance(A[:60][i], B[:60][j]),
    "precision-recall": lambda i, j: precision_recall(A[:60][i], B[:60][j]),
    "score": lambda i, j: mnist_score(P[i], splits=4),
    "balance": lambda i, j: digit_balance(P[i]).kl,
    "copies": lambda i, j: copies(inputs.IMAGES[i % 40], inputs.TRAINING[:60][j]).share,
}
EXACT = ("precision-recall", "score", "balance")


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_samples_does_not_matter(name):
    @settings(max_examples=8)
    @given(i=st.permutations(range(60)), j=st.permutations(range(60)))
    def check(i, j):
        found, expected = METRICS[name](np.array(i), np.array(j)), METRICS[name](np.arange(60), np.arange(60))
        assert found == (expected if name in EXACT else pytest.approx(expected, rel=1e-9))

    check()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_samples_give_numbers(value):
    constant, other = np.full((20, 12), value), np.full((30, 12), value)
    assert frechet_distance(constant, other) == pytest.approx(0, abs=1e-15 * value**2)
    assert kernel_distance(constant, other) == pytest.approx(0, abs=1e-12 * (1 + value) ** 6)
    assert precision_recall(constant, other) == (1, 1)
    assert frechet_distance(A, constant) == pytest.approx(
        ((A.mean(axis=0) - value) ** 2).sum() + np.trace(np.cov(A.T)), rel=1e-9
    )
    assert math.isfinite(kernel_distance(A, constant))
    assert all(0 <= share <= 1 for share in precision_recall(A, constant))
    images = np.full((5, 4, 4), min(value, 1.0))
    assert copies(images, images).share == 1


# Bad input -----------------------------------------------------------------------------------------------------------


def changed(array, value):
    array = np.array(array, float)
    array.flat[5] = value
    return array


PIXELS = inputs.IMAGES
BAD = {
    "frechet: too few": (
        ArgumentError,
        "b has 12 samples and at least 13 are needed",
        lambda: frechet_distance(A, B[:12]),
    ),
    "kernel: too few": (ArgumentError, "a has 1 samples and at least 2", lambda: kernel_distance(A[:1], B)),
    "neighbours: too few": (ArgumentError, "fake has 3 samples and at least 6", lambda: precision_recall(A, B[:3])),
    "score: too few": (ArgumentError, "p has 60 samples and at least 100", lambda: mnist_score(P)),
    "balance: none": (ArgumentError, "answers has 0 samples", lambda: digit_balance(np.zeros(0, int))),
    "balance: none, of p": (ArgumentError, "answers has 0 samples", lambda: digit_balance(np.zeros((0, 10)))),
    "nearest: none": (ArgumentError, "training has 0 samples", lambda: nearest(PIXELS, PIXELS[:0])),
    "copies: one": (ArgumentError, "training has 1 samples and at least 2", lambda: copies(PIXELS, PIXELS[:1])),
    "images, not features": (ShapeError, r"a has shape \(40, 6, 5\)", lambda: frechet_distance(PIXELS, PIXELS)),
    "no features": (ShapeError, r"a has shape \(40, 0\)", lambda: kernel_distance(np.ones((40, 0)), np.ones((40, 0)))),
    "other features": (ShapeError, "a has 12 features and b has 11", lambda: kernel_distance(A, B[:, 1:])),
    "other features of neighbours": (ShapeError, "fake has 11", lambda: precision_recall(A, B[:, 1:])),
    "labels for p": (ShapeError, "p has shape", lambda: mnist_score(np.zeros(500))),
    "images for labels": (ShapeError, "answers has shape", lambda: digit_balance(PIXELS)),
    "other images": (ShapeError, "both are", lambda: nearest(PIXELS, PIXELS[:, 1:])),
    "pairs of others": (ShapeError, "found is of 40", lambda: pairs(PIXELS[1:], PIXELS, nearest(PIXELS, PIXELS))),
    "NaN": (DataError, "b has 1 values of 3000 that are NaN", lambda: frechet_distance(A, changed(B, np.nan))),
    "infinite": (DataError, "a has 1 values", lambda: kernel_distance(changed(A, np.inf), B)),
    "NaN among neighbours": (DataError, "real has 1", lambda: precision_recall(changed(A, np.nan), B)),
    "NaN in p": (DataError, "p has 1 values", lambda: mnist_score(changed(P, np.nan), splits=4)),
    "NaN in pixels": (DataError, "images has 1", lambda: nearest(changed(PIXELS / 255, np.nan), PIXELS / 255)),
    "too large for frechet": (
        DataError,
        r"b has values of a size up to 1e\+160, above 1e\+45, .* divide",
        lambda: frechet_distance(A, changed(B, -1e160)),
    ),
    "too large for kernel": (DataError, r"a has values .* 1e\+60", lambda: kernel_distance(changed(A, 1e60), B)),
    "too large for neighbours": (DataError, r"real has values .*e\+160", lambda: precision_recall(1e160 * A, B)),
    "too large and NaN": (
        DataError,
        "a has 1 values of 3600 that are NaN",
        lambda: kernel_distance(changed(1e160 * A, np.nan), B),
    ),
    "too large for p": (DataError, r"p has values .* 1e\+160", lambda: mnist_score(changed(P, 1e160), splits=4)),
    "too large for balance": (DataError, r"p has values .* 1e\+160", lambda: digit_balance(changed(P, 1e160))),
    "too large for pixels": (DataError, "images has values", lambda: nearest(changed(PIXELS, 1e160), PIXELS / 255)),
    "too large for modes": (DataError, "samples has values", lambda: score_modes(np.full((9, 2), 1e160), ring())),
    "too large for parzen": (
        DataError,
        "samples has values",
        lambda: parzen_log_likelihood(np.full((9, 4), 1e160), np.ones((9, 4)), sigma=0.2),
    ),
    "too small for neighbours": (
        DataError,
        r"real and fake have values of a size up to .*e-200 only, .* multiply",
        lambda: precision_recall(1e-200 * A, 1e-200 * B),
    ),
    "too small for pixels": (
        DataError,
        "images and training have values",
        lambda: copies(np.full((3, 4, 4), 1e-200), np.full((3, 4, 4), 2e-200)),
    ),
    "logits for p": (DataError, "no table of probabilities", lambda: mnist_score(inputs.values("p", (200, 10)))),
    "rows of 2": (DataError, "rows that sum to 2 to 2", lambda: mnist_score(2 * P, splits=4)),
    "range": (DataError, "pixels from -1 to 0.99", lambda: nearest(PIXELS / 127.5 - 1, PIXELS / 255)),
    "whole numbers": (DTypeError, "images holds int64", lambda: nearest(PIXELS.astype(int), PIXELS)),
    "truth values": (DTypeError, "a holds bool", lambda: kernel_distance(A > 0, B)),
    "a list": (DTypeError, "a is a list", lambda: frechet_distance([[1.0]], B)),
    "fractional labels": (DTypeError, "answers holds float64", lambda: digit_balance(np.ones(5))),
    "label 10": (ArgumentError, "the label 10", lambda: digit_balance(np.array([3, 10]))),
    "k 0": (ArgumentError, "k is 0", lambda: precision_recall(A, B, k=0)),
    "splits 0": (ArgumentError, "splits is 0", lambda: mnist_score(P, splits=0)),
    "splits 2.5": (ArgumentError, "splits is 2.5", lambda: mnist_score(P, splits=2.5)),
    "ratio 0": (ArgumentError, "ratio is 0", lambda: copies(PIXELS, PIXELS, ratio=0)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_names_it(case):
    error, words, call = BAD[case]
    with pytest.raises(error, match=words) as caught:
        call()
    assert isinstance(caught.value, MiniganError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [1e30, 1e44])
def test_features_that_are_large_but_fit_give_finite_numbers(scale):
    a, b = (np.float32(scale) * x.astype(np.float32) if scale < 1e38 else scale * x for x in (A / 4, B / 4))
    assert frechet_distance(a, b) == pytest.approx(float(scale) ** 2 * frechet_distance(A / 4, B / 4), rel=1e-5)
    assert math.isfinite(kernel_distance(a, b))
    assert precision_recall(a, b) == pytest.approx(precision_recall(A, B), abs=0.01)


def test_tiny_samples_beside_ordinary_ones_and_dead_features_are_no_mistake():
    assert math.isfinite(frechet_distance(A, 1e-200 * B))
    assert precision_recall(A, np.zeros_like(B)).recall == 0
    assert kernel_distance(np.zeros_like(A), np.zeros_like(B)) == 0


@pytest.mark.parametrize("case", ["two sorts", "blank and not"])
def test_the_nearest_images_on_a_gpu_are_those_of_the_cpu(case, standin):
    images, training = HARD[case]
    found = copies(standin.asarray(images), standin.asarray(training))
    for there, here in zip(found, copies(images, training), strict=True):
        np.testing.assert_array_equal(there, here)


def test_features_of_two_libraries_are_refused(standin):
    with pytest.raises(DeviceError, match="a is a numpy array and b is a cupy array"):
        frechet_distance(A, standin.asarray(B))


def test_no_metric_writes_on_its_input():
    def frozen(array):
        array = array.copy()
        array.flags.writeable = False
        return array

    a, b, p, images, training = map(frozen, (A, B, P, inputs.IMAGES, inputs.TRAINING))
    frechet_distance(a, b), kernel_distance(a, b), precision_recall(a, b), mnist_score(p, splits=4)
    digit_balance(p), pairs(images, training, copies(images, training))


def test_float32_features_are_measured_in_float64():
    for metric in (frechet_distance, kernel_distance, precision_recall):
        a, b = (1e3 + x.astype(np.float32) for x in (A, B))
        assert metric(a, b) == metric(a.astype(np.float64), b.astype(np.float64))


@pytest.mark.slow
def test_ten_thousand_against_ten_thousand_need_no_table_of_all_pairs():
    a, b = np.random.default_rng(0).random((2, 10_000, 128))
    images, training = np.zeros((500, 28, 28), np.uint8), np.zeros((60_000, 28, 28), np.uint8)
    tracemalloc.start()
    try:
        for call in (lambda: kernel_distance(a, b), lambda: precision_recall(a, b), lambda: copies(images, training)):
            tracemalloc.reset_peak()
            call()
            assert tracemalloc.get_traced_memory()[1] < 150 * 2**20
    finally:
        tracemalloc.stop()
