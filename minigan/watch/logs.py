"""The logs of a run, a row a line: RUN/metrics.jsonl, timing.jsonl, alarms.jsonl, quality.jsonl."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from minigan.store.files import append_line, write_atomically
from minigan.train import Callback, Row, Trainer

DRAWN = ("d_loss", "g_loss", "d_real", "d_fake", "acc_real", "acc_fake")  # as curves; None where there is none yet
#: The logs of a run, a row a line; and what must stand in a row of each, beside its step, since it is counted on. What
#: may also be None may be left out: a column that did not exist when the row was written.
LOGS: dict[str, dict[str, Any]] = {
    "metrics.jsonl": {"epoch": int, **dict.fromkeys(DRAWN, int | float | None)},
    "timing.jsonl": {"seconds": int | float},
    "alarms.jsonl": {"alarm": str},
    "quality.jsonl": {"epoch": int, "frechet": int | float},
}


class MetricsLog(Callback):
    """metrics.jsonl, deterministic values only, and timing.jsonl, the wall-clock (of a resumed run: without the pause).

    What the files hold beyond the trainer's step, from a run that was cut off later, is cut off first.
    """

    def __init__(self, run: Path):
        self.run = run

    def start(self, trainer: Trainer) -> None:
        for name in LOGS:  # whether or not alarms are on now
            keep_rows(self.run / name, trainer.step)
        timing = read_rows(self.run / "timing.jsonl")
        self.began = time.perf_counter() - (timing[-1]["seconds"] if timing else 0)

    def logged(self, trainer: Trainer, row: Row) -> None:
        timing = {"step": row["step"], "seconds": round(time.perf_counter() - self.began, 3)}
        for name, values in (("metrics.jsonl", row), ("timing.jsonl", timing)):
            append_line(self.run / name, json.dumps(values))


def read_rows(path: Path) -> list[Row]:
    """The rows of a .jsonl file, up to the first that is not whole; [] if there is no file."""
    rows, columns = [], {"step": int, **LOGS.get(path.name, {})}
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or not all(isinstance(row.get(n), kind) for n, kind in columns.items()):
            break
        rows.append(row)
    return rows


def keep_rows(path: Path, step: int) -> None:
    """Cut a .jsonl file behind its last whole row of at most `step`."""
    if path.exists():
        lines = [json.dumps(row) + "\n" for row in read_rows(path) if row["step"] <= step]
        write_atomically(path, "".join(lines).encode())


def best_epoch(run: Path) -> int | None:
    """The epoch of the least Fréchet distance in RUN/quality.jsonl, the first of equals; None if none was measured."""
    rows = read_rows(run / "quality.jsonl")
    return min(rows, key=lambda row: row["frechet"])["epoch"] if rows else None
