"""When a run is saved, under which name, and which checkpoints are kept.

RUN/checkpoints/epoch-0003.safetensors        after the third epoch
RUN/checkpoints/epoch-0003+0120.safetensors   120 steps later
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.errors import whole
from minigan.runs.saved import as_line, checkpoints, described, epoch_and_step
from minigan.store.checkpoint import save_checkpoint
from minigan.store.files import fsync
from minigan.train import Callback, Row, Trainer
from minigan.watch.logs import LOGS, best_epoch
from minigan.watch.rhythm import Every


@dataclass(frozen=True)
class Keep:
    """Which checkpoints stay: the last few, every so many epochs one, and the best.

    Those within an epoch serve until the next is complete. `best`: the epoch that `quality.jsonl` finds best is kept.
    """

    last: int = 2  # so that there is one to go on from should the newest be damaged
    every: int = 0  # epochs; 0: none for that reason

    def __post_init__(self) -> None:
        for field, flag, least in (("last", "--keep", 1), ("every", "--keep-every", 0)):
            needs = f"{flag} must be a whole number, at least {least}"
            value = whole(getattr(self, field), needs, least=least, most=2**63)
            object.__setattr__(self, field, value)

    def choose(self, places: list[tuple[int, int]], best: int | None = None) -> set[tuple[int, int]]:
        """Of checkpoints at these places, those that stay."""
        whole = sorted(p for p in places if p[1] == 0)
        within = sorted(p for p in places if p[1] and (not whole or p > whole[-1]))
        regular = {p for p in whole if self.every and p[0] and p[0] % self.every == 0}
        return {*whole[-self.last :], *within[-self.last :], *regular, *(p for p in whole if p[0] == best)}


class CheckpointSaver(Callback):
    """Saves all that a run needs to go on, every so often and when it is stopped or over.

    `facts` are what decides the run (recipe, seed, images, versions): a checkpoint holds them too, so that it can be
    used alone, and no file beside it can contradict it unnoticed.
    """

    def __init__(self, run: Path, facts: dict[str, Any], every: Every, keep: Keep):
        self.run, self.facts, self.every, self.keep = run, facts, every, keep

    def start(self, trainer: Trainer) -> None:
        self.rows, self.digest = 0, hashlib.sha256()
        for row in trainer.history:
            self.logged(trainer, row)

    def logged(self, trainer: Trainer, row: Row) -> None:
        self.rows += 1
        self.digest.update(as_line(row))

    def settled(self, trainer: Trainer) -> None:
        whole = trainer.step == trainer.epoch * trainer.epoch_steps
        due = whole and (self.every.epoch_due(trainer.epoch) or best_epoch(self.run) == trainer.epoch)
        if due or self.every.step_due(trainer.step) or trainer.epoch == trainer.recipe.epochs:
            self.save(trainer)

    def stopped(self, trainer: Trainer) -> None:
        self.save(trainer)

    def save(self, trainer: Trainer) -> Path:
        """Write the checkpoint of where the trainer stands, then remove those that need not be kept."""
        trainer.check_weights()
        at = (trainer.epoch, trainer.step - trainer.epoch * trainer.epoch_steps)
        name = f"epoch-{at[0]:04d}+{at[1]:04d}" if at[1] else f"epoch-{at[0]:04d}"
        path = self.run / "checkpoints" / f"{name}.safetensors"
        for log in LOGS:
            fsync(self.run / log)  # what the checkpoint counts must not be younger on the disk than it
        history = {"rows": self.rows, "sha256": self.digest.hexdigest()}
        layers = {name: described(network.layers) for name, network in trainer.networks.items()}
        header = {**self.facts, **trainer.position(), "history": history, "architecture": layers}
        save_checkpoint(path, trainer.networks, trainer.optimizers, trainer.kept_grads(), **header)
        found = {epoch_and_step(p): p for p in checkpoints(self.run)}
        for stale in found.keys() - self.keep.choose([p for p in found if p], best_epoch(self.run)):
            with suppress(PermissionError):  # Windows, while somebody draws from it: the next save tries again
                found[stale].unlink()
        return path
