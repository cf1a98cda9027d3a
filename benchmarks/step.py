"""How long does a training step take, beside PyTorch's; on what; and how near is it to what the machine can do?

    python benchmarks/step.py                    measure what results/step.json lacks, print the tables
    python benchmarks/step.py --again NAME …     measure these recipes once more
    python benchmarks/step.py --table            print the tables of the stored results

Each library runs in a process of its own, so that their threads do not fight, and they take turns in short rounds of
one run, since the machine's speed drifts: the ratio of a round is worth more than any absolute time. The peer is
PyTorch as in torch_peers.py, eager and compiled, images also in its format channels_last; the best of them counts.
OpenBLAS chooses its kernel itself unless OPENBLAS_CORETYPE is set, which can slow NumPy down: then both are measured.

The roofline of a step is the time of its matrix products alone, each shape by itself through NumPy, plus the least
bytes that must move, at the speed of a large copy; it is measured in the same rounds.
"""

from __future__ import annotations

from minigan.backend import threads

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import turns
from results import Results
from roofline import Roofline

from minigan.cli.machine import blas
from minigan.recipes import RECIPES
from minigan.train.timing import PARTS, Stepper, bench

RESULTS = Results("step")
SYSTEMS = ("flux-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
CONVOLUTIONS = ("flux-dcgan", "keras-upconv")
TARGETS = dict(zip(SYSTEMS, (1.6, 1.6, 1.3, 1.1, 1.1), strict=True))
ROUNDS = 9


# What runs in a process of its own ------------------------------------------------------------------------------------


def worker(library: str, name: str) -> None:
    """Whenever a line arrives on standard input, time some steps and answer with one line of JSON."""
    recipe = RECIPES[name]
    idle, steps = (1, 5) if name in CONVOLUTIONS else (5, 40)  # the first find the caches full of the others' numbers
    if library == "minigan":
        assert threads.CORES == len(os.sched_getaffinity(0)), "the cores do not share: was NumPy imported first?"
        stepper = Stepper(recipe)
        roofline = Roofline(stepper)

        def times() -> dict:
            return {"ms": statistics.median(stepper.times(idle + steps)[idle:]), **roofline.measure()}

    else:
        from torch_peers import Peer

        peer = Peer(recipe, 0, compiled="compiled" in library, channels_last="channels_last" in library)
        batches = np.random.default_rng(0).uniform(-1, 1, (10, recipe.batch_size, *recipe.image_shape))
        xs = [peer.prepare(batch.astype(np.float32)) for batch in batches]

        def times() -> dict:
            found = []
            for i in range(idle + steps):
                began = time.perf_counter()
                peer.step(xs[i % 10])
                found.append(1e3 * (time.perf_counter() - began))
            return {"ms": statistics.median(found[idle:])}

    times()
    for _ in sys.stdin:
        print(json.dumps(times()), flush=True)


# The measurements -----------------------------------------------------------------------------------------------------


def environment(coretype: str | None) -> dict[str, str]:
    rest = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_") or k == "OPENBLAS_THREAD_TIMEOUT"}
    return rest if coretype is None else {**rest, "OPENBLAS_CORETYPE": coretype}


def libraries(name: str) -> list[str]:
    if not find_spec("torch"):
        return ["minigan"]
    formats = ("", " channels_last") if name in CONVOLUTIONS else ("",)
    return ["minigan", *(f"PyTorch {how}{form}" for how in ("eager", "compiled") for form in formats)]


def compare(name: str, coretype: str | None) -> dict:
    """Rounds of all libraries in turn: medians, the ratios of the rounds to the best peer, and the roofline."""
    names, env = libraries(name), environment(coretype)
    workers = [([sys.executable, __file__, "--worker", library, name], env) for library in names]
    rounds = dict(zip(names, turns.take_turns(workers, ROUNDS, pause=0.3), strict=True))
    ms = {library: statistics.median(a["ms"] for a in answers) for library, answers in rounds.items()}
    row = {"machine": machine(), "rounds": ROUNDS, "ms": {k: round(v, 2) for k, v in ms.items()}}
    row["ms_range"] = {k: [round(f(a["ms"] for a in v), 2) for f in (min, max)] for k, v in rounds.items()}
    if len(ms) > 1:
        best = min((library for library in ms if library != "minigan"), key=ms.get)
        ratios = sorted(p["ms"] / m["ms"] for p, m in zip(rounds[best], rounds["minigan"], strict=True))
        row |= {"best_peer": best, "ratio": round(statistics.median(ratios), 3)}
        row["ratio_range"] = [round(ratios[0], 3), round(ratios[-1], 3)]
    for field in ("products_ms", "bytes_ms", "GB/s"):
        row[field] = round(statistics.median(a[field] for a in rounds["minigan"]), 2)
    shares = [(a["products_ms"] + a["bytes_ms"]) / a["ms"] for a in rounds["minigan"]]
    row["roofline"] = round(statistics.median(shares), 3)
    return row


def in_a_process(*arguments: str, coretype: str | None = None) -> Any:
    """The JSON that this script prints when it is called with these arguments, with OPENBLAS_CORETYPE unset or so."""
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment(coretype)).stdout)


