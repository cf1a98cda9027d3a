"""What a document keeps: which arrays are whole, and which entries of which answers can be worked out from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from minigan.trace.kinds import kind_of
from minigan.trace.marks import Ids, Marker, Marks
from minigan.trace.record import LayerTrace, StepTrace
from minigan.trace.shelf import FLOWING, GRADS, SUMS, VALUES, Shelf
from minigan.trace.steepness import chosen_entries

MOST = 100_000  # entries of arrays that are not whole, for the marks of one array
LEAST = 250  # … the fewest that are worth it
FINENESS = (1, 2, 4, 8)  # by how much maps are coarser where there is no room, and small arrays smaller
HALVINGS = 5  # of the room for whole arrays, until it is known well enough
WANTED = ("y", "mask", "u", "v", "sigma")  # of a cache, by a formula
Place = tuple[str, int, int]  # step, pass, layer


class Selection:
    """The arrays of both steps on a shelf, and the marks, so that all of it takes `room` bytes.

    `ids` are those of what a layer's formula takes, by name, `caches` and `grads` those of its cache and of its
    parameters' gradients; `sums`, `updates`: of a step's, by names such as 0.Dense.W; `d_out`, by step and pass.
    """

    def __init__(self, steps: Sequence[StepTrace], room: int):
        self.steps, self.room = steps, room
        self.shelf = Shelf()
        self.marker = Marker(self.shelf)
        self.notes: list[str] = []
        self.ids: dict[Place, Ids] = {}
        self.caches: dict[Place, Ids] = {}
        self.grads: dict[Place, Ids] = {}
        self.marks: dict[tuple[Place, str], Marks] = {}
        for step in steps:
            for i, made in enumerate(step.passes):
                for traced in made.layers:
                    self.put(step, i, traced)
        self.sums = {step.player: self.put_all(step.totals, SUMS) for step in steps}
        self.updates = {step.player: self.put_all(step.updates, SUMS) for step in steps}
        self.d_out = {(s.player, i): self.shelf.put(d) for s in steps for i, d in s.loss.d_out.items()}
        self.fit()

    def put(self, step: StepTrace, i: int, traced: LayerTrace) -> None:
        found = {"x": traced.x, "y": traced.y, "dy": traced.dy, "dx": traced.dx}
        flowing = {name: array for name, array in found.items() if array is not None}
        key = step.player, i, traced.index
        self.caches[key] = {n: self.shelf.put(a, FLOWING if n in WANTED else SUMS) for n, a in traced.kept.items()}
        self.ids[key] = {
            **self.caches[key],
            **self.put_all(traced.values, VALUES),
            **self.put_all(flowing, FLOWING),
        }
        self.grads[key] = self.put_all(traced.grads, GRADS)

    def put_all(self, arrays: dict[str, np.ndarray], rank: int) -> Ids:
        return {name: self.shelf.put(array, rank) for name, array in arrays.items()}

    def traced(self, place: Place) -> LayerTrace:
        """The layer's trace at a place."""
        player, i, index = place
        return next(s for s in self.steps if s.player == player).passes[i].layers[index]

    def fit(self) -> None:
        """Mark entries, and choose which arrays are whole, so that all of it fits into the room there is."""
        if not self.found_room():
            self.marker.most = 0
            self.fit_with(0)
            self.notes.append("The networks are so large that nothing can be worked out here; the page is above 5 MB.")
        elif not self.marker.most:
            self.notes.append("The networks are so large that the page has no room for worked numbers.")
        elif bare := self.bare():
            self.notes.append(f"Made of more than the page has room for, and so not worked out: {bare}.")
        if left := [i for i in self.shelf.arrays if i not in self.shelf.whole]:
            self.notes.append(
                f"{len(left)} of {len(self.shelf.arrays)} arrays are too large to be here whole (their statistics and "
                "maps are those of the whole): the weights, and what is made of them, give way first. Of these only "
                "entries that are marked can be worked out."
            )

    def found_room(self) -> bool:
        """Whether it fits at all: with fewer marks, then with coarser maps."""
        for self.shelf.coarseness in FINENESS:
            self.marker.most = 0
            if not self.fit_with(0):
                continue
            self.marker.most = MOST
            while self.marker.most >= LEAST:
                if self.fits():
                    return True
                self.marker.most //= 2
        self.marker.most = 0
        return self.fits()

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
                    for what in traced.grads if made.begins == "ones" else ():
                        self.shelf.need(self.grads[key][what], chosen_entries(traced.grads[what]))
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
