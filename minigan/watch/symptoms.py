"""The symptoms of a GAN that fails: questions to the last few readings of a run, what they mean, and what to try.

A reading is a dict of numbers that `alarms` takes of a run every so often; its names are given there. A remedy is made
of flags of `minigan train`, with the run's own numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from minigan.recipes import Recipe

STREAK = 5  # readings that an alarm must see in a row: what passes by itself is no failure
LONG_STREAK = 10  # … and copies, of which healthy runs draw many at first, in up to 4 readings in a row
PICTURES = 64  # of fixed latents, compared with as many real images

# Where a healthy run ends. The figures beside them are from the recipes on MNIST and glyphs, some with fewer features.
SURE = 0.99  # D is right about more of both kinds; the most seen over a streak: 0.965, 0.991 with fewer features
LEARNED = 0.005  # D's loss below this is nothing left to learn; the least seen over a streak: 0.08
VANISHED = 0.01  # G's gradient, as a part of what it used to be; the least seen: 0.25
FOOLED = 0.1  # D's mean probability of real is higher on fakes by more; healthy: lower on fakes, by 0.0065 at least
EXPLODED = 100  # a gradient or a loss, in times of what it used to be; the most seen over a streak: 7.7 …
LARGE = 100  # … if it is more than this; the most seen over a streak: 25
HUGE = 1e4  # whatever it used to be
ALIKE = 1e-4  # difference of D's mean answers to real images and fakes over a streak; the least seen: 0.0065
FAINT = 1e-4  # G's gradient through a D that answers all alike; the least seen over a streak: 0.08
ONE_PICTURE = 0.02  # distance between pictures, as a part of the real images'; the least seen over a streak: 0.06
COPY = 0.04  # distance to the nearest picture, relative to that between any two, in which a picture is a copy
COPIES = 0.25  # part of the pictures that are copies; the most seen over a long streak: 0
SURELY = 0.9  # probability of a digit, from which a picture is read as that digit
ONE_CLASS = 0.75  # part of the pictures read as the same digit; the most seen over a streak of such looks: 0.25
DIGITS = 0.95  # part of the real images surely read, if they are digits; digits: 0.98, upside down: 0.91, letters: 0.84
STILL = 1 / 255  # of the pixels' range: one grey level
UNMOVED = 1e-6  # change of the weights relative to them; healthy: 0.1
OUTSIDE = 0.01  # part of the pixels drawn …
MARGIN = 0.05  # … outside the pixels' range by more than this part of it
TINY = 1e-5  # a rate at which nothing happens; the recipes' are 2e-4 and more
FILLED = 0.5  # part of the range that the real images fill at least

NOT_A_NUMBER = "not a number"
SIZES = {"g_grad": "G's gradient", "d_grad": "D's gradient", "d_loss": "D's loss", "g_loss": "G's loss"}
Reading = dict[str, Any]


@dataclass(frozen=True)
class Alarm:
    """One way to fail: `saw` asks the readings so far and answers with the evidence, or None while all is well."""

    name: str
    means: str
    saw: Callable[[list[Reading]], str | None]
    remedy: Callable[[Recipe], str]


def usual(readings: list[Reading], name: str) -> float | None:
    """The median size of a value before the last streak, which one early outlier does not move; None if too few are."""
    earlier = [abs(r[name]) for r in readings[:-STREAK] if r[name] is not None]
    return median(earlier) if len(earlier) >= STREAK else None


# The questions -------------------------------------------------------------------------------------------------------


def explosion(readings: list[Reading]) -> str | None:
    """A gradient or a loss of either player has grown far beyond what it was, or beyond any size that teaches."""
    last = readings[-STREAK:]
    for name, what in SIZES.items():
        seen = [r[name] for r in last if r[name] is not None]  # G may have had no turn
        least = min(map(abs, seen), default=0.0)
        if len(last) < STREAK or least <= LARGE:
            continue
        before = usual(readings, name)
        if least > HUGE or (before is not None and least > EXPLODED * before):
            was = "" if before is None else f", where {before:.2g} was usual"
            return f"{what} is {seen[-1]:.2g}, and at least {least:.2g} in {len(seen)} looks{was}"
    return None


def d_too_strong(readings: list[Reading]) -> str | None:
    """D is right about everything, and G's gradient has vanished or D has nothing left to learn.

    Being right is no failure by itself: a D that finds a little wrong with every picture teaches G well.
    """
    last, now = readings[-STREAK:], readings[-1]
    if len(last) < STREAK or not now["g_steps"] or min(min(r["acc_real"], r["acc_fake"]) for r in last) < SURE:
        return None
    before = usual(readings, "g_grad") or 0.0
    faint = before > 0 and max(r["g_grad"] for r in last) <= VANISHED * before
    if not faint and max(r["d_loss"] for r in last) > LEARNED:
        return None
    return (
        f"D is right about {now['acc_real']:.1%} of the real images and {now['acc_fake']:.1%} of the fakes "
        f"(D(G(z)) {now['d_fake']:.2g}, d_loss {now['d_loss']:.2g}); G's gradient has norm {now['g_grad']:.2g}"
        + (f", where {before:.2g} was usual" if before else "")
    )


def g_too_strong(readings: list[Reading]) -> str | None:
    """D takes fakes for real more readily than real images.

    Its accuracies alone do not tell: one half is what a good G leads to, and a D that learns slowly may take all for
    real at first, the real images a little more so, and then teaches well.
    """
    last, now = readings[-STREAK:], readings[-1]
    if len(last) < STREAK or min(r["d_fake"] - r["d_real"] for r in last) < FOOLED:
        return None
    return (
        f"D gives the fakes a probability of {now['d_fake']:.2f} to be real and the real images {now['d_real']:.2f}; "
        f"it is right about {now['acc_fake']:.1%} of the fakes, and its gradient has norm {now['d_grad']:.2g}"
    )


def d_dead(readings: list[Reading]) -> str | None:
    """D answers alike whatever it is shown, and no gradient reaches G through it."""
    last, now = readings[-STREAK:], readings[-1]
    if len(last) < STREAK or not all(r["g_steps"] for r in last):
        return None
    if max(r["g_grad"] for r in last) > FAINT or max(abs(r["d_real"] - r["d_fake"]) for r in last) > ALIKE:
        return None
    return (
        f"D gives real images and fakes the same probability of {now['d_real']:.4f} to be real; the gradients of G and "
        f"D have norms {now['g_grad']:.2g} and {now['d_grad']:.2g}"
    )


def mode_collapse(readings: list[Reading]) -> str | None:
    """All pictures are one, or many are copies of each other.

    A copy lies near another picture relative to the mean distance, each in units of the real images'. Both are small
    while G still draws blots, all somewhat alike (and so they are for thousands of steps of a healthy MLP); their ratio
    is small only where pictures coincide.
    """
    last, long, now = readings[-STREAK:], readings[-LONG_STREAK:], readings[-1]
    one = len(last) == STREAK and max(r["spread"] for r in last) < ONE_PICTURE
    if not one and (len(long) < LONG_STREAK or min(r["copies"] - r["real_copies"] for r in long) < COPIES):
        return None
    return (
        f"{PICTURES} pictures of different latents lie {now['spread']:.1%} as far apart as {PICTURES} real images, and "
        f"{now['copies']:.0%} of them are copies of another (real images: {now['real_copies']:.0%})"
    )


def one_class(readings: list[Reading]) -> str | None:
    """Most pictures are read as one digit, by a classifier that reads the real images as many."""
    looks = [r["digits"] for r in readings if "digits" in r][-STREAK:]
    if len(looks) < STREAK or min(max(counts) for counts in looks) < ONE_CLASS * PICTURES:
        return None
    most = max(looks[-1])
    return (
        f"{most} of {PICTURES} pictures are read as a {looks[-1].index(most)}, and in each of {STREAK} looks at least "
        f"{ONE_CLASS:.0%} as one digit"
    )


def no_change(readings: list[Reading]) -> str | None:
    """G's pictures stay as they are, or D's weights do, although both are trained."""
    last, now = readings[-STREAK:], readings[-1]
    if len(last) < STREAK or not all(r["g_steps"] and "changed" in r for r in last):
        return None
    steps = now["step"] - last[0]["step"]
    if max(r["changed"] for r in last) < STILL:
        return (
            f"no pixel of {PICTURES} pictures of the same latents changes by a grey level in {steps:,} steps (by at "
            f"most {max(r['changed'] for r in last):.1%} of the range); G's gradient has norm {now['g_grad']:.2g}"
        )
    for network, letter in (("G", "g"), ("D", "d")):
        if max(r[f"{letter}_moved"] for r in last) < UNMOVED:
            return (
                f"{network}'s weights stand still (a change of {now[f'{letter}_moved']:.1g} of their size in {steps:,} "
                f"steps); its gradient has norm {now[f'{letter}_grad']:.2g}"
            )
    return None


def range_mismatch(readings: list[Reading]) -> str | None:
    """The real images leave half of the range empty, or G draws what no image can hold."""
    last, now = readings[-STREAK:], readings[-1]
    low, high = now["real_range"]
    if high - low < FILLED:
        return f"the real images fill only {low:.0%} to {high:.0%} of the range that G draws in"
    if len(last) < STREAK or min(r["outside"] for r in last) < OUTSIDE:
        return None
    return (
        f"{now['outside']:.1%} of the pixels that G draws lie outside the images' range, and they reach from "
        f"{now['range'][0]:.0%} to {now['range'][1]:.0%} of it (real images: {low:.0%} to {high:.0%})"
    )


# What to try: with the run's own numbers, and nothing that it does already -------------------------------------------


def weaken_d(recipe: Recipe) -> str:
    tips = [f"--lr-d {recipe.lr_d / 4:.2g} (now {recipe.lr_d:g})"]
    tips += ["--g-loss non_saturating (minimax's gradient vanishes here)"] * (recipe.g_loss == "minimax")
    drop = max(0.3, min(recipe.dropout + 0.2, 0.7))
    if drop > recipe.dropout:
        tips += [f"--dropout {drop:.2g} (now {recipe.dropout:g})"]
    tips += ["--labels 0.9 0.0"] * (recipe.loss_kind == "bce" and recipe.labels == (1.0, 0.0))
    tips += ["--d-steps 1"] * (recipe.d_steps > 1) + ["--beta1 0.5"] * (recipe.beta1 > 0.5)
    return ", ".join(tips)


def strengthen_d(recipe: Recipe) -> str:
    tips = [f"--lr-d {max(2e-4, 4 * recipe.lr_d):.2g} (now {recipe.lr_d:g})", f"--lr-g {recipe.lr_g / 4:.2g}"]
    tips += ["--dropout 0"] * (recipe.dropout > 0)
    return ", ".join([*tips, f"--d-steps {recipe.d_steps + 1}"] if recipe.update == "alternating" else tips)


def diversify(recipe: Recipe) -> str:
    packing = 2 * recipe.packing
    size = -(-2 * recipe.batch_size // packing) * packing
    tips = [f"--packing {packing} --batch-size {size} (D judges {packing} pictures at once)"]
    tips += [f"--lr-g {recipe.lr_g / 4:.2g} (now {recipe.lr_g:g})"]
    tips += ["--beta1 0.5"] * (recipe.beta1 > 0.5) + ["--g-loss non_saturating"] * (recipe.g_loss == "minimax")
    return ", ".join(tips)


def move(recipe: Recipe) -> str:
    """A rate that is tiny goes up, another one down: units die of a high one."""
    rates = (("--lr-g", recipe.lr_g), ("--lr-d", recipe.lr_d))
    tips = [f"{flag} {2e-4 if rate < TINY else rate / 4:.2g} (now {rate:g})" for flag, rate in rates]
    return ", ".join([*tips, "another --seed"])


def revive(recipe: Recipe) -> str:
    """Units die of a rate too high, or of dropout that leaves too few of them."""
    tips = [f"--lr-d {min(recipe.lr_d / 10, 2e-4):.2g} (now {recipe.lr_d:g})"] * (recipe.lr_d > TINY)
    tips += ["--dropout 0.3"] * (recipe.dropout > 0.5)
    return ", ".join([*tips, "another --seed"])


def match(recipe: Recipe) -> str:
    low, high = recipe.value_range
    return (
        f"pixels stretched to 0…255 in the files given as --dataset (they are scaled to {low:g}…{high:g} from there), "
        f"and a last layer of G that fills {low:g}…{high:g}; if it has none, --lr-g {recipe.lr_g / 4:.2g}"
    )


def slow_down(recipe: Recipe) -> str:
    """Rates below those at which a run has diverged."""
    return f"--lr-g {min(recipe.lr_g / 10, 2e-4):.2g} --lr-d {min(recipe.lr_d / 10, 2e-4):.2g}"


ALARMS = (
    Alarm(
        "explosion",
        "a rate too high: each step overshoots, the next gradient is larger, and in the end a sum overflows",
        explosion,
        slow_down,
    ),
    Alarm(
        "D too strong",
        "D tells all fakes, by something that G cannot reach, so that G's gradient leads nowhere and it stops learning",
        d_too_strong,
        weaken_d,
    ),
    Alarm(
        "G too strong",
        "D does not follow: G has found pictures that fool it, which need not look like anything",
        g_too_strong,
        strengthen_d,
    ),
    Alarm(
        "D dead",
        "a rate too high, of which D's units have died so that no input wakes them up, or its sigmoid is saturated",
        d_dead,
        revive,
    ),
    Alarm(
        "mode collapse",
        "G has stopped listening to its latents: it draws the few pictures that fool D best",
        mode_collapse,
        diversify,
    ),
    Alarm(
        "one class",
        "G has found the digit that fools D best, and draws it in all its variants",
        one_class,
        diversify,
    ),
    Alarm(
        "no change",
        "a rate near 0, units that no input wakes up any more (ReLU), a saturated last activation, or a D so sure that "
        "it leaves G no gradient",
        no_change,
        move,
    ),
    Alarm(
        "range mismatch",
        "D can tell fakes by brightness alone and teaches G nothing about shapes",
        range_mismatch,
        match,
    ),
)
