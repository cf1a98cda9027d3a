"""The gradient of a gradient: what a penalty on ∇ₓD(x) says of D's weights, by one more pass forward.

g = ∂⟨dy, y⟩/∂x is D's gradient with respect to its input, for a fixed dy, such as ones. A penalty P(g) has the gradient
u = ∂P/∂g with respect to g, and with u held fixed P moves with the weights as the number ⟨u, g⟩ does. Now

    ⟨u, g⟩ = ⟨u, Jᵀ dy⟩ = ⟨J u, dy⟩,

the change of the output along u: so it takes one tangent pass, in which each layer hands on how its output moves, and
for each layer the gradient of ⟨its dy, how its output moves⟩, where its dy is the one of the pass that made g. A layer
whose slope changes with its input (Tanh, BatchNorm) has a say through that input too, which goes on backwards as any
gradient does.
Source: Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 1994.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from minigan.backend import Array, Column, Elementwise, RandomStream
from minigan.backend.products import batch_sum
from minigan.errors import SecondOrderError
from minigan.nn.layer import NO_TANGENT, NO_TANGENT_GRADS, Grads, Layer, per_example
from minigan.nn.network import NetworkCache, Sequential


def unread_pass(network: Sequential, x: Array, *, rng: RandomStream | None = None) -> NetworkCache:
    """The cache of a pass of training whose output nobody reads: a last layer that is `bilinear` takes no product.

    For x of a pass before, (N, *in_shape): it is not looked at.
    """
    *layers, last = network.layers
    if not last.bilinear:
        return network.forward(x, train=True, rng=rng)[1]
    caches = []
    for layer in layers:
        x, cache = layer.forward(x, train=True, rng=rng)
        caches.append(cache)
    return NetworkCache(network, network.version, (len(x), *network.out_shape), [*caches, x])


def signals(network: Sequential, dy: Array, cache: NetworkCache, *, examples: slice | None = None) -> list[Array]:
    """[dx, …, dy]: the gradients of ⟨dy, y⟩ with respect to x, to the output of every layer, and so to y, which is dy.

    No gradient of a parameter is written. With `examples` dx is of these alone, of a network that is `divisible`.
    Raises as `Sequential.backward`.
    """
    network.check_cache(cache)
    found = [dy]
    for layer, own in zip(network.layers[:0:-1], cache.layers[:0:-1], strict=True):
        found.append(layer.input_grad(found[-1], own))
    first, own, dy = network.layers[0], cache.layers[0], found[-1]
    if examples is not None:
        own, dy = first.cache_of(own, examples), dy[examples]
    return [first.input_grad(dy, own), *found[::-1]]


def second_order(
    network: Sequential,
    u: Array,
    signals: list[Array],
    cache: NetworkCache,
    *,
    scale: Array | None = None,
    examples: slice | None = None,
    accumulate: bool = False,
) -> None:
    """Write the gradient of ⟨u, dx⟩, dx = signals[0], with respect to every parameter into the network's `grads`.

    u (N, *in_shape) and signals[-1] are held fixed. With `scale` (N,) that of Σₙ scaleₙ·⟨dyₙ, yₙ⟩, dy = signals[-1], is
    added, the loss's own gradient where its dy is scaleₙ·dyₙ: that needs no pass more, and in layers that are
    `bilinear` no product, since both gradients are made of the same dy. Only right where no example depends on the
    others of its batch. `accumulate` adds to the gradients. With `examples`, of a network that is `divisible`, u and dx
    are of these alone, scale and the rest of the whole batch; then nothing is added to.
    Raises as `Sequential.backward`, and SecondOrderError for a layer without second order, before anything is written.
    """
    network.check_cache(cache)
    for layer in network.layers:
        check_second_order(layer)
    if examples is not None and scale is not None:
        on_the_way_up(network, u, signals, cache, scale, examples)
        return
    along = [u]  # how the input of each layer moves
    for layer, own in zip(network.layers[:-1], cache.layers, strict=False):
        along.append(layer.tangent(along[-1], own))
    bent: Array | None = None  # the gradient at the layer's output by way of the slopes of the layers behind it
    for i in reversed(range(len(network.layers))):
        layer, own, dx, dy = network.layers[i], cache.layers[i], along[i], signals[i + 1]
        if scale is not None and bent is None and layer.bilinear:
            layer.write_grads(partial(joint_grads, layer, dx, dy, own, scale), accumulate=accumulate)
            continue
        curvature: list[Array | None] = []
        answer = partial(layer.tangent_grads, dx, dy, own)
        layer.write_grads(partial(collect, curvature, answer), accumulate=accumulate)
        upstream = [per_example(scale, dy) * dy] if scale is not None else []
        upstream += [bent] if bent is not None else []
        if upstream:
            layer.backward(sum(upstream[1:], upstream[0]), own, need_input_grad=False, accumulate=True)
        bent = layer.input_grad(bent, own) if bent is not None and i else None
        if curvature[0] is not None:
            bent = curvature[0] if bent is None else bent + curvature[0]


def divisible(network: Sequential) -> bool:
    """Whether `second_order` can take some `examples`: no slope bends, though it may jump, and caches can be cut."""
    return all(
        layer.each_alone and (layer.bilinear or (layer.straight and type(layer).cache_of is not Layer.cache_of))
        for layer in network.layers
    )


def on_the_way_up(
    network: Sequential, u: Array, signals: list[Array], cache: NetworkCache, scale: Array, examples: slice
) -> None:
    """What `second_order` writes where no slope bends: each layer's gradient as soon as its input's motion is known."""
    dx, last = u, network.layers[-1]
    for layer, own, dy in zip(network.layers, cache.layers, signals[1:], strict=True):
        if layer.bilinear:
            layer.write_grads(partial(joint_grads, layer, dx, dy, own, scale, examples=examples), accumulate=False)
        if layer is not last:
            dx = layer.tangent(dx, layer.cache_of(own, examples))


def joint_grads(
    layer: Layer, dx: Array, dy: Array, x: Array, scale: Array, grads: Grads, *, examples: slice = slice(None)
) -> None:
    """What `tangent_grads` writes, and with it the gradient of Σₙ scaleₙ·⟨dyₙ, yₙ⟩: one product, with the same dy.

    dx is of these `examples` alone, and as if 0 for the others.
    """
    N = len(x)
    both = times_scale(x.reshape(N, -1), scale[:, None])
    both[examples] += dx.reshape(len(dx), -1)
    layer.param_grads(dy, both.reshape(x.shape), grads)
    if "b" in grads:
        grads["b"][...] = batch_sum((scale @ dy.reshape(N, -1)).reshape(dy.shape[1:]))


@Elementwise
def times_scale(x: Array, scale: Column) -> Array:
    return scale * x


def collect(into: list[Any], answer: Callable[[Grads], Any], grads: Grads) -> None:
    """Ask with these gradients, and keep what is returned beside what is written."""
    into.append(answer(grads))


def check_second_order(layer: Layer) -> None:
    """Raise SecondOrderError, as its methods would, unless the layer answers the two questions."""
    kind = type(layer)
    if kind.tangent is Layer.tangent:
        raise SecondOrderError(NO_TANGENT.format(kind.__name__))
    if kind.tangent_grads is Layer.tangent_grads and not (layer.straight or layer.bilinear):
        raise SecondOrderError(NO_TANGENT_GRADS.format(kind.__name__))