def growth(name: str) -> dict:
    """Step time and memory at other batch sizes, and at other widths of all hidden layers."""
    recipe, found = RECIPES[name], {"batch": {}, "width": {}}
    for size in (32, 128, 512, 2048):
        found["batch"][str(size)] = in_a_process("--bench", name, json.dumps({"batch_size": size}))
    for factor in (0.25, 0.5, 1, 2, 4) if name not in CONVOLUTIONS else (0.25, 0.5, 1, 2):
        hidden = {k: [int(factor * n) for n in getattr(recipe, k)] for k in ("g_hidden", "d_hidden")}
        found["width"][f"{factor:g}"] = in_a_process("--bench", name, json.dumps(hidden))
    return {
        kind: {k: {"step_ms": r["step_ms"], "peak_mb": r["peak_mb"]} for k, r in results.items()}
        for kind, results in found.items()
    }


def peak_memory(name: str) -> dict:
    """The largest resident size of `minigan train NAME` over a short run, imports, data and pictures included."""
    with tempfile.TemporaryDirectory() as folder:
        few = ["--epoch-steps", "60"] if name in CONVOLUTIONS else []
        command = [sys.executable, "-m", "minigan", "train", name, "--epochs", "1", *few, "--out", f"{folder}/run"]
        code = (
            "import json, resource, subprocess, sys\n"
            f"done = subprocess.run({command!r}, capture_output=True, text=True, check=True)\n"
            "data = 'mnist' if 'of mnist' in done.stdout else 'glyphs'\n"
            "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
            "print(json.dumps({'dataset': data, 'peak_mb': round(peak / 1024)}))"
        )
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, env=environment(None))
    return json.loads(done.stdout)


def machine() -> dict:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    versions = {"python": sys.version.split()[0], "numpy": np.__version__}
    return {"cpu": cpu, "cores": os.cpu_count(), **versions, "torch": version("torch") if find_spec("torch") else "-"}


def measure(again: list[str]) -> None:
    kernels = [None, *filter(None, [os.environ.get("OPENBLAS_CORETYPE")])]
    jobs = [
        (f"{name} {kernel or 'unset'}", name, lambda n=name, k=kernel: compare(n, k))
        for name in SYSTEMS
        for kernel in kernels
    ]
    jobs += [
        (f"BLAS {kernel or 'unset'}", "", lambda k=kernel: in_a_process("--blas", coretype=k)) for kernel in kernels
    ]
    jobs += [(f"{name} parts", name, lambda n=name: in_a_process("--bench", n, "{}")) for name in SYSTEMS]
    jobs += [(f"{name} memory", name, lambda n=name: peak_memory(n)) for name in SYSTEMS]
    jobs += [(f"{name} growth", name, lambda n=name: growth(n)) for name in ("flux-mlp", "flux-dcgan")]
    done = RESULTS.read()
    for key, name, job in jobs:
        if key not in done or name in again:
            RESULTS.add(key, job())


# The tables -----------------------------------------------------------------------------------------------------------


