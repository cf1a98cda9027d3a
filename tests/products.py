"""The matrix products of a chain of Dense layers, as (M, K, N): n images, the layers' (inputs, outputs) in `sizes`."""

from itertools import pairwise


def sizes_of(recipe):
    """(inputs, outputs) of each Dense layer of G, and of D."""
    g, d = (recipe.latent_dim, *recipe.g_hidden, 784), (784, *recipe.d_hidden, 1)
    return list(pairwise(g)), list(pairwise(d))


def forward(sizes, n):
    return [(n, i, o) for i, o in sizes]


def for_weights(sizes, n):
    return [(i, n, o) for i, o in sizes]


def for_inputs(sizes, n):
    return [(n, o, i) for i, o in sizes]
