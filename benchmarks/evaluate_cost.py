"""What does `minigan evaluate` cost: seconds and memory, for 10,000 samples against MNIST, with two threads?

    python benchmarks/evaluate_cost.py            measure what is missing, print the table (needs MNIST)
    python benchmarks/evaluate_cost.py --again    measure all once more; the lower seconds and higher memory stay
    python benchmarks/evaluate_cost.py --table    print the table from results/evaluate_cost.json

The generators have learned for a moment only, which changes no cost: quick-mlp's, of dense layers, and a DCGAN's.
Each is evaluated three times in a process of its own, of which the least seconds and the greatest resident memory
count; the seconds of all cores together stand beside them. Run nothing else meanwhile.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy: see minigan/__init__.py)

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import Results

RESULTS = Results("evaluate_cost")
RECIPES = ("quick-mlp", "flux-dcgan")
REPEATS, THREADS = 3, 2
ENV = {**os.environ, "OPENBLAS_NUM_THREADS": str(THREADS)}


def measure(folder):
    """The seconds, the cores' seconds and the peak memory in MB (2^20 bytes) of one command, and what it printed."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "minigan", "evaluate", str(folder), "--json", "--offline"]
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, env=ENV, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)  # of this process alone, unlike getrusage's children
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed")
        out.seek(0)
        result = json.load(out)
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return seconds, usage.ru_utime + usage.ru_stime, kilobytes / 1024, result


def run(again):
    for recipe in RECIPES:
        before = RESULTS.read().get(recipe)
        if before and not again:
            continue
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work) / "run"
            flags = ["--dataset", "mnist", "--offline", "--epochs", "1", "--images", "1000", "--out", str(folder)]
            train = [sys.executable, "-m", "minigan", "train", recipe, *flags]
            subprocess.run(train, check=True, env=ENV, stdout=subprocess.DEVNULL)
            seconds, cpu, peak, results = zip(*(measure(folder) for _ in range(REPEATS)), strict=True)
        least = [round(min(seconds), 1), round(min(cpu), 1), round(max(peak))]
        if before:
            least = [min(least[0], before["seconds"]), min(least[1], before["cpu_s"]), max(least[2], before["peak_mb"])]
        facts = {"samples": results[0]["count"], "threads": THREADS, "cores": os.cpu_count()}
        RESULTS.add(recipe, dict(zip(("seconds", "cpu_s", "peak_mb"), least, strict=True)) | facts)


def table():
    """The stored results as Markdown."""
    lines = ["| generator | seconds | seconds of all cores | peak memory, MB |", "|---|---|---|---|"]
    for recipe, r in RESULTS.read().items():
        lines.append(f"| `{recipe}` | {r['seconds']:.0f} | {r['cpu_s']:.0f} | {r['peak_mb']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--again", action="store_true", help="measure what has been measured, too")
    arguments = parser.parse_args()
    if not arguments.table:
        run(arguments.again)
    print(table())
