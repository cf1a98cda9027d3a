"""Does packing stop mode collapse? Table 1 of the PacGAN paper with minigan: rings and grids of normal distributions.

    python benchmarks/papers/pacgan.py                       run what is missing, store it, print the table
    python benchmarks/papers/pacgan.py --packings 3 4 --jobs 2   only these, two at once
    python benchmarks/papers/pacgan.py --table               print the table of the stored results

As published (and, where the paper is silent, as in the authors' code, github.com/fjxmlzn/PacGAN):
ring of 8 modes (radius 1, standard deviation .01), grid of 25 (spacing 2, .05), 100,000 points; a step takes 100 groups
of `packing` points and as many fakes. G: 2 normal latents → 4 × [400 units without bias,
BatchNorm, ReLU] → 2; D: 3 × maxout of 200 × 5 → a logit. Weights N(0, .02²), biases 0; cross-entropy, that of G not
saturating, both gradients from the same passes; Adam, rate 1e-4, β1 .8. Scored: 2,500 samples, with BatchNorm's running
statistics.

What differs: 20,000 iterations and 5 runs where the paper has 400,000 and 10; each step draws its groups anew, the
authors' code 100,000 once, which it shuffles; BatchNorm sees all the fakes of a step as one batch, there each place of
the groups is its own. Each run has one BLAS thread, so that its result does not depend on the machine's cores, and two
fit beside each other; interrupted, the script begins the run that was under way again.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of every run, and before minigan and NumPy are imported
import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import argparse
import multiprocessing
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from minigan.backend import RandomStream, keep_memory
from minigan.gan import Feeding, GANLoss, simultaneous_step
from minigan.metrics.modes import PERFECT, SAMPLES, grid, ring, score_modes
from minigan.nn import BatchNorm, Dense, Maxout, ReLU, Sequential, init
from minigan.optim import Adam

sys.path.insert(0, str(Path(__file__).parents[1]))
from results import Results

RESULTS = Results("pacgan")
DATA = {"ring": ring(), "grid": grid()}
POINTS, GROUPS, LATENTS = 100_000, 100, 2
EVERY = 2_000  # iterations between two scores
PAPER = {  # modes, mean over the paper's runs
    ("ring", 1): "6.3",
    ("ring", 2): "7.9",
    ("grid", 1): "17.3",
    ("grid", 2): "23.8",
}


def players(packing: int, seed: int) -> tuple[Sequential, Sequential]:
    """G and D."""
    small, rng = init.normal(0.02), RandomStream(seed, "init").host
    norm = {"decay": 0.95, "eps": 1e-4}  # as in the Blocks library, which the authors used
    g_layers = [layer for _ in range(4) for layer in (Dense(400, bias=False, init_W=small), BatchNorm(**norm), ReLU())]
    d_layers = [layer for _ in range(3) for layer in (Dense(200 * 5, init_W=small), Maxout(5))]
    G = Sequential([*g_layers, Dense(2, init_W=small)], (LATENTS,), rng=rng)
    return G, Sequential([*d_layers, Dense(1, init_W=small)], (2 * packing,), rng=rng)


def run(data: str, packing: int, seed: int, iterations: int) -> dict:
    """Train one GAN; its scores every 2,000 iterations and after the last."""
    keep_memory()
    mixture, n = DATA[data], GROUPS * packing
    points = mixture.sample(POINTS, RandomStream(seed, "data").host)
    G, D = players(packing, seed)
    optimizers = [Adam(net, lr=1e-4, beta1=0.8) for net in (G, D)]
    loss, feeding = GANLoss(output="logit"), Feeding(packing=packing)
    curve, began = [], time.process_time()
    for step in range(iterations):
        x = points[RandomStream(seed, "shuffle", step).host.integers(POINTS, size=n)]
        z = RandomStream(seed, "latent", step).normal((n, LATENTS))
        simultaneous_step(G, D, *optimizers, loss, x, z, feeding=feeding)
        if (step + 1) % EVERY == 0 or step + 1 == iterations:
            score = score_modes(G(RandomStream(seed, "sample", step).normal((SAMPLES, LATENTS))), mixture)
            quality, kl = round(score.high_quality, 4), round(score.reverse_kl, 4)
            curve.append({"iteration": step + 1, "modes": score.modes, "high_quality": quality, "reverse_kl": kl})
    seconds = round(time.process_time() - began)
    return {**curve[-1], "counts": score.counts.tolist(), "cpu_seconds": seconds, "curve": curve}


def key_of(data: str, packing: int, seed: int, iterations: int) -> str:
    return f"{data}, packing {packing}, seed {seed}, {iterations} iterations"


def run_missing(names: list[str], packings: list[int], seeds: list[int], iterations: int, jobs: int) -> None:
    """Run what the results do not hold yet, `jobs` at once: every data set and packing for one seed, then the next."""
    wanted = [(data, packing, seed, iterations) for seed in seeds for packing in packings for data in names]
    missing = [job for job in wanted if key_of(*job) not in RESULTS.read()]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending = {pool.submit(run, *job): job for job in missing}
        for future in as_completed(pending):
            RESULTS.add(key_of(*pending[future]), future.result())


def table(seeds: list[int], iterations: int) -> str:
    """The stored results beside the paper's, as Markdown."""
    results = RESULTS.read()
    lines = [
        f"Samples of the data themselves: all modes, {PERFECT:.2%} of high quality, reverse KL 0. Ours after "
        f"{iterations:,} iterations, the paper's after 400,000; mean ± standard error over the runs.\n",
        "| data, packing | modes, paper | modes | of each seed | high quality | reverse KL |",
        "|---|---|---|---|---|---|",
    ]
    for data in DATA:
        for packing in (1, 2, 3, 4):
            keys = [key_of(data, packing, seed, iterations) for seed in seeds]
            rows = [results[key] for key in keys if key in results]
            if rows:
                modes, quality, kl = ([row[name] for row in rows] for name in ("modes", "high_quality", "reverse_kl"))
                cells = [
                    spread(modes, "{:.1f}"),
                    ", ".join(map(str, modes)),
                    spread(quality, "{:.1%}"),
                    spread(kl, "{:.2f}"),
                ]
                name = f"{data}, {packing}" + (" (plain GAN)" if packing == 1 else "")
                lines.append(f"| {name} | {PAPER.get((data, packing), '')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float], form: str) -> str:
    """mean ± standard error; the mean alone of a single value."""
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {form.format(statistics.stdev(values) / len(values) ** 0.5)}" if len(values) > 1 else mean


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--packings", type=int, nargs="+", default=[1, 2, 3, 4], help="how many points D sees at once")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--iterations", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=1, help="how many runs at once")
    arguments = parser.parse_args()
    if not arguments.table:
        run_missing(arguments.data, arguments.packings, arguments.seeds, arguments.iterations, arguments.jobs)
    print(table(arguments.seeds, arguments.iterations))
