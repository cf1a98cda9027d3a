"""The reader of digits in whose features samples are measured."""

import numpy as np
import pytest

from minigan.data.glyphs import make_glyphs
from minigan.errors import ArgumentError, CheckpointError, DTypeError, ShapeError
from minigan.metrics import classifier
from minigan.metrics.classifier import describe, load_classifier

IMAGES, LABELS = make_glyphs(300, seed=7)


def test_glyphs_that_the_classifier_has_not_seen_are_read_right():
    features, p = describe(IMAGES, load_classifier("glyphs"))
    assert (p.argmax(axis=1) == LABELS).mean() > 0.99
    assert (features.shape, p.shape) == ((300, 128), (300, 10))
    assert features.dtype == p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_mnists_classifier_reads_glyphs_far_better_than_chance():
    """Its weights are those of digits, in the right order; its accuracy on MNIST is for benchmarks/classifier.py."""
    assert (describe(IMAGES, load_classifier("mnist"))[1].argmax(axis=1) == LABELS).mean() > 0.8


def test_what_is_seen_in_an_image_depends_neither_on_its_place_nor_on_its_batch(monkeypatch):
    reader = load_classifier("glyphs")
    whole = describe(IMAGES, reader)
    monkeypatch.setattr(classifier, "BATCH", 7)
    for once, again in zip(whole, describe(IMAGES[::-1], reader), strict=True):
        np.testing.assert_allclose(again[::-1], once, rtol=1e-3, atol=1e-4)  # float32 sums in another order


@pytest.mark.parametrize("name", classifier.SHA256)
def test_weights_other_than_the_pinned_ones_are_refused(name, tmp_path, monkeypatch):
    content = bytearray(classifier.weights_file(name).read_bytes())
    content[-1] ^= 1
    path = tmp_path / "classifier.safetensors"
    monkeypatch.setattr(classifier, "weights_file", lambda _: path)
    for state in ("missing", "damaged"):
        if state == "damaged":
            path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"has SHA-256 .* and should have .*: install minigan again"):
            load_classifier.__wrapped__(name)


@pytest.mark.parametrize(
    ("images", "error", "match"),
    [
        (np.zeros((2, 784), np.uint8), ShapeError, r"reads images \(N, 28, 28\), got \(2, 784\)"),
        (np.zeros((2, 32, 32), np.uint8), ShapeError, r"got \(2, 32, 32\)"),
        (np.zeros((2, 28, 28)), DTypeError, "reads uint8 pixels from 0 to 255, got float64"),
    ],
)
def test_images_that_the_classifier_was_not_made_for_are_refused(images, error, match):
    with pytest.raises(error, match=match):
        describe(images, load_classifier("glyphs"))


def test_an_unknown_classifier_is_refused():
    with pytest.raises(ArgumentError, match="unknown classifier 'minst'; did you mean mnist"):
        load_classifier("minst")
