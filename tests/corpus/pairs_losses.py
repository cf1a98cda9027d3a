"""Pairs that end in a loss, or in one for each example, and cells of recurrent networks."""

import numpy as np

from corpus.case import draw, right_pair, sigmoid, softmax, through_softmax, wrong_pair

LABELS = np.array([0, 3, 1, 1, 2])


def cross_entropy(x, labels):
    y = softmax(x)
    return -np.log(y[np.arange(len(x)), labels]).mean(), (y, labels)


@right_pair("a mean over the batch; labels are handed through")
def softmax_cross_entropy():
    def backward(dy, cache):
        y, labels = cache
        return dy * (y - np.eye(4)[labels]) / len(y)

    return cross_entropy, backward, draw(5, 4), LABELS


@wrong_pair("smooths the labels in backward only, by 1e-3")
def softmax_cross_entropy_smoothed():
    def backward(dy, cache):
        y, labels = cache
        return dy * (y - (0.999 * np.eye(4)[labels] + 0.001 / 4)) / len(y)

    return cross_entropy, backward, draw(5, 4), LABELS


def margins(x, labels):
    m = np.maximum(x - x[np.arange(len(x)), labels, None] + 1, 0)
    m[np.arange(len(x)), labels] = 0
    return m.sum(axis=1), (m > 0, labels)


@right_pair("the right class loses what all of the others gain")
def multiclass_hinge():
    def backward(dy, cache):
        over, labels = cache
        dx = over * dy[:, None]
        dx[np.arange(len(dx)), labels] = -over.sum(axis=1) * dy
        return dx

    return margins, backward, draw(5, 4), LABELS


@wrong_pair("the right class loses once, however many others are over the margin")
def multiclass_hinge_once():
    def backward(dy, cache):
        over, labels = cache
        dx = over * dy[:, None]
        dx[np.arange(len(dx)), labels] = -(over.any(axis=1) * dy)
        return dx

    return margins, backward, draw(5, 4), LABELS


def huber_forward(x, target):
    r = x - target
    return np.where(np.abs(r) < 0.7, r * r / 2, 0.7 * (np.abs(r) - 0.35)).sum(axis=-1), r


@right_pair("quadratic near, straight far away")
def huber():
    def backward(dy, r):
        d = dy[..., None] * np.clip(r, -0.7, 0.7)
        return d, -d

    return huber_forward, backward, draw(5, 4), draw(5, 4, seed=1)


@wrong_pair("the straight part has slope 1, not δ")
def huber_slope():
    def backward(dy, r):
        d = dy[..., None] * np.where(np.abs(r) < 0.7, r, np.sign(r))
        return d, -d

    return huber_forward, backward, draw(5, 4), draw(5, 4, seed=1)


def divergence(p, q):
    return (p * np.log(p / q)).sum(axis=-1), (p, q)


@wrong_pair("the + 1 in the slope at p is missing")
def kullback_leibler():
    def backward(dy, cache):
        p, q = cache
        return dy[:, None] * np.log(p / q), -dy[:, None] * p / q

    return divergence, backward, softmax(draw(5, 4)), softmax(draw(5, 4, seed=1))


def weighted_bce(x, target):
    return (3 * target * np.logaddexp(0, -x) + (1 - target) * np.logaddexp(0, x)).mean(), (x, target)


@right_pair("positives weigh three times; the target has a gradient as well")
def bce_with_logits():
    def backward(dy, cache):
        x, t = cache
        dx = -3 * t * sigmoid(-x) + (1 - t) * sigmoid(x)
        return dy * dx / x.size, dy * (3 * np.logaddexp(0, -x) - np.logaddexp(0, x)) / x.size

    return weighted_bce, backward, draw(6, 2), sigmoid(draw(6, 2, seed=1))


@wrong_pair("the positives weigh three times in the straight part only: right where t is 0")
def bce_with_logits_weight():
    def backward(dy, cache):
        x, t = cache
        dx = sigmoid(x) * (1 - t) - 3 * t + t * sigmoid(x)
        return dy * dx / x.size, dy * (3 * np.logaddexp(0, -x) - np.logaddexp(0, x)) / x.size

    return weighted_bce, backward, draw(6, 2), sigmoid(draw(6, 2, seed=1))


