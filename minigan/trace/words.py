"""What a document says of a step and of its passes, in words."""

from __future__ import annotations

import math

from minigan.gan.penalty import Penalty
from minigan.trace.record import PassTrace, StepTrace

POINTS = {
    "wgan-gp": "points between real images and fakes",
    "wgan-gp-one-sided": "points between real images and fakes",
    "dragan": "points around the real images",
    "r1": "real images",
    "r2": "fakes",
}


def step_text(step: StepTrace) -> str:
    """What happens in a player's step."""
    if step.player == "D":
        passes = {part.place for part in step.loss.parts}
        both = "as one batch" if len(passes) == 1 else "as two batches"
        return f"G draws fakes; D judges real images and fakes, {both}; its loss goes back through D, which learns."
    return (
        "D judges G's fakes; how its answer changes with them goes back through D, which stays as it is, and on "
        "through G, which learns."
    )


def pass_title(step: StepTrace, place: int, penalty: Penalty | None) -> str:
    """Whose pass it is, over what, and over how much of it."""
    made = step.passes[place]
    N = len(made.out)
    if made.network == "G":
        return f"G draws {N} fakes"
    named = [part.name for part in step.loss.parts if part.place == place]
    if named == ["real", "fake"]:
        return f"D on real images and fakes, one batch of {N}"
    if named:
        return f"D on {N} real images" if named == ["real"] else f"D on {N} fakes"
    if made.begins == "ones" and penalty is not None:
        return f"D at {N} {POINTS.get(penalty.kind, 'images')}, for the penalty"
    return f"D on {N} images"


def pass_text(step: StepTrace, place: int, penalty: Penalty | None) -> str:
    """What is to be known of the way back."""
    made = step.passes[place]
    if made.begins is None:
        return "Nobody goes back through this pass in this step: D's gradient ends at what D has seen."
    if made.begins == "ones" and penalty is not None:
        text = (
            "The way back begins from ones: dx is g, the gradient of ΣD(x). The penalty "
            f"{penalty.kind!r} is a number made of g, and its gradient u with respect to g goes up through the layers "
            "once more (`tangent`): from that each layer writes its weights' gradient. That pass is not shown."
        )
        if place in step.loss.d_out:
            text += (
                " Times each example's d_out the same way back is the loss's own, so what is written is the gradient "
                "of both."
            )
        return text
    if made.network != step.player:
        return f"{made.network} is frozen here: no gradient of its weights is asked for."
    return ""


def image_shape(step: StepTrace, made: PassTrace) -> list[int] | None:
    """(height, width, channels) of a picture of what D sees, if it is one; None for G's latents.

    What G draws flat is taken for a square; with packing several of them lie one below the other.
    """
    shape = made.layers[0].x.shape[1:]
    if made.network == "G" or len(shape) == 3:
        return None if made.network == "G" else [*shape]
    drawn = next((p.out[0].size for p in step.passes if p.network == "G"), math.prod(shape))
    side = math.isqrt(drawn)
    return [math.prod(shape) // side, side, 1] if side * side == drawn and len(shape) == 1 else None
