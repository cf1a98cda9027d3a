"""Bad bytes: does every file that minigan reads, damaged in any way, end in the right data or in one typed error?

    python tests/fuzz/fuzz.py                                    100,000 cases, about four minutes of one core
    python tests/fuzz/fuzz.py --count 5000 --seconds 60 --seed 7
    python tests/fuzz/fuzz.py --only saved --case 1234           one case again, with its traceback
    python tests/fuzz/fuzz.py --keep                             store the counts in benchmarks/results/fuzz.json too

A case is decided by (target, seed, number). It must give the right data, bit for bit; or exactly one MiniganError or
OSError; or, where no hash can tell what was written (an IDX file of no known hash, a log or a config.json by itself, a
checkpoint forged with all its hashes), data that are valid by the file's own account. It must never end in another
exception, leave a network, an optimiser or a trainer half loaded, take longer than a few seconds, or take more memory
than twice what there honestly is to read and a small constant. The memory that Python allocates is measured;
all that the process can have is limited by the system.

The targets take turns, so a run that its `--seconds` end has had its share of each. They run in a process of their own:
one that dies, or hangs outside Python, is a violation like any other. Violations are printed, written to
the file `--violations`, and make the exit code 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import multiprocessing
import os
import platform
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).resolve().parents[i]) for i in (1, 2)]  # tests, and the checkout

import numpy as np
import safetensors

import minigan
from fuzz import files, folders
from fuzz.judge import ERROR, MB, RIGHT, VALID, Hang, Meter, watched, within

#: Each target, and how many of a thousand cases it gets: those that train are a hundred times as dear as the others.
SHARES = {
    files.Idx: 520,
    files.Tensors: 160,
    files.Load: 120,
    files.Network: 90,
    folders.Saved: 70,
    folders.Folder: 32,
    folders.Resume: 8,
}
TARGETS = {target.name: target for target in SHARES}
LIMIT = 10  # seconds that a case may take
MEMORY = 256 * MB  # that the process may have beyond what it begins with
ROUND = 1000  # cases in which every target has its share


def run_case(target, seed, number, meter):
    """The outcome of one case; any exception but those that its target expects goes through."""
    rng = random.Random(f"{target.name} {seed} {number}")
    with within(LIMIT):
        return target.case(rng, meter)


def work(seed, jobs, folder, pipe, current):
    """Do the `jobs`, (target's name, first case, one behind the last); in the child process."""
    made, meters = {}, {}
    for name in {name for name, _, _ in jobs}:
        (folder / name).mkdir(exist_ok=True)
        made[name], meters[name] = TARGETS[name](folder / name), Meter()
    with watched(memory=MEMORY):
        for i, (name, first, stop) in enumerate(jobs):
            counts, violations, began = Counter(), [], time.process_time()
            for number in range(first, stop):
                current[:] = i, number
                faulthandler.dump_traceback_later(3 * LIMIT, exit=True)
                try:
                    counts[run_case(made[name], seed, number, meters[name])] += 1
                except (Exception, Hang) as error:
                    violations.append((name, seed, number, "".join(traceback.format_exception(error))))
            faulthandler.cancel_dump_traceback_later()
            meter = meters[name]
            pipe.send((name, counts, violations, time.process_time() - began, meter.peak, meter.most))


def plan(count, only=None):
    """The jobs: round after round, each target's share, until there are `count` cases."""
    jobs, done = [], dict.fromkeys(TARGETS, 0)
    shares = {target.name: share for target, share in SHARES.items()}
    while count > 0:
        for name, share in shares.items():
            size = min(count, ROUND if only else share)
            if only in (None, name) and size:
                jobs.append((name, done[name], done[name] + size))
                done[name] += size
                count -= size
    return jobs


class Totals:
    """Counts, time and memory of each target so far, and the violations."""

    def __init__(self):
        self.counts = {name: Counter() for name in TARGETS}
        self.seconds, self.peak, self.most = Counter(), Counter(), Counter()
        self.violations = []

    def add(self, name, counts, violations, seconds, peak, most):
        self.counts[name].update(counts)
        self.seconds[name] += seconds
        self.peak[name], self.most[name] = max(self.peak[name], peak), max(self.most[name], most)
        self.violations += violations

    def table(self):
        lines = [
            f"{'target':12}{RIGHT:>12}{ERROR:>13}{VALID:>12}{'violations':>12}{'seconds':>9}{'peak MB':>9}  of limit"
        ]
        for name, counts in self.counts.items():
            cells = self.cells(name, counts, self.failed(name), self.seconds[name])
            lines.append(f"{cells}{self.most[name] / MB:9.2f}{self.peak[name]:10.0%}")
        every = sum(self.counts.values(), Counter())
        return "\n".join([*lines, self.cells("all", every, len(self.violations), self.seconds.total())])

    def cells(self, name, counts, failed, seconds):
        return f"{name:12}{counts[RIGHT]:12,}{counts[ERROR]:13,}{counts[VALID]:12,}{failed:12,}{seconds:9.1f}"

    def failed(self, name):
        """How many violations a target has."""
        return sum(violation[0] == name for violation in self.violations)


def fuzz(jobs, seed, seconds):
    """The Totals of the jobs that could be begun within `seconds`."""
    totals, end = Totals(), time.monotonic() + seconds
    fork = multiprocessing.get_context("fork")
    while jobs and time.monotonic() < end:
        current = fork.Array("q", [-1, 0])  # the job and the case under way
        receiver, sender = fork.Pipe(duplex=False)
        with tempfile.TemporaryDirectory() as folder:
            worker = fork.Process(target=work, args=(seed, jobs, Path(folder), sender, current))
            worker.start()
            sender.close()
            finished = 0
            try:
                while time.monotonic() < end and finished < len(jobs):
                    if receiver.poll(1):
                        totals.add(*receiver.recv())
                        finished += 1
            except EOFError:
                worker.join()
                i, number = current
                if i < 0:
                    raise SystemExit("a target cannot be made") from None
                name, first, stop = jobs[i]
                totals.violations.append((name, seed, number, f"the process died, exit code {worker.exitcode}\n"))
                # what else that job had found is lost with it, and is done again
                jobs = [*jobs[i + 1 :], (name, first, number), (name, number + 1, stop)]
            else:
                worker.terminate()
                worker.join()
                break
    return totals


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="cases of all targets together")
    parser.add_argument("--seconds", type=float, default=1200, help="begin nothing new after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=TARGETS, help="one target")
    parser.add_argument("--case", type=int, help="one case of it")
    parser.add_argument("--keep", action="store_true", help="store the counts in benchmarks/results/fuzz.json")
    parser.add_argument("--violations", type=Path, default=Path(tempfile.gettempdir()) / "minigan-fuzz.json")
    options = parser.parse_args()
    if options.case is not None and not options.only:
        parser.error("--case needs --only TARGET")
    if options.case is not None:
        jobs = [(options.only, options.case, options.case + 1)]
    else:
        jobs = plan(options.count, options.only)
    totals = fuzz(jobs, options.seed, options.seconds)
    for name, seed, number, told in totals.violations:
        print(f"{told}VIOLATION; again: python tests/fuzz/fuzz.py --only {name} --seed {seed} --case {number}\n")
    print(totals.table())
    if totals.violations:
        options.violations.write_text(json.dumps(totals.violations, indent=1))
        print(f"The violations are in {options.violations}")
    if options.keep:
        keep(totals, options)
    return 1 if totals.violations else 0


def keep(totals, options):
    """Store what was found, and with what, beside the benchmarks' results."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
    from results import Results

    versions = {"minigan": minigan.__version__, "numpy": np.__version__, "safetensors": safetensors.__version__}
    versions["python"] = platform.python_version()
    results = Results("fuzz")
    results.add("made with", {"seed": options.seed, "versions": versions})
    for name, counts in totals.counts.items():
        if not counts:
            continue
        found = {outcome: counts[outcome] for outcome in (RIGHT, ERROR, VALID)}
        found["violations"] = totals.failed(name)
        found["seconds"], found["peak MB"] = round(totals.seconds[name], 1), round(totals.most[name] / MB, 2)
        results.add(name, {**found, "peak of its limit": round(totals.peak[name], 3)})


if __name__ == "__main__":
    sys.exit(main())
