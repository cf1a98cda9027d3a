"""A trace as one JSON document: what the page of `minigan inspect` shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from minigan.gan.penalty import Penalty
from minigan.trace.differences import Found, differences, loss_differences
from minigan.trace.kinds import bytes_of, kind_of, loss_source, operations, options_of, plainly, sources_of
from minigan.trace.marks import as_json
from minigan.trace.record import LayerTrace, LossPart, StepTrace
from minigan.trace.selection import Place, Selection
from minigan.trace.shelf import coded, indices
from minigan.trace.steepness import penalty_differences
from minigan.trace.words import image_shape, pass_text, pass_title, step_text

FORMAT = 1
Fined = dict[tuple[int, str], Found]  # {(layer, parameter): differences} of a penalty
LARGEST = 4_800_000  # bytes of a document: with its scripts a page stays under 5 MB
EACH = 7_000  # bytes that a layer takes beside its arrays: source, marks, differences, statistics


class Document:
    """A trace being written down."""

    def __init__(self, steps: Sequence[StepTrace], penalty: Penalty | None, *, room: int):
        self.steps, self.penalty = steps, penalty
        self.chosen = Selection(steps, room)

    def tell(
        self, *, title: str, facts: Sequence[tuple[str, str]], notes: Sequence[str], history: dict[str, Any] | None
    ) -> dict[str, Any]:
        """The whole document."""
        steps = [self.step(step) for step in self.steps]
        return {
            "format": FORMAT,
            "title": title,
            "facts": [[*map(str, fact)] for fact in facts],
            "notes": [*notes, *self.chosen.notes],
            "first_bad": self.first_bad(),
            "arrays": self.chosen.shelf.document(),
            "steps": steps,
            "history": history,
        }

    def first_bad(self) -> dict[str, Any] | None:
        """Where a number that is none appears first, in the order of the computation."""
        for s, step in enumerate(self.steps):
            for i, index, what, array in step.arrays():
                if not np.isfinite(array).all():
                    return {"step": s, "pass": i, "layer": index, "what": what}
        return None

    def step(self, step: StepTrace) -> dict[str, Any]:
        shown = [
            {
                "network": made.network,
                "title": pass_title(step, i, self.penalty),
                "text": pass_text(step, i, self.penalty),
                "from": made.begins,
                "inputs": "latents" if made.network == "G" else "images",
                "image_shape": image_shape(step, made),
                "layers": self.layers(step, i),
            }
            for i, made in enumerate(step.passes)
        ]
        return {
            "player": step.player,
            "title": f"{step.player}'s step",
            "text": step_text(step),
            "passes": shown,
            "loss": self.loss(step),
            "stations": stations(step),
        }

    def layers(self, step: StepTrace, i: int) -> list[dict[str, Any]]:
        made, fined = step.passes[i], {}
        if made.begins == "ones" and self.penalty is not None:
            fined = penalty_differences(made, i, step.loss, self.penalty)
        return [self.layer(step, i, traced, fined) for traced in made.layers]

    def layer(self, step: StepTrace, i: int, traced: LayerTrace, fined: Fined) -> dict[str, Any]:
        key, kind, layer = (step.player, i, traced.index), kind_of(traced.layer), traced.layer
        ids, grads, last = self.chosen.ids[key], self.chosen.grads[key], i == step.last
        by_itself = self.penalty is not None and step.passes[i].begins == "ones" and i not in step.loss.d_out
        sums, updates = (
            {name.rsplit(".", 1)[1]: i for name, i in known.items() if last and name.startswith(f"{traced.name}.")}
            for known in (self.chosen.sums[step.player], self.chosen.updates[step.player])
        )
        params = {
            name: {
                "value": ids[name],
                "grad": None if by_itself else grads.get(name),
                "update": updates.get(name),
                **({"penalty": grads[name]} if by_itself and name in grads else {}),
            }
            for name in traced.values
        }
        train = {} if traced.train else {"train": False}
        return {
            "index": traced.index,
            "name": traced.name,
            "class": type(layer).__name__,
            "kind": kind and kind.__name__,
            "repr": repr(layer),
            "options": {**options_of(layer), **train},
            "doc": type(layer).__doc__ or "",
            "source": sources_of(layer),
            **{name: ids.get(name) for name in ("x", "y", "dy", "dx")},
            "cache": self.chosen.caches[key],
            "params": params,
            "total": sums,
            "operations": operations(traced),
            "bytes": bytes_of(traced),
            "ms": {"forward": round(traced.forward_ms, 4), "backward": round(traced.backward_ms, 4)},
            "marked": {what: as_json(self.chosen.marks.get((key, what))) for what in ("y", "dx", *traced.values)},
            "differences": self.differences(key, traced, step.passes[i].begins, fined),
        }

    def differences(self, key: Place, traced: LayerTrace, begins: str | None, fined: Fined) -> dict[str, Any]:
        """Central differences at some of the marked entries; of a layer without a known formula at a few of all."""
        found = {}
        known = operations(traced)
        cost = known["forward"] if known else 100 * max(traced.x.size, traced.y.size)
        for what in ("dx", *traced.grads) if begins else ():
            array = traced.dx if what == "dx" else traced.grads[what]
            if array is None or (what != "dx" and begins != "loss"):
                continue
            marks = self.chosen.marks.get((key, what))
            if known is None:
                marks = "all" if self.answer(key, what) in self.chosen.shelf.whole else None
            if marks is None:
                continue
            entries = marks if isinstance(marks, np.ndarray) else np.arange(array.size)
            if result := differences(traced, what, entries, cost):
                found[what] = slopes_as_json(result)
        return found | {
            what: slopes_as_json(slopes) for (index, what), slopes in fined.items() if index == traced.index
        }

    def answer(self, key: Place, what: str) -> str:
        return self.chosen.ids[key]["dx"] if what == "dx" else self.chosen.grads[key][what]

    def loss(self, step: StepTrace) -> dict[str, Any]:
        traced = step.loss
        return {
            **{name: plainly(value) for name, value in asdict(traced.loss).items()},
            "parts": [self.part(step, part) for part in traced.parts],
            "source": loss_source(traced.loss),
            "value": plainly(traced.value),
            "penalty": plainly(traced.penalty),
            "penalty_kind": self.penalty and self.penalty.kind if traced.penalty is not None else None,
        }

    def part(self, step: StepTrace, part: LossPart) -> dict[str, Any]:
        loss, (start, stop) = step.loss.loss, part.rows
        made = step.passes[part.place]

        def value(x: np.ndarray) -> Any:
            if step.player == "G":
                return loss.for_generator(x)[0]
            return part.share * loss.for_discriminator(x, x)[0][1 if part.name == "real" else 2]

        at, found = loss_differences(value, made.out[start:stop])
        at = at + start * made.out[0].size
        return {
            "name": part.name,
            "pass": part.place,
            "rows": [start, stop],
            "out": self.chosen.ids[step.player, part.place, made.layers[-1].index]["y"],
            "d_out": self.chosen.d_out[step.player, part.place],
            "label": part.label,
            "share": part.share,
            "value": plainly(part.value),
            "differences": {"d_out": slopes_as_json((at, found))},
        }


def room_for_arrays(steps: Sequence[StepTrace], history: dict[str, Any] | None) -> int:
    """The bytes that all arrays may take, before they become base64, which is a third more."""
    layers = sum(len(made.layers) for step in steps for made in step.passes)
    return max(0, (LARGEST - EACH * layers - len(json.dumps(history))) * 3 // 4)


def slopes_as_json(found: Found) -> dict[str, str]:
    """Derivatives at flat indices."""
    return {"at": indices(found[0]), "data": coded(found[1], "<f8")}


def stations(step: StepTrace) -> list[dict[str, Any]]:
    """The story in order: forward, the loss, back, the update; what a penalty takes beside comes behind the loss's."""
    extra = [i for i, made in enumerate(step.passes) if made.begins == "ones" and i not in step.loss.d_out]
    rest = [i for i in range(len(step.passes)) if i not in extra]
    back = sorted((i for i in rest if step.passes[i].begins), key=lambda i: step.passes[i].turn)
    story: list[tuple[str, int | None, int | None]] = []
    for i in rest:
        story += [("forward", i, traced.index) for traced in step.passes[i].layers]
    story += [("loss", None, None)]
    for i in back:
        story += [("backward", i, traced.index) for traced in reversed(step.passes[i].layers)]
    for i in extra:
        story += [("forward", i, traced.index) for traced in step.passes[i].layers]
        story += [("backward", i, traced.index) for traced in reversed(step.passes[i].layers)]
    if step.last is not None:
        story += [("update", step.last, t.index) for t in step.passes[step.last].layers if t.values]
    return [{"type": kind, "pass": i, "layer": index} for kind, i, index in story]
