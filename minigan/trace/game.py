"""`trace_step`: one step of D and one of G, with every number of it kept."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from minigan.backend import Array, RandomStream, to_numpy
from minigan.gan.feeding import PLAIN, Feeding, mean_over_both
from minigan.gan.loss import GANLoss
from minigan.gan.penalty import Penalty
from minigan.gan.steps import discriminator_step, generator_step, simultaneous_step
from minigan.nn.network import Sequential
from minigan.optim import Optimizer
from minigan.store.files import write_atomically
from minigan.trace.document import Document, room_for_arrays
from minigan.trace.page import page
from minigan.trace.record import Arrays, LossPart, LossTrace, PassTrace, StepTrace
from minigan.trace.watching import Watcher


@dataclass
class Trace:
    """Both steps of a trace, and the copies that made them, which stand where an untraced step would have left them."""

    D: StepTrace
    G: StepTrace
    networks: dict[str, Sequential]
    optimizers: dict[str, Optimizer]
    feeding: Feeding
    penalty: Penalty | None

    @property
    def steps(self) -> list[StepTrace]:
        """D's step, then G's."""
        return [self.D, self.G]

    def document(
        self,
        *,
        title: str = "A training step",
        facts: Sequence[tuple[str, str]] = (),
        notes: Sequence[str] = (),
        history: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """All of it as JSON, with entries marked that can be worked out, and central differences beside the answers."""
        told = {"title": title, "facts": facts, "notes": notes, "history": history}
        room = room_for_arrays(self.steps, history)
        return Document(self.steps, self.penalty, room=room).tell(**told)

    def save(self, path: str | os.PathLike[str], **told: Any) -> None:
        """Write the page that shows it, one file that needs no other and no network; `told` as for `document`."""
        write_atomically(Path(path), page(self.document(**told)).encode())


def trace_step(
    G: Sequential,
    D: Sequential,
    g_optimizer: Optimizer,
    d_optimizer: Optimizer,
    loss: GANLoss,
    x_real: Array,
    z: Array,
    *,
    z_generator: Array | None = None,
    shared_fakes: bool = False,
    simultaneous: bool = False,
    feeding: Feeding = PLAIN,
    penalty: Penalty | None = None,
    rng: RandomStream | None = None,
    penalty_rng: RandomStream | None = None,
    d_step: Callable[..., Any] = discriminator_step,
    g_step: Callable[..., Any] = generator_step,
) -> Trace:
    """One step of D and then one of G, as `minigan.gan` makes them, on copies: what is given stays as it is.

    D's fakes are made of z; G's of `z_generator`, or of z again, or with `shared_fakes` they are those that D has seen.
    With `simultaneous` both are one `simultaneous_step`. `d_step` and `g_step` are called as those of `minigan.gan`.
    For example::

        trace = trace_step(G, D, g_optimizer, d_optimizer, GANLoss(), x_real, z)
        first = trace.D.passes[-1].layers[0]  # D's first layer, in its last pass of D's step
        first.x, first.y, first.dy, first.grads["W"], trace.D.totals["0.Dense.W"], trace.D.updates["0.Dense.W"]

    Raises what the step raises.
    """
    G, D, g_optimizer, d_optimizer = not_shared(copy.deepcopy((G, D, g_optimizer, d_optimizer)))
    rng, penalty_rng = copy.deepcopy((rng, penalty_rng))
    watcher, asked = Watcher({"G": G, "D": D}), Asked(loss, penalty)
    options = {"feeding": feeding, "rng": rng}
    fined = {} if penalty is None else {"penalty": asked.penalty, "penalty_rng": penalty_rng}
    with np.errstate(all="ignore"), watcher.watching(), weighed(D, d_optimizer) as d, weighed(G, g_optimizer) as g:
        if simultaneous:
            results = simultaneous_step(G, D, g_optimizer, d_optimizer, asked.loss, x_real, z, **options)
        else:
            watcher.phase = "D"
            fakes = G.forward(z, train=True, rng=rng) if shared_fakes else None
            of_d = d_step(G, D, d_optimizer, asked.loss, x_real, z, fakes=fakes, **options, **fined)
            watcher.phase = "G"
            z = z if z_generator is None else z_generator
            results = of_d, g_step(G, D, g_optimizer, asked.loss, None if fakes else z, fakes=fakes, **options)
    steps = []
    for player, result, (totals, updates) in zip("DG", results, (d, g), strict=True):
        passes = watcher.passes(player)
        compared = asked.discriminator(passes, feeding) if player == "D" else asked.generator(passes)
        compared.value = None if result is None else float(to_numpy(result.loss))
        steps.append(StepTrace(player, passes, compared, totals, updates))
    optimizers = {"G": g_optimizer, "D": d_optimizer}
    return Trace(steps[0], steps[1], {"G": G, "D": D}, optimizers, feeding, penalty)


def not_shared(players: tuple[Any, ...]) -> tuple[Any, ...]:
    """The players, of which no two layers are one object: one without weights may have several places."""
    seen: set[int] = set()
    for network in players[:2]:
        for i, layer in enumerate(network.layers):
            if id(layer) in seen:
                network.layers[i] = copy.copy(layer)
            seen.add(id(layer))
    return players


@contextmanager
def weighed(network: Sequential, optimizer: Optimizer) -> Iterator[tuple[Arrays, Arrays]]:
    """Within it, two dicts are filled when the optimiser steps: the gradients that it finds, and what it adds."""
    totals: Arrays = {}
    updates: Arrays = {}
    step = optimizer.step

    def watched() -> None:
        totals.update({name: to_numpy(grad).copy() for name, grad in network.named_grads().items()})
        before = {name: to_numpy(param).copy() for name, param in network.named_params().items()}
        step()
        updates.update({name: to_numpy(p) - before[name] for name, p in network.named_params().items()})

    with patch.object(optimizer, "step", watched):
        yield totals, updates


class Asked:
    """Copies of a loss and of a penalty that note what they answer."""

    def __init__(self, loss: GANLoss, penalty: Penalty | None):
        self.loss, self.penalty = copy.copy(loss), copy.copy(penalty)
        self.answers: dict[str, tuple[tuple[Any, ...], Any]] = {}
        for owner, name in ((self.loss, "for_discriminator"), (self.loss, "for_generator"), (self.penalty, "value")):
            if owner is not None:
                vars(owner)[name] = self.noted(name, getattr(owner, name))

    def noted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            answer = method(*args)
            self.answers[name] = args, answer
            return answer

        return call

    def discriminator(self, passes: list[PassTrace], feeding: Feeding) -> LossTrace:
        """What D's loss compared, each part at its place in D's passes."""
        found = LossTrace(self.loss, [], {}, None)
        if "value" in self.answers:
            found.penalty = float(to_numpy(self.answers["value"][1][0]))
        if "for_discriminator" not in self.answers:
            return found
        outs, (losses, *grads) = self.answers["for_discriminator"]
        N = sum(map(len, outs))
        shares = [len(out) / N for out in outs] if feeding.batching == "concat" else [1.0, 1.0]
        if feeding.batching == "concat":
            losses, *grads = mean_over_both(losses, *grads)
        outs, grads = [to_numpy(out) for out in outs], [to_numpy(grad) for grad in grads]
        places = self.places(passes, outs)
        for k, (name, place) in enumerate(zip(("real", "fake"), places, strict=True)):
            if place is None:
                continue
            start = len(outs[0]) if k and places[0] == place else 0
            rows = start, start + len(outs[k])
            label = self.loss.labels[k] if self.loss.kind == "bce" else None
            found.parts.append(LossPart(name, place, rows, float(to_numpy(losses[1 + k])), label, shares[k]))
            found.d_out[place] = np.concatenate([found.d_out[place], grads[k]]) if start else grads[k].copy()
        return found

    def generator(self, passes: list[PassTrace]) -> LossTrace:
        """What G's loss compared: D's output on the fakes."""
        found = LossTrace(self.loss, [], {}, None)
        if "for_generator" not in self.answers:
            return found
        (out,), (value, d_out) = self.answers["for_generator"]
        place = self.places(passes[::-1], [to_numpy(out)])[0]
        if place is None:
            return found
        place = len(passes) - 1 - place
        minimax = self.loss.generator == "minimax"
        label, share = (self.loss.labels[int(minimax)] if self.loss.kind == "bce" else None), -1.0 if minimax else 1.0
        part = LossPart("fake", place, (0, len(out)), share * float(to_numpy(value)), label, share)
        return LossTrace(self.loss, [part], {place: to_numpy(d_out).copy()}, None)

    def places(self, passes: list[PassTrace], outs: list[np.ndarray]) -> list[int | None]:
        """In which pass of D's each of these outputs was made: all in one, or each in its own."""
        together = np.concatenate(outs).tobytes()
        by_loss_first = sorted(enumerate(passes), key=lambda pair: pair[1].begins != "loss")
        own = [(i, made.out.tobytes()) for i, made in by_loss_first if made.network == "D"]
        if both := [i for i, made in own if made == together]:
            return [both[0]] * len(outs)
        found: list[int | None] = []
        for out in outs:
            found.append(next((i for i, made in own if made == out.tobytes() and i not in found), None))
        return found
