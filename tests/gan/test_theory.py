"""What is proved about GANs, found in minigan's own steps: the best discriminator, and the GAN that does not converge.

The two demos are the lessons; they are run here in their quick form, and their functions put to the test.
"""

import importlib.util
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from minigan.backend import RandomStream
from minigan.gan import GANLoss, Penalty, discriminator_step, generator_step
from minigan.gradcheck.games import Still
from minigan.nn import Dense, LeakyReLU, Sequential, sigmoid
from minigan.optim import SGD, Adam

DEMOS = Path(__file__).parents[2] / "demos"
LOG_4 = np.log(4)


def run(name):
    """The demo as a module, after a quick run without windows."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    spec = importlib.util.spec_from_file_location(name, DEMOS / f"{name}.py")
    demo = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [spec.origin, "--quick"])
        patch.setattr(plt, "show", lambda: plt.close("all"))
        spec.loader.exec_module(demo)
    assert demo.QUICK
    return demo


@pytest.fixture(scope="module")
def best():
    return run("plot_optimal_discriminator")


@pytest.fixture(scope="module")
def dirac():
    return run("plot_dirac_gan")


# The best discriminator ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-1.0, *(pytest.param(x, marks=pytest.mark.slow) for x in (-3.0, 0.5))])
def test_a_trained_discriminator_is_the_ratio_of_the_densities_and_its_loss_their_divergence(best, shift):
    D = best.train_discriminator(shift, steps=2_000)
    assert best.largest_error(D, shift) < 0.01  # where there is mass; measured: 0.006 and less
    highest = best.value(lambda x: best.optimal_logit(x, shift), shift)
    np.testing.assert_allclose(best.value(D, shift), -LOG_4 + 2 * best.jensen_shannon(shift), rtol=0, atol=1e-3)
    assert best.value(D, shift) <= highest + 1e-6  # none is better than D*; 1e-6 for the mean over 20,000 numbers


@pytest.mark.parametrize("shift", [-2.0, 0.0, 0.3, 1.0, 3.0])
def test_the_loss_of_the_optimal_discriminator_is_minus_its_value_by_integrals(best, shift):
    by_loss = best.value(lambda x: best.optimal_logit(x, shift), shift)
    np.testing.assert_allclose(by_loss, -LOG_4 + 2 * best.jensen_shannon(shift), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [lambda t: t + 0.1, lambda t: 1.1 * t, lambda t: 0 * t, lambda t: t + 0.1 * np.sin(t)]
)
def test_every_other_discriminator_has_a_higher_loss(best, wrong):
    highest = best.value(lambda x: best.optimal_logit(x, 1.0), 1.0)
    assert best.value(lambda x: wrong(best.optimal_logit(x, 1.0)), 1.0) < highest - 1e-4


def test_the_value_is_lowest_where_the_densities_coincide_and_nowhere_else(best):
    shifts = np.linspace(-6, 6, 49)
    divergence = np.array([best.jensen_shannon(s) for s in shifts])
    assert divergence[24] == 0 == shifts[24]
    assert (np.diff(divergence[24:]) > 0).all()
    np.testing.assert_allclose(divergence, divergence[::-1], rtol=1e-9, atol=1e-15)
    assert divergence.max() < np.log(2)
    assert min(best.VALUES) == best.VALUES[best.TRAINED_AT.index(0.0)]
    np.testing.assert_allclose(min(best.VALUES), -LOG_4, rtol=0, atol=1e-6)


def test_the_divergence_is_that_of_two_gaussians_where_a_formula_is_known(best):
    def gaussian(mean, std):
        return np.exp(-0.5 * ((best.GRID - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))

    got = best.kullback_leibler(gaussian(0.3, 0.8), gaussian(-0.5, 1.1))
    exact = np.log(1.1 / 0.8) + (0.8**2 + 0.8**2) / (2 * 1.1**2) - 0.5
    np.testing.assert_allclose(got, exact, rtol=1e-10)


def test_the_quantiles_have_the_mean_and_the_variance_of_the_density(best):
    weights, centres = np.array(best.WEIGHTS), np.array(best.CENTRES)
    mean = weights @ centres
    np.testing.assert_allclose(np.trapezoid(best.density(best.GRID), best.GRID), 1, rtol=1e-12)
    np.testing.assert_allclose(best.MANY.mean(), mean, rtol=1e-5)
    np.testing.assert_allclose(best.MANY.var(), weights @ centres**2 + best.WIDTH**2 - mean**2, rtol=1e-4)


# The Dirac-GAN -------------------------------------------------------------------------------------------------------


def f(t):
    return -np.log1p(np.exp(-t))


@pytest.mark.parametrize("weights", [(0.7, -1.3), (-2.0, -0.4), (0.0, 3.0)])
def test_the_players_losses_are_the_papers_value_and_its_opposite(dirac, weights):
    theta, psi = weights
    G, D = dirac.weight(theta), dirac.weight(psi)
    d = discriminator_step(G, D, Still(D), dirac.LOSS, dirac.REAL, dirac.LATENT)
    g = generator_step(G, D, Still(G), dirac.LOSS, dirac.LATENT)
    np.testing.assert_allclose(-d.loss, f(theta * psi) + f(0), rtol=1e-14)
    np.testing.assert_allclose(g.loss, f(theta * psi), rtol=1e-14)


@pytest.mark.parametrize("h", [0.01, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("start", [(1.0, 0.0), (-0.4, 2.0), (1e-6, 1e-6)])
def test_a_simultaneous_step_multiplies_the_distance_by_exactly_the_stated_factor(dirac, h, start):
    path = dirac.trajectory(dirac.simultaneous, h, start=start, steps=60)
    r, slope = np.hypot(*path.T), 1 / (1 + np.exp(path[:, 0] * path[:, 1]))  # f'(θψ)
    np.testing.assert_allclose(r[1:] / r[:-1], np.sqrt(1 + h**2 * slope[:-1] ** 2), rtol=1e-12)
    np.testing.assert_allclose(dirac.factor(path, h), np.sqrt(1 + h**2 * slope**2), rtol=1e-12)
    assert (r[1:] >= r[:-1] * (1 - 1e-12)).all()  # never nearer; far out f' is 0 to all digits, and the points rest


@pytest.mark.parametrize("h", [0.1, 1.0, 4.0])
def test_the_factor_at_the_equilibrium_is_that_of_slope_one_half(dirac, h):
    r = dirac.distance(dirac.trajectory(dirac.simultaneous, h, start=(3e-8, -4e-8), steps=1))
    np.testing.assert_allclose(r[1] / r[0], np.sqrt(1 + h**2 / 4), rtol=1e-12)


def test_with_the_usual_labels_the_game_is_its_mirror_image(dirac, monkeypatch):
    path = {}
    for labels, sign in (((0.0, 1.0), 1), ((1.0, 0.0), -1)):
        monkeypatch.setattr(dirac, "LOSS", GANLoss("minimax", "logit", labels=labels))
        for step in (dirac.simultaneous, dirac.alternating):
            path[step, sign] = dirac.trajectory(step, 0.7, start=(0.5, sign * 0.8), steps=30) * (1, sign)
    for step in (dirac.simultaneous, dirac.alternating):
        np.testing.assert_allclose(path[step, 1], path[step, -1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("h", [0.5, 2.0, 3.9, 4.1, 6.0])
def test_the_alternating_step_is_the_stated_matrix_near_the_equilibrium(dirac, h):
    tiny, c = 1e-7, h / 2
    starts = (tiny, 0.0), (0.0, tiny)
    matrix = np.stack([dirac.trajectory(dirac.alternating, h, start=s, steps=1)[1] / tiny for s in starts], axis=1)
    np.testing.assert_allclose(matrix, [[1 - c**2, -c], [c, 1]], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(np.linalg.det(matrix), 1, rtol=1e-10)
    assert (abs(np.trace(matrix)) < 2) == (h < 4)
    np.testing.assert_allclose(max(abs(np.linalg.eigvals(matrix))), dirac.growth(h), rtol=1e-8)


@pytest.mark.parametrize(
    ("h", "steps"),
    [(0.5, 1_000), (3.9, 1_000), *(pytest.param(h, 5_000, marks=pytest.mark.slow) for h in (0.5, 2.0, 3.9))],
)
def test_alternating_steps_below_4_neither_leave_nor_arrive(dirac, h, steps):
    path = dirac.trajectory(dirac.alternating, h, start=(1e-6, 0.0), steps=steps) / 1e-6
    r, (near, far) = dirac.distance(path), dirac.limits(h)
    assert r.max() < far * (1 + 1e-6)
    assert r.min() > near * (1 - 1e-6)
    theta, psi = path.T
    np.testing.assert_allclose(theta**2 + psi**2 + h / 2 * theta * psi, 1, rtol=1e-6)  # Q, at every step


def test_alternating_steps_above_4_leave_at_the_rate_of_the_larger_eigenvalue(dirac):
    r = dirac.distance(dirac.trajectory(dirac.alternating, 4.1, start=(1e-6, 0.0), steps=25)) / 1e-6
    np.testing.assert_allclose(r[11:21] / r[10:20], dirac.growth(4.1), rtol=1e-3)
    assert r[25] > 1e5


def test_an_alternating_generator_sees_the_new_discriminator_and_a_simultaneous_one_the_old(dirac):
    theta, psi, h = 0.6, -0.3, 0.5
    new_psi = psi + h * sigmoid(np.array(-theta * psi)) * theta
    for step, seen in ((dirac.alternating, new_psi), (dirac.simultaneous, psi)):
        G, D = dirac.weight(theta), dirac.weight(psi)
        step(G, D, SGD(G, lr=h), SGD(D, lr=h))
        np.testing.assert_allclose(D.params, [new_psi], rtol=1e-14)
        np.testing.assert_allclose(G.params, [theta - h * sigmoid(np.array(-theta * seen)) * seen], rtol=1e-14)


# What bends the circles inwards: R1 -----------------------------------------------------------------------------------


def penalised(dirac, weight):
    """The alternating step of a D that pays weight/2·ψ², its squared gradient at the real number."""

    def step(G, D, g_optimizer, d_optimizer):
        fine = Penalty("r1", weight)
        discriminator_step(G, D, d_optimizer, dirac.LOSS, dirac.REAL, dirac.LATENT, penalty=fine)
        generator_step(G, D, g_optimizer, dirac.LOSS, dirac.LATENT)

    return step


def eigenvalues(h, weight):
    """Of the linearised step: with c = h/2, ψ' = (1 - h·weight)·ψ + c·θ, and θ' = θ - c·ψ'."""
    c, kept = h / 2, 1 - h * weight
    return np.linalg.eigvals(np.array([[1 - c**2, -c * kept], [c, kept]]))


