import contextlib
import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.backend import RandomStream
from minigan.data import glyphs
from minigan.data.batches import Batches
from minigan.data.idx import read_idx
from minigan.errors import ArgumentError, DataError, DTypeError, ShapeError


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture(autouse=True)
def drawn_anew(monkeypatch):
    """No glyphs that another test has drawn."""
    monkeypatch.setattr(glyphs, "bend", glyphs.bend.real)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_idx_is_read_plain_or_compressed_whatever_its_name(tmp_path, wrap):
    (tmp_path / "x").write_bytes(wrap(idx(IMAGES)))
    array = read_idx(tmp_path / "x", sha256=hashlib.sha256(idx(IMAGES)).hexdigest())
    np.testing.assert_array_equal(array, IMAGES)
    assert array.dtype == np.uint8


@pytest.mark.parametrize(("code", "dtype"), [(9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
def test_idx_element_types_come_in_native_byte_order(tmp_path, code, dtype):
    (tmp_path / "x").write_bytes(idx(np.array([1, -2, 3], dtype), code))
    array = read_idx(tmp_path / "x")
    assert array.tolist() == [1, -2, 3]
    assert array.dtype.isnative


PAGE = b"<!DOCTYPE html><html>503 Service Unavailable</html>"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (PAGE, "not an IDX file: it looks like a web page"),
        (gzip.compress(PAGE, mtime=0), "it looks like a web page"),
        (b"\0\0", "not an IDX file"),
        (b"PK\3\4" + bytes(100), "it begins with b'PK"),
        (b"\0\0\x07\3" + bytes(100), "not an IDX file"),
        (b"\0\0\x08\0", "not an IDX file"),
        (b"\0\0\x08\xff" + bytes(2000), "not an IDX file"),
        (idx(IMAGES)[:9], "truncated in its header"),
        (idx(IMAGES)[:-1], "its header says 24 bytes of data and there are 23"),
        (idx(IMAGES) + b"x", "goes on after its data"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-12], "gzip data cannot be read"),
        (
            gzip.compress(idx(IMAGES), mtime=0)[:15] + b"\xff\xff\xff" + gzip.compress(idx(IMAGES), mtime=0)[18:],
            "gzip|IDX|header",
        ),
        (b"\0\0\x08\4" + struct.pack(">4I", 0, 2**32 - 1, 2**32 - 1, 2**32 - 1), "holds nothing"),
        (b"\0\0\x08\3" + struct.pack(">3I", 10**9, 1000, 1000) + bytes(50), "says 1,000,000,000,000,000 bytes"),
    ],
)
def test_a_bad_idx_file_is_named_with_what_is_wrong(tmp_path, content, match):
    (tmp_path / "bad.gz").write_bytes(content)
    with pytest.raises(DataError, match=match) as caught:
        read_idx(tmp_path / "bad.gz")
    assert "bad.gz" in str(caught.value)


def test_a_wrong_hash_is_reported_with_both_hashes(tmp_path):
    (tmp_path / "x").write_bytes(idx(IMAGES))
    with pytest.raises(DataError, match=f"SHA-256 {hashlib.sha256(idx(IMAGES)).hexdigest()}, expected 00ff"):
        read_idx(tmp_path / "x", sha256="00ff")


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_idx_file_never_gives_anything_but_data_or_a_data_error(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from([idx(IMAGES), gzip.compress(idx(IMAGES))])))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(DataError):
        assert isinstance(read_idx(path), np.ndarray)


# Glyphs --------------------------------------------------------------------------------------------------------------


def test_glyphs_are_mnist_shaped_balanced_and_inked():
    images, labels = glyphs.make_glyphs(2000)
    assert (images.shape, images.dtype, labels.dtype) == ((2000, 28, 28), np.uint8, np.uint8)
    assert np.bincount(labels, minlength=10).min() > 140
    ink = images.reshape(2000, -1).mean(axis=1)
    assert 5 < ink.min() < ink.max() < 110, "an image is empty or drowned in ink"
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    assert (border > 127).mean() < 0.002, "digits run out of the picture"
    assert images.max() == 255


