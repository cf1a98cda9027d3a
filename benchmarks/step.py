"""How long does a training step take, beside PyTorch's; on what; and how near is it to what the machine can do?

    python benchmarks/step.py [NAME …]      measure of these recipes, or all, what results/step.json lacks of this kind
                                            of machine, and print the tables (step_tables.py)
                              --again       … and what it has, once more
                              --peers       … only beside PyTorch: no memory, no other sizes
    python benchmarks/step.py --table       print the tables of the stored results

Each library runs in a process of its own, so that their threads do not fight, and they take turns in short rounds of
one run, since the machine's speed drifts: the ratio of a round is worth more than any absolute time. The peer is
PyTorch as in torch_peers.py, eager and compiled, D's two batches also as one where that is equal, images also in its
format channels_last; the best of them counts. Which library is ahead depends on whose matrix products are faster on
this kind of machine: so in the same rounds the products of minigan's step are timed each shape by itself, through NumPy
and through PyTorch. OpenBLAS chooses its kernel itself unless OPENBLAS_CORETYPE is set, which can slow NumPy down: then
both are measured.

The roofline of a step is the time of its matrix products alone, each shape by itself through NumPy, plus the least
bytes that must move, at the speed of a large copy; it is measured in the same rounds, and so is the share of a step
that is not matrix products, with a clock around each as in `minigan bench`.
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
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import turns
from roofline import Products, Roofline
from step_tables import GROWN, RATES, RESULTS, SYSTEMS, stored, tables

from minigan.cli.machine import blas
from minigan.recipes import RECIPES
from minigan.train.timing import PRODUCTS, Ledger, Stepper, bench, booked

CONVOLUTIONS = ("flux-dcgan", "keras-upconv")
SGEMM = "PyTorch's products"  # a worker
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
            ms = statistics.median(stepper.times(idle + steps)[idle:])
            ledger = booked(stepper, steps // 2)
            rate = ledger.flops / ledger.seconds[PRODUCTS] / 1e9
            return {"ms": ms, "not_products": ledger.not_products, "in_step": rate, **roofline.measure()}

    elif library == SGEMM:
        import torch

        with (ledger := Ledger()).open():
            Stepper(recipe).step()
        products = Products(ledger.products, torch.matmul, torch.from_numpy)

        def times() -> dict:
            return {"GFLOP/s": products.flops / products.seconds() / 1e9}

    else:
        from torch_peers import Peer

        words = ("joined", "compiled", "channels_last")
        peer = Peer(recipe, 0, **{word: word in library for word in words})
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


def peers(name: str) -> list[str]:
    """The forms of the peer: D's batches joined where nothing in D mixes the batch, and apart if the recipe says so."""
    from torch_peers import mixes

    recipe = RECIPES[name]
    apart = [""] if recipe.d_batching == "separate" else []
    joined = [] if mixes(recipe.networks(np.random.default_rng(0))[1]) else [" joined"]
    formats = ("", " channels_last") if name in CONVOLUTIONS else ("",)
    return [f"PyTorch {how}{d}{form}" for how in ("eager", "compiled") for d in apart + joined for form in formats]


def compare(name: str, coretype: str | None, count: int) -> dict:
    """Rounds of all libraries in turn: medians, the ratios of the rounds to the best peer, and the roofline."""
    names = ["minigan", *((SGEMM, *peers(name)) if find_spec("torch") else ())]
    env = environment(coretype)
    workers = [([sys.executable, __file__, "--worker", library, name], env) for library in names]
    rounds = dict(zip(names, turns.take_turns(workers, count, pause=0.3), strict=True))
    ours, sgemm = rounds["minigan"], rounds.pop(SGEMM, None)
    row = {"machine": machine(), "rounds": count}
    row["ms"] = {k: round(statistics.median(a["ms"] for a in answers), 2) for k, answers in rounds.items()}
    row["ms_range"] = {k: [round(f(a["ms"] for a in v), 2) for f in (min, max)] for k, v in rounds.items()}
    if len(rounds) > 1:
        best = min((library for library in rounds if library != "minigan"), key=row["ms"].get)
        ratios = sorted(p["ms"] / m["ms"] for p, m in zip(rounds[best], ours, strict=True))
        row |= {"best_peer": best, "ratio": round(statistics.median(ratios), 3)}
        row["ratio_range"] = [round(ratios[0], 3), round(ratios[-1], 3)]
    rates = {"NumPy": ours, "PyTorch": sgemm or [], "NumPy, within a step": [{"GFLOP/s": a["in_step"]} for a in ours]}
    row[RATES] = {k: round(statistics.median(a["GFLOP/s"] for a in v), 1) for k, v in rates.items() if v}
    row["not_products"] = round(statistics.median(a["not_products"] for a in ours), 3)
    for field in ("products_ms", "bytes_ms", "GB/s"):
        row[field] = round(statistics.median(a[field] for a in ours), 2)
    shares = [(a["products_ms"] + a["bytes_ms"]) / a["ms"] for a in ours]
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


def processor() -> dict[str, str]:
    """What /proc/cpuinfo says of the first core, where there is one."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().partition("\n\n")[0].splitlines() if path.exists() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def machine() -> dict:
    """The machine's kind, which rows are keyed by, and what runs on it.

    A virtual machine may call its processor no more than "AMD EPYC": so its family and model are told as well.
    """
    cpu = processor()
    name = f"{cpu.get('model name', 'unknown')} (family {cpu.get('cpu family', '-')}, model {cpu.get('model', '-')})"
    wide = "AVX-512" if "avx512f" in cpu.get("flags", "").split() else "no AVX-512"
    versions = {"python": sys.version.split()[0], "numpy": np.__version__}
    versions["torch"] = version("torch") if find_spec("torch") else "-"
    return {"kind": f"{name}, {wide}, {len(os.sched_getaffinity(0))} cores", **versions}


def measure(names: Sequence[str], again: bool, peers_only: bool, rounds: int) -> None:
    kernels = [None, *filter(None, [os.environ.get("OPENBLAS_CORETYPE")])]
    jobs = {f"BLAS {kernel or 'unset'}": lambda k=kernel: in_a_process("--blas", coretype=k) for kernel in kernels}
    for name in names:
        for kernel in kernels:
            jobs[f"{name} {kernel or 'unset'}"] = lambda n=name, k=kernel: compare(n, k, rounds)
    for name in () if peers_only else names:
        jobs[f"{name} parts"] = lambda n=name: in_a_process("--bench", n, "{}")
        jobs[f"{name} memory"] = lambda n=name: peak_memory(n)
        if name in GROWN:
            jobs[f"{name} growth"] = lambda n=name: growth(n)
    kind = machine()["kind"]
    for key, job in jobs.items():
        if again or key not in stored().get(kind, {}):
            RESULTS.add(f"{kind}: {key}", job())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SYSTEMS))
    parser.add_argument("--again", action="store_true", help="measure once more what is stored")
    parser.add_argument("--peers", action="store_true", help="only beside PyTorch")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of the comparison with PyTorch ({ROUNDS})")
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
            if unknown := set(arguments.names) - set(SYSTEMS):
                parser.error(f"no such recipe here: {', '.join(unknown)}; there are {', '.join(SYSTEMS)}")
            measure(arguments.names or SYSTEMS, arguments.again, arguments.peers, arguments.rounds)
        print("\n\n".join(f"{name}\n\n{table}" for name, table in tables().items()))