@pytest.mark.parametrize(("h", "weight"), [(0.5, 0.3), (0.5, 1.0), (0.1, 0.5), (0.1, 3.0)])
def test_with_r1_the_dirac_gan_arrives_at_the_rate_of_its_eigenvalues(dirac, h, weight):
    found = eigenvalues(h, weight)
    rate = abs(found).max()
    path = dirac.trajectory(penalised(dirac, weight), h, start=(1e-6, 0.0), steps=200) / 1e-6
    np.testing.assert_allclose(np.prod(found), 1 - h * weight, rtol=1e-12)
    if abs(found.imag).max() > 0:  # in, and round and round: the determinant is the square of the rate
        np.testing.assert_allclose(rate, np.sqrt(1 - h * weight), rtol=1e-12)
    # Over a turn the distance swings about the rate; so from one stretch to another, by what is left of it in between.
    r = dirac.distance(path)
    turns = r[150:].max() / r[50:101].max()
    np.testing.assert_allclose(turns ** (1 / 100), rate, rtol=2e-3)
    around = dirac.distance(dirac.trajectory(dirac.alternating, h, start=(1e-6, 0.0), steps=200)) / 1e-6
    assert around[150:].max() > 0.9, "without the penalty it circles"


@pytest.mark.parametrize("weight", [0.3, 0.8, 3.0])
def test_for_small_steps_that_rate_is_the_papers(weight):
    h = 1e-4  # the paper's flow: -w/2 ± √(w²/4 - f'(0)²), with f'(0) = 1/2
    flow = -weight / 2 + np.array([1, -1]) * np.emath.sqrt(weight**2 / 4 - 0.25)
    np.testing.assert_allclose(
        np.sort_complex((eigenvalues(h, weight) - 1) / h), np.sort_complex(flow + 0j), rtol=0, atol=1e-3
    )


