"""What the checker says of a step whose penalty has too little of a gradient."""

import numpy as np
import pytest

from minigan import gan
from minigan.exercises import plugged_in
from minigan.gan import Feeding, GANLoss, Penalty
from minigan.gan.penalty import penalise
from minigan.gradcheck import check_discriminator_step
from minigan.nn import Dense, Sequential, Tanh

rng = np.random.default_rng(0)
REAL, Z = np.tanh(rng.standard_normal((4, 3))), rng.standard_normal((4, 2))


def report(share, penalty, *, packing=1):
    """The checker's of a step in which only a share of the penalty's gradient is there."""
    G = Sequential([Dense(3), Tanh()], (2,), rng=np.random.default_rng(1), dtype=np.float64)
    D = Sequential(
        [Dense(2, bias=False), Tanh(), Dense(1, bias=False)],
        (3 * packing,),
        rng=np.random.default_rng(2),
        dtype=np.float64,
    )

    def wrong(D, penalty, cache, *, d_out=None):
        before = D.grads.copy()
        value = penalise(D, penalty, cache, d_out=d_out)
        whole = D.grads.copy()
        D.grads[...] = before
        if d_out is not None:
            D.backward(d_out, cache, accumulate=True)
        D.grads[...] = share * whole + (1 - share) * D.grads
        return value

    with plugged_in(penalise=wrong):
        loss, feeding = GANLoss(output="logit"), Feeding(packing=packing)
        return check_discriminator_step(
            G, D, loss, REAL, Z, penalty=penalty, feeding=feeding, step=gan.discriminator_step
        )


@pytest.mark.parametrize("kind", ["r1", "wgan-gp"])
def test_a_penalty_without_its_gradient_is_named(kind):
    assert "the gradient of the penalty is left out" in str(report(0, Penalty(kind))).replace("\n ", "")


@pytest.mark.parametrize(
    ("share", "penalty", "packing", "said"),
    [
        (1 / 8, Penalty("r1", every=8), 1, "only 1/8 of the penalty's gradient is in it: it is not taken `every`"),
        (1 / 4, Penalty("dragan"), 1, "only 1/4 of the penalty's gradient is in it: its mean over 4 points"),
        (1 / 2, Penalty("r2"), 2, "only 1/2 of the penalty's gradient is in it: its mean over 2 points"),
    ],
)
def test_a_penalty_with_too_little_of_its_gradient_is_named_by_the_share(share, penalty, packing, said):
    assert said in " ".join(str(report(share, penalty, packing=packing)).split())


def test_of_a_penalty_with_its_whole_gradient_nothing_is_said():
    assert report(1, Penalty("wgan-gp", every=4))
