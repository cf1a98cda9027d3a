"""Exercise: how the generator learns, through a discriminator that does not change.

z → G → x_fake → D → out → loss        and back: d_out → through D, to its input → dx_fake → through G → its gradients

x_fake, cache_G = G.forward(z, train=True, rng=rng)                a pass keeps what backward will need in a cache
value, d_out = loss.for_generator(out)                             G's loss, and how it changes with D's output
dx = network.backward(dy, cache, need_param_grads=…, need_input_grad=…)
G.update_buffers(cache_G)                                          BatchNorm's running statistics, once an update
g_optimizer.step()                                                 moves G along the gradients that it holds
"""

from minigan.gan import GeneratorResult  # noqa: F401 (for you)


def generator_step(G, D, g_optimizer, loss, z=None, *, fakes=None, rng=None):
    """One update of G. If fakes=(x_fake, cache_G) is given, learn from these; else make them from z.

    Return GeneratorResult(value, x_fake). D's parameters and D's gradients stay as they are.
    """
    raise NotImplementedError("forward through G and D, backward through D and G, one step")
