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

from minigan.backend import Array, RandomStream
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


def signals(network: Sequential, dy: Array, cache: NetworkCache) -> list[Array]:
    """[dx, …, dy]: the gradients of ⟨dy, y⟩ with respect to x, to the output of every layer, and so to y, which is dy.

    No gradient of a parameter is written. Raises as `Sequential.backward`.
    """
    network.check_cache(cache)
    found = [dy]
    for layer, own in zip(reversed(network.layers), reversed(cache.layers), strict=True):
        found.append(layer.input_grad(found[-1], own))
    return found[::-1]


def second_order(
    network: Sequential,
    u: Array,
    signals: list[Array],
    cache: NetworkCache,
    *,
    scale: Array | None = None,
    accumulate: bool = False,
) -> None:
    """Write the gradient of ⟨u, dx⟩, dx = signals[0], with respect to every parameter into the network's `grads`.

    u (N, *in_shape) and signals[-1] are held fixed. With `scale` (N,) that of Σₙ scaleₙ·⟨dyₙ, yₙ⟩, dy = signals[-1], is
    added, the loss's own gradient where its dy is scaleₙ·dyₙ: that needs no pass more, and in layers that are
    `bilinear` no product, since both gradients are made of the same dy. Only right where no example depends on the
    others of its batch. `accumulate` adds to the gradients.
    Raises as `Sequential.backward`, and SecondOrderError for a layer without second order, before anything is written.
    """
    network.check_cache(cache)
    for layer in network.layers:
        check_second_order(layer)
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


def joint_grads(layer: Layer, dx: Array, dy: Array, x: Array, scale: Array, grads: Grads) -> None:
    """What `tangent_grads` writes, and with it the gradient of Σₙ scaleₙ·⟨dyₙ, yₙ⟩: one product, with the same dy."""
    layer.param_grads(dy, dx + per_example(scale, x) * x, grads)
    if "b" in grads:
        grads["b"][...] = batch_sum(per_example(scale, dy) * dy)


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
