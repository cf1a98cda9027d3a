"""The Fréchet distance between two sets of features, each taken for a Gaussian: 0 for equal means and covariances.

Letters: N samples, F features, μ the mean, C the covariance, X the centred samples over √(N - 1), so that XᵀX = C.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, array_module, matmul
from minigan.metrics.checks import check_enough, features_of


def frechet_distance(a: Any, b: Any) -> float:
    """‖μa - μb‖² + tr(Ca + Cb - 2·(Ca·Cb)^½), of features `a` (N, F) and `b` (M, F). Symmetric; features squared.

    Protocol: sample covariances (divided by N - 1), float64, all samples at once: 10,000 generated images against the
    10,000 test images, described by 128 features of minigan's classifier. The distance of finite sets is biased
    upward, about as 1/N, so that only distances of equally many samples compare. With another classifier's features
    it is another number: neither is the "FID" of colour photographs, which takes 2048 features of Inception-v3.

    How: with the triangular Ra of Xa = Qa·Ra (C = RᵀR, and C itself is never formed), the singular values of Ra·Rbᵀ
    are the roots of the eigenvalues of Ca·Cb. Their sum is the trace wanted, and with Ra·Rbᵀ = U·S·Vᵀ the whole is

        tr(Ca + Cb - 2·(Ca·Cb)^½) = ‖Ra - U·Vᵀ·Rb‖²,

    the least squares between Ra and any rotation of Rb (the orthogonal Procrustes problem). A sum of squares is never
    negative, loses no digits where the distance is small, and takes a singular covariance (constant samples, dead
    features) as it takes any other. Where SciPy's sqrtm of Ca·Cb has no such trouble, the two agree to ten digits.

    Raises ShapeError, DTypeError and DataError for what is not two finite arrays of equal F, and ArgumentError for
    fewer than F + 1 samples: the covariance of N samples has rank N - 1 at most, so that with fewer it says of some
    directions that nothing varies in them, and the distance measures the number of samples.
    Source: Fréchet, "Sur la distance de deux lois de probabilité", 1957; Dowson & Landau, "The Fréchet distance between
    multivariate normal distributions", 1982; as a metric of samples: Heusel et al., "GANs trained by a two time-scale
    update rule converge to a local Nash equilibrium", NeurIPS 2017.
    """
    a, b = features_of(2, "a covariance takes two", a=a, b=b)
    F = a.shape[1]
    for name, samples in (("a", a), ("b", b)):
        check_enough(name, samples, F + 1, f"the covariance of {F} features has rank {F} only with one sample more")
    (mean_a, root_a), (mean_b, root_b) = _moments(a), _moments(b)
    U, _, Vt = array_module(a).linalg.svd(matmul(root_a, root_b.T))
    return float(((mean_a - mean_b) ** 2).sum() + ((root_a - matmul(matmul(U, Vt), root_b)) ** 2).sum())


def _moments(samples: Array) -> tuple[Array, Array]:
    """The mean (F,) and the triangular R (F, F) with RᵀR the sample covariance."""
    mean = samples.mean(axis=0)
    centred = (samples - mean) / (len(samples) - 1) ** 0.5
    return mean, array_module(samples).linalg.qr(centred, mode="r")
