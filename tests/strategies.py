"""Hypothesis strategies: layers with inputs that suit them, dtypes, memory layouts, and arrays of ordinary numbers."""

import numpy as np
from cases import CASES
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigan import nn

dtypes = st.sampled_from([np.float32, np.float64])
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


#: Functions that give the same array laid out otherwise in memory.
layouts = st.sampled_from(
    [
        lambda a: a[::-1].copy()[::-1],
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: np.repeat(a, 3, axis=-1)[..., ::3],
        np.asfortranarray,
        lambda a: np.ascontiguousarray(a.T).T,
        read_only,
    ]
)


def arrays(shape, dtype):
    """Arrays of numbers between -8 and 8, with many zeros and repetitions among them, as Hypothesis likes."""
    elements = st.floats(-8, 8, width=32).map(dtype)
    return hnp.arrays(dtype, shape, elements=elements)


@st.composite
def layers(draw):
    """(make, in_shape) for any layer of the library, with hyper-parameters and an input shape of its own."""
    in_shape = draw(shapes)
    made = {
        "Dense": st.builds(lambda k, bias: lambda: nn.Dense(k, bias=bias), st.integers(1, 5), st.booleans()),
        "LeakyReLU": st.floats(0.01, 0.99).map(lambda slope: lambda: nn.LeakyReLU(slope=slope)),
        "BatchNorm": st.floats(1e-5, 1e-2).map(lambda eps: lambda: nn.BatchNorm(eps=eps)),
        "Dropout": st.floats(0, 0.9).map(lambda drop: lambda: nn.Dropout(drop=drop)),
        "Reshape": st.just(lambda: nn.Reshape(int(np.prod(in_shape)))),
    }
    name = draw(st.sampled_from(sorted(CASES)))
    if name in made:
        return draw(made[name]), in_shape
    if name in ("Conv2d", "ConvTranspose2d", "MaxPool2d", "Upsample2d", "UpsampleConv2d"):
        return draw(image_layers(name))
    if name == "SpectralNorm":
        make, in_shape = draw(image_layers("Conv2d") | st.tuples(made["Dense"], st.just(in_shape)))
        return lambda: nn.SpectralNorm(make()), in_shape
    if name == "Maxout":
        pieces = draw(st.integers(1, 4))
        return lambda: nn.Maxout(pieces), (*in_shape[:-1], in_shape[-1] * pieces)
    return getattr(nn, name), in_shape


@st.composite
def image_layers(draw, name):
    """(make, in_shape) of a layer for images: kernel, strides and padding of any form that fits."""
    H, W, C = draw(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)))
    kernel = draw(st.tuples(st.integers(1, H), st.integers(1, W)))
    if name == "Upsample2d":
        return lambda: nn.Upsample2d(kernel), (H, W, C)
    if name == "UpsampleConv2d":
        channels, bias = draw(st.integers(1, 3)), draw(st.booleans())
        scale = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        return lambda: nn.UpsampleConv2d(channels, kernel, scale=scale, bias=bias), (H, W, C)
    side = [st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)) for k in kernel]
    pad = st.just("same")
    if name == "ConvTranspose2d":  # whose padding takes from the output: leave at least the input's size
        pad |= st.just(0)
    else:
        pad |= st.tuples(*side)
    options = {"stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), "pad": draw(pad)}
    if name == "MaxPool2d":
        return lambda: nn.MaxPool2d(kernel, **options), (H, W, C)
    channels, bias = draw(st.integers(1, 3)), draw(st.booleans())
    return lambda: getattr(nn, name)(channels, kernel, bias=bias, **options), (H, W, C)
