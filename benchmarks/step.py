"""How long does a training step take, beside PyTorch's, and how much memory does training need?

    python benchmarks/step.py            measure, store results/step.json, print the table (PyTorch if installed)
    python benchmarks/step.py --table    print the table of the stored results

Each library runs in a process of its own, so that their threads do not fight, and they take turns in short rounds of
one run, since the machine's speed drifts: the ratio of a round is worth more than any absolute time. OpenBLAS chooses
its kernel itself unless OPENBLAS_CORETYPE is set, which can slow NumPy down; if it is set, both ways are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "step.json"
RECIPE_NAMES = ("flux-mlp", "pytorch-mlp")
ROUNDS, STEPS = 9, 40


def worker(library: str, name: str) -> None:
    """Time STEPS steps whenever a line arrives on standard input; answer with the median in milliseconds."""
    import numpy as np

    from minigan.recipes import RECIPES

    recipe = RECIPES[name]
    images = np.random.default_rng(0).integers(0, 256, (10 * recipe.batch_size, 28, 28), dtype=np.uint8)
    if library == "minigan":
        from minigan.train import Trainer

        trainer = Trainer(recipe, images)
        xs, step = list(trainer.batches.epoch(0)), trainer.train_step
    else:
        import torch
        from torch_mlp import Peer

        xs = [torch.from_numpy(images[i::10].reshape(-1, 784) / np.float32(127.5) - 1) for i in range(10)]
        step = Peer(recipe, 0).step
    for x in xs:
        step(x)
    for _ in sys.stdin:
        times = []
        for i in range(STEPS):
            began = time.perf_counter()
            step(xs[i % 10])
            times.append(1e3 * (time.perf_counter() - began))
        print(statistics.median(times), flush=True)


def environment(coretype: str | None) -> dict[str, str]:
    rest = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    return rest if coretype is None else {**rest, "OPENBLAS_CORETYPE": coretype}


def compare(name: str, coretype: str | None) -> dict:
    """Rounds of both libraries in turn; medians, and the median and spread of the rounds' ratios."""
    libraries = ["minigan", *(["pytorch"] if find_spec("torch") else [])]
    processes = {
        library: subprocess.Popen(
            [sys.executable, __file__, "--worker", library, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(coretype),
        )
        for library in libraries
    }  # fmt: skip
    times: dict[str, list[float]] = {library: [] for library in libraries}
    for _ in range(ROUNDS):
        for library, process in processes.items():
            process.stdin.write("go\n")
            process.stdin.flush()
            times[library].append(float(process.stdout.readline()))
            time.sleep(0.3)  # until the threads of this one have stopped spinning
    for process in processes.values():
        process.stdin.close()
        process.wait()
    row = {"recipe": name, "OPENBLAS_CORETYPE": coretype, "rounds": ROUNDS, "steps_per_round": STEPS}
    row |= {f"{library}_ms": round(statistics.median(values), 2) for library, values in times.items()}
    if "pytorch" in times:
        ratios = sorted(t / m for t, m in zip(times["pytorch"], times["minigan"], strict=True))
        row["ratio"] = round(statistics.median(ratios), 3)
        row["ratio_range"] = [round(ratios[0], 3), round(ratios[-1], 3)]
    return row


def peak_memory(name: str) -> dict:
    """The largest resident size of `minigan train NAME --epochs 1`, imports, data and pictures included."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "minigan", "train", name, "--epochs", "1", "--out", f"{folder}/run"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    data = "mnist" if "of mnist" in done.stdout else "glyphs"
    return {"recipe": name, "dataset": data, "peak_mb": round(kilobytes / 1024)}


def machine() -> dict:
    import numpy as np

    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), "unknown")
    versions = {"python": sys.version.split()[0], "numpy": np.__version__}
    if find_spec("torch"):
        from importlib.metadata import version

        versions["torch"] = version("torch")
    return {"cpu": cpu, "cores": os.cpu_count(), **versions}


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def table() -> str:
    """The stored results as Markdown."""
    results = json.loads(RESULTS.read_text())
    lines = [
        ", ".join(f"{k} {v}" for k, v in results["machine"].items()) + ".\n",
        "| recipe | OPENBLAS_CORETYPE | minigan, ms | PyTorch, ms | PyTorch / minigan (range of rounds) |",
        "|---|---|---|---|---|",
    ]
    for r in results["steps"]:
        low, high = r.get("ratio_range", ("–", "–"))
        kernel, ratio = r["OPENBLAS_CORETYPE"] or "unset", f"{r.get('ratio', '–')} ({low}–{high})"
        lines.append(f"| {r['recipe']} | {kernel} | {r['minigan_ms']} | {r.get('pytorch_ms', '–')} | {ratio} |")
    for m in results["memory"]:
        lines.append(f"\nPeak memory of `minigan train {m['recipe']}` on {m['dataset']}: {m['peak_mb']} MB.")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
    else:
        if not arguments.table:
            # The memory of each recipe is a maximum over all children so far, so the smallest comes first.
            memory = [peak_memory(name) for name in reversed(RECIPE_NAMES)]
            kernels = [None, *filter(None, [os.environ.get("OPENBLAS_CORETYPE")])]
            steps = [compare(name, kernel) for name in RECIPE_NAMES for kernel in kernels]
            RESULTS.write_text(json.dumps({"machine": machine(), "steps": steps, "memory": memory}, indent=1) + "\n")
        print(table())