def test_with_r1_the_dirac_gan_arrives_from_far_away_where_without_it_does_not(dirac):
    ways = penalised(dirac, 1.0), dirac.alternating
    ends = [dirac.distance(dirac.trajectory(step, 0.5, start=(1.0, 1.0), steps=200))[-1] for step in ways]
    assert ends[0] < 1e-6
    assert ends[1] > 0.5


# How far apart WGAN-GP says that two points are -----------------------------------------------------------------------


def distance_told(layers, d, weight, *, steps, optimizer):
    """What a critic says of a real point at distance d from the fake, once it is trained: D(real) - D(fake)."""
    real = np.tile([[0.6 * d, 0.8 * d]], (8, 1))
    G, D = (
        Sequential(of, (2,), rng=np.random.default_rng(3), dtype=np.float64) for of in ([Dense(2, bias=False)], layers)
    )
    G.params = 0.0  # all fakes are at 0
    loss, fine, optimizer = GANLoss(output="logit", kind="wasserstein"), Penalty("wgan-gp", weight), optimizer(D)
    for step in range(steps):
        drawn = {"penalty_rng": RandomStream(0, "penalty", step)}
        discriminator_step(G, D, optimizer, loss, real, np.zeros((8, 2)), penalty=fine, **drawn)
    return float((D(real) - D(0 * real))[0, 0])


@pytest.mark.parametrize(
    ("d", "weight", "told"), [(1.0, 10.0, 1.05), (1.0, 1.0, 1.5), (1.0, 0.1, 6.0), (2.0, 10.0, 2.2), (0.5, 1.0, 0.625)]
)
def test_wgan_gp_overstates_the_distance_of_two_points_by_its_square_over_twice_the_weight(d, weight, told):
    assert told == pytest.approx(d + d**2 / (2 * weight))
    found = distance_told([Dense(1)], d, weight, steps=300, optimizer=lambda D: SGD(D, lr=0.8 / weight))
    np.testing.assert_allclose(found, told, rtol=1e-6)


def test_a_critic_that_may_bend_overstates_it_no_less():
    layers = [Dense(8), LeakyReLU(slope=0.2), Dense(1)]
    found = distance_told(layers, 1.0, 10.0, steps=600, optimizer=lambda D: Adam(D, lr=0.01))
    np.testing.assert_allclose(found, 1.05, rtol=5e-3)
