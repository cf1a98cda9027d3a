"""im2col and col2im: the windows that a kernel sees on an image, laid out as the rows of a matrix, and back.

With them a convolution is one matrix product, and its gradients are two more. The windows are tiled over the batch, so
that their copy stays in the processor's cache, and never grows with the batch.

N batch, H W height and width of the image, C its channels; KH KW the kernel, OH OW how many windows (`windows.py`).
Source: Chellapilla, Puri & Simard, "High performance convolutional neural networks for document processing", 2006.
"""

from __future__ import annotations

from minigan import backend
from minigan.backend import Array, array_module, looped, share
from minigan.nn.conv.windows import Pair, Windows, inside, surround

TILE_BYTES = 2**23  # of columns at a time: the best of 0.5 to 16 MiB (benchmarks/tiles.py)


def im2col(x: Array, windows: Windows) -> Array:
    """(N, H, W, C) → (N·OH·OW, KH·KW·C): each row is what one window sees. One strided view and one copy."""
    (KH, KW), _, _, (OH, OW) = windows
    N, C = x.shape[0], x.shape[3]
    xp = array_module(x)
    if C > 1:
        columns = xp.empty((N, OH, OW, KH, KW, C), dtype=x.dtype)
    else:  # in memory column by column, so that the copy runs along the rows of grey images, not of small kernels
        columns = xp.empty((KH, KW, C, N, OH, OW), dtype=x.dtype).transpose(3, 4, 5, 0, 1, 2)

    def copy(images: slice) -> None:
        columns[images] = sliding_view(surround(x[images], windows.pad), windows)

    share(copy, columns)
    return columns.reshape(N * OH * OW, KH * KW * C)


def sliding_view(x: Array, windows: Windows) -> Array:
    """The windows of a padded x as a view (N, OH, OW, KH, KW, C): no copy, though windows overlap."""
    (KH, KW), (SH, SW), _, (OH, OW) = windows
    N, C = x.shape[0], x.shape[3]
    n, h, w, c = x.strides
    return backend.as_strided(x, (N, OH, OW, KH, KW, C), (n, SH * h, SW * w, h, w, c))


def col2im(columns: Array, out: Array, windows: Windows) -> None:
    """(N·OH·OW, KH·KW·C) → out (N, H, W, C): each pixel is the sum of what stands for it in the windows that see it.

    The adjoint of im2col: Σ im2col(x)·c = Σ x·col2im(c) for all x and c. On NumPy one addition for each place in the
    kernel, each of which goes through the whole batch; a compiled loop makes the same sums image by image, but of one
    channel no faster.
    """
    (KH, KW), stride, ((top, _), (left, _)), (OH, OW) = windows
    columns = columns.reshape(-1, OH, OW, KH, KW, out.shape[3])
    out[...] = 0
    if out.shape[3] > 1 and looped(add_windows, (columns, out), *stride, top, left):
        return

    def add(images: slice) -> None:
        for i, (rows, OY) in enumerate(inside(windows, 0, out.shape[1])):
            for j, (cols, OX) in enumerate(inside(windows, 1, out.shape[2])):
                out[images, rows, cols] += columns[images, OY, OX, i, j]

    share(add, out)


def add_windows(columns: Array, out: Array, SH: int, SW: int, top: int, left: int) -> None:
    """out[n, p·SH + i - top, q·SW + j - left] += columns[n, p, q, i, j], wherever that is on the image."""
    N, OH, OW, KH, KW, C = columns.shape
    H, W = out.shape[1], out.shape[2]
    for n in range(N):
        for i in range(KH):
            for j in range(KW):
                for p in range(max(0, -((i - top) // SH)), min(OH, (H - 1 + top - i) // SH + 1)):
                    for q in range(max(0, -((j - left) // SW)), min(OW, (W - 1 + left - j) // SW + 1)):
                        for c in range(C):
                            out[n, p * SH + i - top, q * SW + j - left, c] += columns[n, p, q, i, j, c]


def correlate(x: Array, W: Array, windows: Windows, y: Array) -> None:
    """y = X W with X = im2col(x)."""
    K = W.shape[3]
    backend.matmul(im2col(x, windows), W.reshape(-1, K), out=y.reshape(-1, K))


def spread(y: Array, W: Array, windows: Windows, x: Array) -> None:
    """x = col2im(y Wᵀ)."""
    K = W.shape[3]
    col2im(backend.matmul(y.reshape(-1, K), W.reshape(-1, K).T), x, windows)


def correlate_all(x: Array, y: Array, windows: Windows, W: Array) -> None:
    """W = Xᵀ y."""
    K = W.shape[3]
    backend.matmul(im2col(x, windows).T, y.reshape(-1, K), out=W.reshape(-1, K))


def pays(size: Pair, windows: Windows, C: int, K: int, N: int) -> bool:
    """Always: it is the way for all kernels and strides."""
    return True


def images_at_once(size: Pair, windows: Windows, C: int, K: int, itemsize: int) -> int:
    """How many images have columns of TILE_BYTES; at least one."""
    (KH, KW), (OH, OW) = windows.kernel, windows.counts
    return max(1, TILE_BYTES // (OH * OW * KH * KW * C * itemsize))
