"""Processes that take turns in short rounds of one run, so that a machine's slow minutes are everybody's.

A worker may be of an older commit's code: nothing of minigan is imported here.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def answer(name: str, step: Callable[[], object], *, idle: int = 5, steps: int = 40) -> None:
    """A worker's part: at each line on standard input, the median of some steps of the recipe `name`, in milliseconds.

    The first `idle` steps of a turn, which find the caches full of others', are not counted. Of images: one, and four.
    """
    if "dcgan" in name or "upconv" in name:
        idle, steps = 1, 4
    for _ in sys.stdin:
        times = []
        for _ in range(idle + steps):
            began = time.perf_counter()
            step()
            times.append(1e3 * (time.perf_counter() - began))
        print(statistics.median(times[idle:]), flush=True)


def take_turns(
    workers: Sequence[tuple[Sequence[str], Mapping[str, str]]], rounds: int, *, pause: float = 0.1
) -> list[list[Any]]:
    """The answers, lines of JSON, of each worker, (command, environment), one a round.

    `pause`: seconds after each answer, until the threads of that worker have stopped spinning.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **pipes) for command, environment in workers]
    answers: list[list[Any]] = [[] for _ in processes]
    for turn in range(rounds + 1):  # the first is for warming up
        for process, found in zip(processes, answers, strict=True):
            process.stdin.write("go\n")
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            if turn:
                found.append(told)
            time.sleep(pause)
    for process in processes:
        process.stdin.close()
        process.wait()
    return answers
