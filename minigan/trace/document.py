"""A trace as one JSON document: what the page of `minigan inspect` shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from minigan.gan.penalty import Penalty
from minigan.trace.differences import differences, loss_differences
from minigan.trace.kinds import bytes_of, kind_of, operations, options_of, plainly, sources_of
from minigan.trace.marks import Ids, Marker, Marks, as_json
from minigan.trace.record import LayerTrace, LossPart, StepTrace
from minigan.trace.shelf import FLOWING, GRADS, SUMS, VALUES, Shelf, coded, indices
from minigan.trace.words import image_shape, pass_text, pass_title, step_text

FORMAT = 1
ROOM = 3_400_000  # bytes of all arrays, before they become base64, which is a third more
MOST = 100_000  # entries of arrays that are not whole, for the marks of one array
HALVINGS = 5  # of the room for whole arrays, until it is known well enough
Place = tuple[str, int, int]  # step, pass, layer
WANTED = ("y", "mask", "u", "v", "sigma")  # of a cache, by a formula


class Document:
    """A trace being written down: its arrays are put on the shelf, entries marked, and then all of it told."""

    def __init__(self, steps: Sequence[StepTrace], penalty: Penalty | None, *, room: int = ROOM):
        self.steps, self.penalty, self.room = steps, penalty, room
        self.shelf = Shelf()
        self.marker = Marker(self.shelf)
        self.notes: list[str] = []
        self.ids: dict[Place, Ids] = {}
        self.grads: dict[Place, Ids] = {}
        for step in steps:
            for i, made in enumerate(step.passes):
                for traced in made.layers:
                    self.put(step, i, traced)
        self.sums = {step.player: self.put_all(step.totals, SUMS) for step in steps}
        self.updates = {step.player: self.put_all(step.updates, SUMS) for step in steps}
        self.d_out = {(s.player, i): self.shelf.put(d) for s in steps for i, d in s.loss.d_out.items()}
        self.marks: dict[tuple[Place, str], Marks] = {}
        self.fit()

    def put(self, step: StepTrace, i: int, traced: LayerTrace) -> None:
        found = {"x": traced.x, "y": traced.y, "dy": traced.dy, "dx": traced.dx}
        flowing = {name: array for name, array in found.items() if array is not None}
        key = step.player, i, traced.index
        self.ids[key] = {
            **self.put_all(traced.values, VALUES),
            **self.put_all(flowing, FLOWING),
            **{n: self.shelf.put(a, FLOWING if n in WANTED else SUMS) for n, a in traced.kept.items()},
        }
        self.grads[key] = self.put_all(traced.grads, GRADS)

    def put_all(self, arrays: dict[str, np.ndarray], rank: int) -> Ids:
        return {name: self.shelf.put(array, rank) for name, array in arrays.items()}

    # What is kept ----------------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Mark entries, and choose which arrays are whole, so that all of it fits into the room there is."""
        self.marker.most = MOST
        while not self.fits() and self.marker.most:
            self.marker.most //= 2
        if not self.marker.most:
            self.notes.append("The step is so large that the page has no room for worked numbers.")
        elif bare := self.bare():
            self.notes.append(f"Made of more than the page has room for, and so not worked out: {bare}.")
        if left := [i for i in self.shelf.arrays if i not in self.shelf.whole]:
            self.notes.append(
                f"{len(left)} of {len(self.shelf.arrays)} arrays are too large to be here whole (their statistics and "
                "maps are those of the whole): the weights, and what is made of them, give way first. Of these only "
                "entries that are marked can be worked out."
            )

    def bare(self) -> str:
        """Of which layers what cannot be worked out, although the formula is known, in words."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for (key, what), marks in self.marks.items():
            if marks is None and kind_of(self.traced(key).layer):
                network = next(s for s in self.steps if s.player == key[0]).passes[key[1]].network
                words = found[f"{network}'s {self.traced(key).name}"]
                words += [what] if what not in words else []
        return "; ".join(f"{', '.join(whats)} of {name}" for name, whats in found.items())

    def fits(self) -> bool:
        """Whether there is room for what the marker keeps, be it that fewer arrays are whole."""
        if not self.fit_with(0):
            return False
        low, high = 0, self.room  # for whole arrays: the most that still fits lies between
        for _ in range(HALVINGS):
            middle = (low + high) // 2
            low, high = (middle, high) if self.fit_with(middle) else (low, middle)
        return self.fit_with(low)

    def fit_with(self, room: int) -> bool:
        """Whether all of it fits where whole arrays have this much room."""
        self.shelf.choose(room)
        self.mark_all()
        return self.shelf.finish() <= self.room

    def mark_all(self) -> None:
        self.marks.clear()
        for step in self.steps:
            places: defaultdict[tuple[str, int, str], list[Place]] = defaultdict(list)
            for i, made in enumerate(step.passes):
                for traced in made.layers:
                    key = step.player, i, traced.index
                    for what, array in (("y", traced.y), ("dx", traced.dx)):
                        if array is not None:
                            self.marks[key, what] = self.marker.mark([(traced, self.ids[key])], what, array)
                            self.keep(self.marks[key, what], [self.ids[key][what]])
                    for what in traced.grads if made.begins == "loss" else ():
                        places[made.network, traced.index, what].append(key)
            for (_, _, what), keys in places.items():
                traced = [self.traced(key) for key in keys]
                name = f"{traced[0].name}.{what}"
                total = step.totals.get(name, traced[-1].grads[what])
                both = [(one, self.ids[key]) for one, key in zip(traced, keys, strict=True)]
                marks = self.marker.mark(both, what, total)
                sums = [ids[name] for ids in (self.sums[step.player], self.updates[step.player]) if name in ids]
                self.keep(marks, [*sums, *(self.grads[key][what] for key in keys)])
                self.keep(marks, [self.ids[key][what] for key in keys])
                self.marks |= dict.fromkeys(((key, what) for key in keys), marks)

    def keep(self, marks: Marks, ids: list[str]) -> None:
        """Of the answers themselves what is marked; of a large array that is marked all over, a grid would do."""
        for i in ids:
            entries = marks if isinstance(marks, np.ndarray) else np.arange(self.shelf.arrays[i].size)
            if marks is not None:
                self.shelf.need(i, entries)

    def traced(self, place: Place) -> LayerTrace:
        player, i, index = place
        return next(s for s in self.steps if s.player == player).passes[i].layers[index]

    # What is told ----------------------------------------------------------------------------------------------------

    def tell(
        self, *, title: str, facts: Sequence[tuple[str, str]], notes: Sequence[str], history: dict[str, Any] | None
    ) -> dict[str, Any]:
        """The whole document."""
        steps = [self.step(step) for step in self.steps]
        return {
            "format": FORMAT,
            "title": title,
            "facts": [[*map(str, fact)] for fact in facts],
            "notes": [*notes, *self.notes],
            "first_bad": self.first_bad(),
            "arrays": self.shelf.document(),
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
                "image_shape": image_shape(made),
                "layers": [self.layer(step, i, traced) for traced in made.layers],
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

    def layer(self, step: StepTrace, i: int, traced: LayerTrace) -> dict[str, Any]:
        key, kind, layer = (step.player, i, traced.index), kind_of(traced.layer), traced.layer
        ids, grads, last = self.ids[key], self.grads[key], i == step.last
        fined = self.penalty is not None and step.passes[i].begins == "ones" and i not in step.loss.d_out
        sums, updates = (
            {name.rsplit(".", 1)[1]: i for name, i in known.items() if last and name.startswith(f"{traced.name}.")}
            for known in (self.sums[step.player], self.updates[step.player])
        )
        params = {
            name: {
                "value": ids[name],
                "grad": None if fined else grads.get(name),
                "update": updates.get(name),
                **({"penalty": grads[name]} if fined and name in grads else {}),
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
            "cache": {name: ids[name] for name in traced.kept},
            "params": params,
            "total": sums,
            "operations": operations(traced),
            "bytes": bytes_of(traced),
            "ms": {"forward": round(traced.forward_ms, 4), "backward": round(traced.backward_ms, 4)},
            "marked": {what: as_json(self.marks.get((key, what))) for what in ("y", "dx", *traced.values)},
            "differences": self.differences(key, traced, step.passes[i].begins),
        }

    def differences(self, key: Place, traced: LayerTrace, begins: str | None) -> dict[str, Any]:
        """Central differences at some of the marked entries; of a layer without a known formula at a few of all."""
        found = {}
        known = operations(traced)
        cost = known["forward"] if known else 100 * max(traced.x.size, traced.y.size)
        for what in ("dx", *traced.grads) if begins else ():
            array = traced.dx if what == "dx" else traced.grads[what]
            if array is None or (what != "dx" and begins != "loss"):
                continue
            marks = self.marks.get((key, what))
            if known is None:
                marks = "all" if self.answer(key, what) in self.shelf.whole else None
            if marks is None:
                continue
            entries = marks if isinstance(marks, np.ndarray) else np.arange(array.size)
            if result := differences(traced, what, entries, cost):
                found[what] = {"at": indices(result[0]), "data": coded(result[1], "<f8")}
        return found

    def answer(self, key: Place, what: str) -> str:
        return self.ids[key]["dx"] if what == "dx" else self.grads[key][what]

    def loss(self, step: StepTrace) -> dict[str, Any]:
        traced = step.loss
        return {
            **asdict(traced.loss),
            "parts": [self.part(step, part) for part in traced.parts],
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
            "out": self.ids[step.player, part.place, made.layers[-1].index]["y"],
            "d_out": self.d_out[step.player, part.place],
            "label": part.label,
            "share": part.share,
            "value": plainly(part.value),
            "differences": {"d_out": {"at": indices(at), "data": coded(found, "<f8")}},
        }


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
