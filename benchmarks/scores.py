"""How good are the digits that each recipe draws after five minutes on two cores?

    python benchmarks/scores.py             train and score what has no result yet, seed by seed
    python benchmarks/scores.py --only best the same for the recipes whose name begins so
    python benchmarks/scores.py --table     print the table of docs/best.md from results/scores.json
    python benchmarks/scores.py --time      time `minigan train best` from start to end (run nothing else meanwhile)

Five minutes are counted in steps: as many whole epochs as fit into 300 s at the pace of a step on two idle cores, as
benchmarks/step.py had measured it before the first of them. So the result does not depend on what else the machine is
doing, and two of these, each with an --only of its own, may run beside each other with OPENBLAS_NUM_THREADS=1. Each is
trained by `minigan.runs.start`, alarms on, on MNIST's 60,000 training images (or those that the recipe takes:
keras-upconv and renom-maxout learn from test images too, which flatters them), and scored as `minigan evaluate` does.
What the alarms said is kept. Interrupted, a run goes on from its newest checkpoint. (The recipes of the house keep
their own number of epochs; the form of `best` for half an hour goes on from the run of the same seed, if that is still
there.) `best` and `quick-mlp` are also trained on glyphs, which need no network, and held against glyphs.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy: see minigan/__init__.py)

import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from results import Results

from minigan import runs
from minigan.recipes import RECIPES, Recipe
from minigan.runs.reference import Reference, measure_images

RESULTS, SAMPLES, SECONDS = Results("scores"), 10_000, 300
PUBLISHED = ("flux-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
PACE = {
    "flux-mlp": 16.99,
    "pytorch-mlp": 3.38,
    "renom-maxout": 31.75,
    "flux-dcgan": 126.23,
    "keras-upconv": 153.12,
}  # ms
LONG = "best, half an hour"
HOUSE = {  # the first shows what the cube is worth from which `best` draws its latents
    "best, normal latents": replace(RECIPES["best"], latents="normal"),
    "best": RECIPES["best"],
    LONG: replace(RECIPES["best"], epochs=540),
    "quick-mlp": RECIPES["quick-mlp"],
}
GLYPHS = {f"{name} on glyphs": RECIPES[name] for name in ("best", "quick-mlp")}
SEEDS = {  # how many; the table's order
    **dict.fromkeys(PUBLISHED, 3),
    **{"best, normal latents": 5, "best": 5, LONG: 1, "quick-mlp": 3},
    **dict.fromkeys(GLYPHS, 1),
}
REAL, NOISE = "training images", "noise"
COLUMNS = (
    "runs", "Fréchet distance", "MNIST score", "precision", "recall", "Parzen (nats)", "rarest digit (%)", "kernel",
    "copies (%)", "alarms",
)  # fmt: skip


def recipe_of(name: str) -> Recipe:
    """A published recipe with as many epochs as fit into five minutes; those of the house as they are."""
    if made := {**HOUSE, **GLYPHS}.get(name):
        return made
    recipe = RECIPES[name]
    batches = recipe.images / recipe.batch_size
    steps = recipe.epoch_steps or (math.floor(batches) if recipe.drop_last else math.ceil(batches))
    return replace(recipe, epochs=max(1, int(1000 * SECONDS / (PACE[name] * steps))))


def jobs() -> dict[str, tuple[str, int]]:
    """{label: (recipe, seed)}, all recipes for one seed, then the next; the house recipe first."""
    pairs = [
        (name, seed) for seed in range(5) for name in (*HOUSE, *GLYPHS, *reversed(PUBLISHED)) if seed < SEEDS[name]
    ]
    return {f"{name} seed {seed}": (name, seed) for name, seed in pairs}


def train(label: str, work: Path) -> tuple[runs.Run, int | None]:
    """The finished run, and how many seconds of CPU it took if all of it was trained now."""
    name, seed = jobs()[label]
    recipe, out, began = recipe_of(name), work / label.replace(" ", "-"), time.process_time()
    settings = {"preview_every": "never", "say": lambda line: print(line, flush=True)}
    if name == LONG and not out.exists() and (shorter := work / f"best-seed-{seed}").exists():
        shutil.copytree(shorter, out)
    if (out / "config.json").exists():
        run = runs.Run(out)
        if run.recipe == recipe and run.is_finished():
            return run, None
        if replace(run.recipe, epochs=recipe.epochs) == recipe:
            return runs.resume(out, epochs=recipe.epochs, **settings), None
    shutil.rmtree(out, ignore_errors=True)
    run = runs.start(recipe, seed=seed, dataset=data_of(name), out=out, device="cpu", sample_every="never", **settings)
    return run, round(time.process_time() - began)


def run(work: Path, only: str) -> None:
    references = {data: Reference.load(data) for data in ("mnist", "glyphs")}
    for data, reference in references.items():
        for kind, score in ((REAL, reference.training_scores), (NOISE, reference.noise_scores)):
            if row_of(kind, data) not in RESULTS.read():
                RESULTS.add(row_of(kind, data), score(SAMPLES))
    for label, (name, _) in jobs().items():
        if label in RESULTS.read() or not label.startswith(only):
            continue
        trained, seconds = train(label, work)
        facts = {"epochs": trained.epoch, "cpu_seconds": seconds, "alarms": [row["alarm"] for row in trained.alarms()]}
        RESULTS.add(label, {**measure_images(trained.sample(SAMPLES), references[data_of(name)]), **facts})


def data_of(name: str) -> str:
    """The data set that a recipe of the table learns from."""
    return "glyphs" if name in GLYPHS else "mnist"


def row_of(kind: str, data: str) -> str:
    """What the row of real images, or of noise, is called."""
    return kind if data == "mnist" else f"{kind} beside {data}"


def timed(work: Path) -> None:
    """`minigan train best` from its start to its end, data and pictures included, with 120 sheets more than usual."""
    settings = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS", "OMP_NUM"))}
    began = time.perf_counter()
    out = work / f"timed-{time.time():.0f}"
    flags = ["--dataset", "mnist", "--sample-every", "200steps", "--out", str(out)]
    subprocess.run([sys.executable, "-m", "minigan", "train", "best", *flags], check=True, env=settings)
    RESULTS.add("time of best", {"seconds": round(time.perf_counter() - began), "cores": os.cpu_count()})


def table(data: str = "mnist") -> str:
    """The stored results as Markdown; of the seeds the mean, and in brackets the least and the most."""
    results, systems = RESULTS.read(), [name for name in SEEDS if data_of(name) == data]
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for name in (row_of(REAL, data), row_of(NOISE, data), *systems):
        rows = [r for label, r in results.items() if label == name or label.startswith(f"{name} seed ")]
        if rows:
            cells = [
                spread([r["frechet"] for r in rows], 1),
                spread([r["mnist_score"]["mean"] for r in rows], 2),
                spread([r["precision"] for r in rows], 3),
                spread([r["recall"] for r in rows], 3),
                spread([r["parzen"]["mean"] for r in rows], 0),
                spread([100 * min(r["balance"]["shares"]) for r in rows], 1),
                spread([r["kernel"] for r in rows], 2),
                spread([100 * r["copies"]["share"] for r in rows], 1),
                ", ".join(sorted({alarm for r in rows for alarm in r.get("alarms", ())})) or "–",
            ]
            lines.append(f"| {name} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float], digits: int) -> str:
    """Mean (least…most), or the one number that all of them are."""
    mean, least, most = (f"{x:.{digits}f}" for x in (sum(values) / len(values), min(values), max(values)))
    return mean if least == most else f"{mean} ({least}\u2060…\u2060{most})"  # word joiners: no line breaks there


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--time", action="store_true", help="only time `minigan train best`")
    parser.add_argument("--only", default="", help="only the jobs whose name begins with this, e.g. 'best seed 0'")
    parser.add_argument("--work", type=Path, default=Path("runs/scores"), help="where the runs go")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.time:
        timed(arguments.work)
    elif not arguments.table:
        run(arguments.work, arguments.only)
    print(table(), table("glyphs"), sep="\n\n")
