"""Functions of CuPy whose kernels are more than elementwise, against NumPy's. Needs NumPy, CuPy and pytest only.

They are here for where CuPy runs on something else than NVIDIA's own (tests/hostcuda): barriers of a block and of a
warp, sorts, decompositions, half precision.
"""

import numpy as np
import pytest

from minigan.backend import cuda, to_device, to_numpy

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("shape", [(7,), (5000,), (3, 1000), (20, 40)], ids=str)
def test_sums_extrema_places_and_orders_are_numpys(shape, dtype):
    xp = cuda.import_cupy()
    x = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)  # whole numbers: no order of a sum rounds
    there = to_device(x, "gpu")
    for f in (
        lambda xp, x: x.sum(),
        lambda xp, x: x.sum(axis=0),
        lambda xp, x: x.sum(axis=-1),
        lambda xp, x: x.max(axis=-1),
        lambda xp, x: x.min(),
        lambda xp, x: x.argmax(axis=0),
        lambda xp, x: x.astype("int64").cumsum(axis=-1),
        lambda xp, x: xp.nonzero(x > 0)[0],
        lambda xp, x: xp.nonzero(x > 0)[-1],
        lambda xp, x: xp.sort(x, axis=-1),
        lambda xp, x: xp.sort(x, axis=0),
        lambda xp, x: xp.partition(x.astype("float32"), 4, axis=-1)[..., 4],
    ):
        np.testing.assert_array_equal(to_numpy(f(xp, there)), f(np, x))


@pytest.mark.parametrize("k", [0, 5, 31, 40])
def test_a_partition_of_long_rows_has_the_smallest_first(k):
    xp = cuda.import_cupy()  # which sorts short rows from end to end
    x = np.random.default_rng(0).standard_normal((3, 5000)).astype(np.float32)
    there = to_numpy(xp.partition(to_device(x, "gpu"), k, axis=1))
    np.testing.assert_array_equal(np.sort(there[:, : k + 1]), np.sort(x)[:, : k + 1])
    np.testing.assert_array_equal(np.sort(there), np.sort(x))


def test_nan_is_sorted_to_the_end_and_is_the_extremum_of_its_set():
    xp = cuda.import_cupy()
    x = np.array([[2, np.nan, 1], [3, 1, 2]], np.float32)
    there = to_device(x, "gpu")
    np.testing.assert_array_equal(to_numpy(xp.sort(there, axis=1)), np.sort(x, axis=1))
    np.testing.assert_array_equal(to_numpy(xp.argsort(there, axis=1)), np.argsort(x, axis=1))
    np.testing.assert_array_equal(to_numpy(there.max(axis=1)), x.max(axis=1))
    assert int(there.argmin()) == x.argmin()


@pytest.mark.parametrize("shape", [(5, 5), (9, 4), (4, 9)], ids=str)
def test_decompositions_give_the_matrix_back(shape):
    xp = cuda.import_cupy()
    x = np.random.default_rng(0).standard_normal(shape)
    there = to_device(x, "gpu")
    U, S, V = xp.linalg.svd(there, full_matrices=False)
    np.testing.assert_allclose(to_numpy((U * S) @ V), x, atol=1e-12)
    np.testing.assert_allclose(to_numpy(S), np.linalg.svd(x, compute_uv=False), atol=1e-12)
    Q, R = xp.linalg.qr(there)
    np.testing.assert_allclose(to_numpy(Q @ R), x, atol=1e-12)
    square = x @ x.T
    np.testing.assert_allclose(
        to_numpy(xp.linalg.eigvalsh(to_device(square, "gpu"))), np.linalg.eigvalsh(square), atol=1e-12
    )


@pytest.mark.parametrize(("dtype", "close"), [("float16", 1e-2), ("float32", 1e-5), ("float64", 1e-12)])
def test_products_of_every_layout_are_numpys(dtype, close):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((6, 5)).astype(dtype), rng.standard_normal((5, 7)).astype(dtype)
    many = rng.standard_normal((3, 5, 7)).astype(dtype)
    for left, right in ((a, b), (a.T.copy().T, b), (a, b.T.copy().T), (a, b[:, 0]), (a[0], b), (a[0], a[1]), (a, many)):
        found = to_device(left, "gpu") @ to_device(right, "gpu")
        np.testing.assert_allclose(to_numpy(found), left @ right, rtol=close, atol=close)


def test_half_precision_is_rounded_as_numpy_rounds_it():
    x = np.linspace(-3, 3, 97, dtype=np.float32)
    half = to_device(x, "gpu").astype("float16")
    np.testing.assert_array_equal(to_numpy(half), x.astype("float16"))
    np.testing.assert_array_equal(to_numpy(half * 2 + 1), x.astype("float16") * 2 + 1)
    np.testing.assert_array_equal(to_numpy(half.astype("float32")), x.astype("float16").astype("float32"))