def triplets(a, p, n):
    near, far = a - p, a - n
    over = (near**2).sum(axis=1) - (far**2).sum(axis=1) + 1
    return np.maximum(over, 0), (near, far, over > 0)


@right_pair("the anchor has a part in both distances")
def triplet():
    def backward(dy, cache):
        near, far, active = cache
        d = 2 * (dy * active)[:, None]
        return d * (near - far), -d * near, d * far

    return triplets, backward, draw(6, 3), draw(6, 3, seed=1), draw(6, 3, seed=2)


@wrong_pair("the margin's mask is left out of the negative's gradient")
def triplet_mask():
    def backward(dy, cache):
        near, far, active = cache
        d = 2 * (dy * active)[:, None]
        return d * (near - far), -d * near, 2 * dy[:, None] * far

    return triplets, backward, draw(6, 3), draw(6, 3, seed=1), draw(6, 3, seed=2)


def contrast(z):
    s = z @ z.T
    np.fill_diagonal(s, -np.inf)
    partner = np.arange(len(z)) ^ 1
    y = softmax(s)
    return -np.log(y[np.arange(len(z)), partner]), (z, y, np.eye(len(z))[partner])


@right_pair("each row is query and key: two ways lead to z")
def contrastive():
    def backward(dy, cache):
        z, y, partner = cache
        ds = dy[:, None] * (y - partner)
        return ds @ z + ds.T @ z

    return contrast, backward, draw(6, 3)


@wrong_pair("twice the way through the queries, as if the similarities' gradient were symmetrical")
def contrastive_keys():
    def backward(dy, cache):
        z, y, partner = cache
        return 2 * (dy[:, None] * (y - partner)) @ z

    return contrast, backward, draw(6, 3)


def lstm(a, c):
    """(N, 4C) of input, forget and output gate and candidate, and the state (N, C): the new h and c side by side."""
    i, f, o, g = (gate(part) for gate, part in zip((sigmoid,) * 3 + (np.tanh,), np.split(a, 4, axis=1), strict=True))
    new = f * c + i * g
    return np.concatenate([o * np.tanh(new), new], axis=1), (i, f, o, g, c, new)


@right_pair("the new state has a gradient of its own and one by way of the output")
def lstm_cell():
    def backward(dy, cache):
        i, f, o, g, c, new = cache
        dh, dnew = np.split(dy, 2, axis=1)
        dnew = dnew + dh * o * (1 - np.tanh(new) ** 2)
        da = [dnew * g * i * (1 - i), dnew * c * f * (1 - f), dh * np.tanh(new) * o * (1 - o), dnew * i * (1 - g * g)]
        return np.concatenate(da, axis=1), dnew * f

    return lstm, backward, draw(4, 12), draw(4, 3, seed=1)


@wrong_pair("the state before gets the input gate's share, not the forget gate's")
def lstm_cell_gate():
    _, right, a, c = lstm_cell()

    def backward(dy, cache):
        i, f, *_ = cache
        da, dc = right(dy, cache)
        return da, dc / f * i

    return lstm, backward, a, c


def attention(q, k, v):
    a = softmax(np.einsum("bhic,bhjc->bhij", q, k))
    return np.einsum("bhij,bhjc->bhic", a, v), (q, k, v, a)


@right_pair("heads beside the batch, other lengths of queries and keys")
def einsum_attention():
    def backward(dy, cache):
        q, k, v, a = cache
        ds = through_softmax(np.einsum("bhic,bhjc->bhij", dy, v), a)
        dq, dk = np.einsum("bhij,bhjc->bhic", ds, k), np.einsum("bhij,bhic->bhjc", ds, q)
        return dq, dk, np.einsum("bhij,bhic->bhjc", a, dy)

    return attention, backward, draw(2, 2, 3, 2), draw(2, 2, 4, 2, seed=1), draw(2, 2, 4, 2, seed=2)


@wrong_pair("batch and head are swapped in dv, and there are as many of either")
def einsum_attention_heads():
    _, right, *arrays = einsum_attention()

    def backward(dy, cache):
        dq, dk, _ = right(dy, cache)
        return dq, dk, np.einsum("bhij,hbic->bhjc", cache[3], dy)

    return attention, backward, *arrays