def tables() -> dict[str, str]:
    """{name: the table in Markdown} of the stored results."""
    results = RESULTS.read()
    return {
        "machine": ", ".join(f"{k} {v}" for k, v in results["flux-mlp unset"]["machine"].items()),
        "blas": "; ".join(f"{key.removeprefix('BLAS ')}: {found}" for key, found in results.items() if "BLAS " in key),
        "peers": peers_table(results),
        "parts": parts_table(results),
        "memory": memory_table(results),
        "growth": growth_table(results),
    }


def peers_table(results: dict) -> str:
    lines = [
        "| recipe | OPENBLAS_ CORETYPE | minigan, ms | PyTorch eager, ms | compiled, ms | best PyTorch / minigan "
        "(rounds) | aim | products + bytes, ms | share of the roofline |",
        "|---" * 9 + "|",
    ]
    for name in SYSTEMS:
        for kernel in ("unset", os.environ.get("OPENBLAS_CORETYPE", "Haswell")):
            if not (r := results.get(f"{name} {kernel}")):
                continue
            ms = r["ms"]
            eager, compiled = (
                " / ".join(f"{v:.1f}" for k, v in ms.items() if k.startswith(f"PyTorch {how}")) or "–"
                for how in ("eager", "compiled")
            )
            low, high = r.get("ratio_range", (0, 0))
            lines.append(
                f"| {name} | {kernel} | {ms['minigan']:.1f} | {eager} | {compiled} "
                f"| **{r.get('ratio', 0):.2f}** ({low:.2f}–{high:.2f}) | {TARGETS[name]} "
                f"| {r['products_ms']:.1f} + {r['bytes_ms']:.1f} | {r['roofline']:.0%} |"
            )
    return "\n".join(lines)


def parts_table(results: dict) -> str:
    lines = [
        f"| recipe | step, ms | {' | '.join(PARTS)} | GFLOP | GFLOP/s in products (in all) | arrays of a step, MB "
        "| fresh pages |"
    ]
    lines.append("|---" * (len(PARTS) + 6) + "|")
    for name in SYSTEMS:
        if r := results.get(f"{name} parts"):
            whole = sum(r["parts_ms"].values())
            shares = " | ".join(f"{ms / whole:.0%}" for ms in r["parts_ms"].values())
            rates = f"{r['products_gflops']:.0f} ({r['gflops']:.0f})"
            lines.append(
                f"| {name} | {r['step_ms']:.1f} | {shares} | {r['gflop']:.1f} | {rates} "
                f"| {r['step_mb']} | {r['fresh_pages']} |"
            )
    return "\n".join(lines)


def memory_table(results: dict) -> str:
    lines = ["| recipe | data | most memory of `minigan train`, MB |", "|---|---|---|"]
    for name in SYSTEMS:
        if r := results.get(f"{name} memory"):
            lines.append(f"| {name} | {r['dataset']} | {r['peak_mb']} |")
    return "\n".join(lines)


def growth_table(results: dict) -> str:
    lines = ["| recipe | what | times the published | step, ms | memory, MB |", "|---|---|---|---|---|"]
    for name in ("flux-mlp", "flux-dcgan"):
        for kind, found in results.get(f"{name} growth", {}).items():
            for k, r in found.items():
                what = f"batch {k}" if kind == "batch" else "width"
                times = f"{int(k) / RECIPES[name].batch_size:g}" if kind == "batch" else k
                lines.append(f"| {name} | {what} | {times} | {r['step_ms']:.1f} | {r['peak_mb']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", nargs="+", default=[], choices=SYSTEMS, help="measure these once more")
    parser.add_argument("--table", action="store_true", help="only print the tables of the stored results")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--blas", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bench", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
    elif arguments.blas:
        print(json.dumps(next(blas())))
    elif arguments.bench:
        from dataclasses import replace

        name, changes = arguments.bench
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(changes).items()}
        print(json.dumps(bench(replace(RECIPES[name], **fields), steps=8 if name in CONVOLUTIONS else 60)))
    else:
        if not arguments.table:
            measure(arguments.again)
        print("\n\n".join(f"{name}\n\n{table}" for name, table in tables().items()))