def test_glyphs_of_a_class_look_like_their_class():
    images, labels = glyphs.make_glyphs(6000)
    x = images.reshape(6000, -1) / 255.0
    means = np.array([x[:5000][labels[:5000] == d].mean(axis=0) for d in range(10)])
    nearest = ((x[5000:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == labels[5000:]).mean() > 0.75  # the nearest class mean alone; chance is 0.1


def test_glyphs_of_a_seed_are_the_same_and_more_of_them_begin_alike():
    few, few_labels = glyphs.make_glyphs(10, seed=3)
    more, more_labels = glyphs.make_glyphs(2100, seed=3)
    np.testing.assert_array_equal(few, more[:10])
    np.testing.assert_array_equal(few_labels, more_labels[:10])
    assert not np.array_equal(few, glyphs.make_glyphs(10, seed=4)[0])
    with pytest.raises(ArgumentError, match="ask for at least 1"):
        glyphs.make_glyphs(0)


def test_glyphs_of_different_chunks_differ():
    images, _ = glyphs.make_glyphs(2 * glyphs.CHUNK)
    assert not np.array_equal(images[: glyphs.CHUNK], images[glyphs.CHUNK :])


@pytest.mark.parametrize("half", [slice(None, 6), slice(6, None)], ids=["rows", "columns"])
def test_glyphs_are_bent_elastically_in_both_directions(half, monkeypatch):
    originals = glyphs.render_digits()[0, :6]
    field = np.zeros((12, 28, 28), np.float32)
    results = []
    for value in (0, 2):
        field[half] = value
        monkeypatch.setattr(glyphs, "smooth_field", lambda count, rng: field)
        results.append(glyphs.bend(originals, np.random.default_rng(0)))
    assert not np.array_equal(*results)


def test_every_font_draws_ten_different_digits():
    originals = glyphs.render_digits()
    assert originals.shape == (len(glyphs.FONTS), 10, 56, 56)
    for font in originals:
        assert len({digit.tobytes() for digit in font}) == 10


def test_glyphs_are_cached_and_a_damaged_cache_is_made_again(tmp_path, monkeypatch):
    first, _ = glyphs.load_glyphs(50, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(glyphs, "make_glyphs", None)  # it must not be needed
        np.testing.assert_array_equal(glyphs.load_glyphs(50, folder=tmp_path)[0], first)
    for damage in (b"", b"not a zip file", file.read_bytes()[:-200]):
        file.write_bytes(damage)
        np.testing.assert_array_equal(glyphs.load_glyphs(50, folder=tmp_path)[0], first)


def test_glyphs_without_a_place_for_the_cache_are_made_each_time(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert len(glyphs.load_glyphs(5, folder=tmp_path / "file")[0]) == 5


# Batches -------------------------------------------------------------------------------------------------------------

SQUARES = np.arange(10, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)


def batches(**options):
    return Batches(SQUARES, 4, shape=(4,), **options)


def test_the_last_partial_batch_is_kept_or_dropped():
    assert [len(x) for x in batches().epoch(0)] == [4, 4, 2]
    assert [len(x) for x in batches(drop_last=True).epoch(0)] == [4, 4]
    assert (len(batches()), len(batches(drop_last=True))) == (3, 2)


def test_every_pass_shows_every_image_once_in_an_order_of_its_own():
    passes = [np.concatenate(list(batches(value_range=(0, 255)).epoch(k)))[:, 0].tolist() for k in (0, 1, 0)]
    assert passes[0] == passes[2] != passes[1]
    np.testing.assert_allclose(sorted(passes[0]), range(10), atol=1e-4)
    assert passes[0] != np.concatenate(list(batches(value_range=(0, 255), seed=1).epoch(0)))[:, 0].tolist()


def test_the_endless_iterator_is_pass_after_pass():
    endless = batches().forever()
    for k in (0, 1):
        for expected in batches().epoch(k):
            np.testing.assert_array_equal(next(endless), expected)


def test_a_batch_is_the_same_whether_it_is_asked_for_by_number_or_in_its_pass():
    kept = batches()
    for number in (4, 0, 5, 2):
        k, i = divmod(number, 3)
        np.testing.assert_array_equal(kept.batch(number), list(batches().epoch(k))[i])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_padding_is_background_at_the_low_end_of_the_range(dtype):
    images = np.full((2, 28, 28), 255, np.uint8)
    images[:, :, :9] = 0
    ink = images.reshape(2, 28, 28, 1) / 127.5 - 1
    images = images if dtype == np.uint8 else images / np.float32(127.5) - 1
    x = Batches(images, 2, shape=(32, 32, 1), pad=2).take(np.arange(2))
    np.testing.assert_array_equal(x, np.pad(ink, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-1))


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uint8_is_scaled_to_the_range_and_its_ends_are_exact(value_range, dtype):
    images = np.arange(256, dtype=np.uint8).reshape(256, 1)
    x = Batches(images, 256, shape=(1,), value_range=value_range, dtype=dtype).take(np.arange(256))
    assert x.dtype == dtype
    assert (x[0, 0], x[255, 0]) == value_range
    assert (np.diff(x[:, 0]) > 0).all()


def test_floats_in_range_are_taken_as_they_are():
    images = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(Batches(images, 2, shape=(2, 2, 1)).take(np.arange(2)), images.reshape(2, 2, 2, 1))


@pytest.mark.parametrize(
    ("images", "error", "match"),
    [
        (np.zeros((2, 4), np.int64), DTypeError, "images are int64; give uint8"),
        (np.zeros((2, 4), bool), DTypeError, "images are bool"),
        (np.array([[0, 1, 0, np.nan]]), DataError, "1 of 1 images hold NaN or Inf"),
        (np.array([[0, 1, 0, np.inf]]), DataError, "NaN or Inf"),
        (np.array([[0, 1, 0, 255.0]]), DataError, r"from 0 to 255, which is not \(-1.0, 1.0\)"),
        (np.array([[-1.5, 1, 0, 0]]), DataError, "from -1.5 to 1"),
        (np.array([[0, 0.5, 1, 0]]), DataError, "from 0 to 1"),  # [0, 1] where [-1, 1] is wanted
        (np.ones((2, 4), np.uint8), DataError, "nothing above 1"),
        ([[0, 0, 0, 0]], DTypeError, "got a list"),
        (np.zeros((0, 4)), ArgumentError, "N at least 1"),
        (np.zeros(4), ArgumentError, r"got shape \(4,\)"),
        (np.eye(2, 5) - 0.5, ShapeError, r"\(5,\) cannot become a network's input of shape \(4,\)"),
    ],
)
def test_images_that_cannot_be_trained_on_are_refused(images, error, match):
    with pytest.raises(error, match=match):
        Batches(images, 1, shape=(4,))


def test_the_order_comes_from_the_shuffle_stream(monkeypatch):
    asked = []
    monkeypatch.setattr("minigan.data.batches.RandomStream", lambda *args: asked.append(args) or RandomStream(*args))
    list(batches(seed=7).epoch(3))
    assert asked == [(7, "shuffle", 3)]


def test_impossible_batch_sizes_and_indices_are_refused():
    with pytest.raises(ArgumentError, match="from 1 to the 10 images, got 0"):
        Batches(SQUARES, 0, shape=(4,))
    for size in (11, 2.5):
        with pytest.raises(ArgumentError, match=f"from 1 to the 10 images, got {size}"):
            Batches(SQUARES, size, shape=(4,))
    for index in (-1, 10):  # CuPy would take another image without a word
        with pytest.raises(ArgumentError, match="outside 0…9"):
            batches().take(np.array([0, index]))
