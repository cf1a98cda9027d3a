"""What does a penalty on D's gradient cost, here and in PyTorch? A step of D without one, with R1, with WGAN-GP.

    python benchmarks/penalty.py [CRITIC …]    measure, add to results/penalty.json, print the table
                                 --rounds N    of so many rounds
    python benchmarks/penalty.py --table       print the table of the stored results

The fakes are handed in, Adam is included. Each library runs in a process of its own; they take turns in short rounds of
one run, and in its turn each makes some steps of every kind: so the ratios of a round are of one moment. The peer is
PyTorch with torch_peers.py's networks and fused Adam, each form in a process: eager, where the penalty's gradient is by
`create_graph`, and compiled, where it is by `torch.func.vjp` within the function that is compiled; images also in the
format channels_last. For each kind of step the best of them counts. Real and fake are one batch where that is equal:
without a penalty and, in PyTorch, in the loss beside WGAN-GP's. In the same rounds the products of minigan's step
without a penalty are timed each shape by itself, through NumPy and through PyTorch.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import turns
from results import Results
from roofline import Products
from step import environment, machine

from minigan import backend
from minigan.gan import GANLoss, Penalty, discriminator_step
from minigan.nn import Sequential, SpectralNorm
from minigan.optim import Adam
from minigan.recipes import RECIPES
from minigan.train.timing import Ledger

RESULTS = Results("penalty")
#: {recipe: (steps in a turn that find the caches full of others' and are not counted, steps that are)}
CRITICS = {"best": (5, 30), "flux-dcgan": (1, 4)}
KINDS = ("none", "r1", "wgan-gp")
AIMS = {"best": {"r1": 1.5, "wgan-gp": 2.0}, "flux-dcgan": {"r1": 1.3, "wgan-gp": 1.8}}
WEIGHT, ROUNDS = 10.0, 15


class Ours:
    """D of a recipe, without spectral normalisation, on one batch of real and one of fake images."""

    def __init__(self, name: str):
        backend.keep_memory()  # as a run does
        recipe, rng = RECIPES[name], np.random.default_rng(0)
        self.G, made = recipe.networks(rng)
        layers = [layer.layer if isinstance(layer, SpectralNorm) else layer for layer in recipe.layers()[1]]
        self.D = Sequential(layers, made.in_shape, rng=rng)
        self.options = {"lr": recipe.lr_d, "beta1": recipe.beta1, "beta2": recipe.beta2, "eps": recipe.eps}
        self.adam = Adam(self.D, **self.options)
        self.x_real = rng.uniform(-1, 1, (recipe.batch_size, *made.in_shape)).astype(np.float32)
        self.fakes = self.G.forward(rng.standard_normal((recipe.batch_size, recipe.latent_dim), np.float32), train=True)
        self.losses = {kind: GANLoss(output="logit", kind="wasserstein" if "w" in kind else "bce") for kind in KINDS}
        self.penalties = {kind: None if kind == "none" else Penalty(kind, WEIGHT) for kind in KINDS}
        self.steps = 0

    def step(self, kind: str) -> None:
        self.steps += 1
        rng, penalty_rng = (backend.RandomStream(0, stream, self.steps) for stream in ("dropout", "penalty"))
        drawn = {"penalty": self.penalties[kind], "rng": rng, "penalty_rng": penalty_rng}
        discriminator_step(self.G, self.D, self.adam, self.losses[kind], self.x_real, fakes=self.fakes, **drawn)


class Peer:
    """The same D in PyTorch."""

    def __init__(self, ours: Ours, form: str):
        import torch
        from torch_peers import network

        self.torch, self.compiled, last = torch, "compiled" in form, "channels_last" in form
        layout = torch.channels_last if last else torch.contiguous_format
        self.D = network(ours.D, last).to(memory_format=layout)
        images = (torch.from_numpy(x) for x in (ours.x_real, ours.fakes[0]))
        self.batches = [x.permute(0, 3, 1, 2).clone(memory_format=layout) if x.ndim == 4 else x for x in images]
        betas = ours.options["beta1"], ours.options["beta2"]
        rates = {"lr": ours.options["lr"], "eps": ours.options["eps"]}
        self.adam = torch.optim.Adam(self.D.parameters(), **rates, betas=betas, fused=True)
        losses = {"none": self.plain, "r1": self.with_r1, "wgan-gp": self.with_wgan_gp}
        self.losses = {k: torch.compile(loss, dynamic=False) if self.compiled else loss for k, loss in losses.items()}

    def step(self, kind: str) -> None:
        self.adam.zero_grad(set_to_none=True)
        self.losses[kind](*self.batches).backward()
        self.adam.step()

    def bce(self, out_real: Any, out_fake: Any) -> Any:
        softplus = self.torch.nn.functional.softplus
        return softplus(-out_real).mean() + softplus(out_fake).mean()

    def judged(self, x_real: Any, x_fake: Any) -> Any:
        return self.D(self.torch.cat([x_real, x_fake])).split(len(x_real))

    def steepness(self, x: Any) -> tuple[Any, Any]:
        """(D(x), ‖g‖² of each example), to be differentiated once more."""
        if self.compiled:
            out, pull = self.torch.func.vjp(self.D, x)
            (g,) = pull(self.torch.ones_like(out))
        else:
            x = x.detach().requires_grad_()
            out = self.D(x)
            (g,) = self.torch.autograd.grad(out.sum(), x, create_graph=True)
        return out, g.flatten(1).square().sum(1)

    def plain(self, x_real: Any, x_fake: Any) -> Any:
        return self.bce(*self.judged(x_real, x_fake))

    def with_r1(self, x_real: Any, x_fake: Any) -> Any:
        out_real, squares = self.steepness(x_real)
        return self.bce(out_real, self.D(x_fake)) + WEIGHT / 2 * squares.mean()

    def with_wgan_gp(self, x_real: Any, x_fake: Any) -> Any:
        out_real, out_fake = self.judged(x_real, x_fake)
        share = self.torch.rand(len(x_real), *[1] * (x_real.ndim - 1))
        _, squares = self.steepness(x_fake + share * (x_real - x_fake))
        return out_fake.mean() - out_real.mean() + WEIGHT * (squares.sqrt() - 1).square().mean()


def worker(form: str, name: str) -> None:
    """Whenever a line arrives on standard input, time some steps of every kind, and the products; answer in JSON."""
    ours = Ours(name)
    with (ledger := Ledger()).open():
        ours.step("none")
    if form == "minigan":
        step, products = ours.step, Products(ledger.products, backend.matmul)
    else:
        peer = Peer(ours, form)
        step, products = peer.step, Products(ledger.products, peer.torch.matmul, peer.torch.from_numpy)

    def times() -> dict[str, float]:
        found = {kind: median_ms(partial(step, kind), *CRITICS[name]) for kind in KINDS}
        return {**found, "GFLOP/s": products.flops / products.seconds() / 1e9}

    times()
    for _ in sys.stdin:
        print(json.dumps(times()), flush=True)


def median_ms(step: Callable[[], None], idle: int, steps: int) -> float:
    times = []
    for _ in range(idle + steps):
        began = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times[idle:])


def compare(name: str, count: int) -> dict[str, Any]:
    """Medians of the rounds: each kind's ms, its factor to the step without, and PyTorch's ms to minigan's."""
    layouts = ("", " channels_last") if len(RECIPES[name].image_shape) == 3 else ("",)
    forms = ["minigan", *(f"PyTorch {how}{layout}" for how in ("eager", "compiled") for layout in layouts)]
    workers = [([sys.executable, __file__, "--worker", form, name], environment(None)) for form in forms]
    rounds = dict(zip(forms, turns.take_turns(workers, count, pause=0.3), strict=True))
    ms = {
        form: {kind: statistics.median(a[kind] for a in answers) for kind in KINDS} for form, answers in rounds.items()
    }
    best = {kind: min(forms[1:], key=lambda form, kind=kind: ms[form][kind]) for kind in KINDS}
    row: dict[str, Any] = {"machine": machine(), "rounds": count, "best_peer": best}
    row["ms"] = {form: {kind: round(t, 2) for kind, t in found.items()} for form, found in ms.items()}
    for kind in KINDS:
        ours = [a[kind] for a in rounds["minigan"]]
        theirs = [a[kind] for a in rounds[best[kind]]]
        row[kind] = {
            "factor": ratio(ours, [a["none"] for a in rounds["minigan"]]),
            "PyTorch's factor": ratio(theirs, [a["none"] for a in rounds[best["none"]]]),
            "PyTorch / minigan": ratio(theirs, ours),
        }
    libraries = {"NumPy": "minigan", "PyTorch": best["none"]}
    row["GFLOP/s"] = {k: round(statistics.median(a["GFLOP/s"] for a in rounds[f])) for k, f in libraries.items()}
    return row


def ratio(a: list[float], b: list[float]) -> list[float]:
    """The median of the rounds' ratios, the least and the greatest."""
    ratios = sorted(x / y for x, y in zip(a, b, strict=True))
    return [round(found, 3) for found in (statistics.median(ratios), ratios[0], ratios[-1])]


def table() -> str:
    lines = [
        "| critic of | penalty | minigan, ms | times the step without (rounds) | at most | PyTorch, ms | its best form "
        "| times the step without | PyTorch / minigan (rounds) | products, NumPy's and PyTorch's, GFLOP/s |",
        "|---" * 10 + "|",
    ]
    for name, row in RESULTS.read().items():
        for kind in KINDS:
            best, found = row["best_peer"][kind], row[kind]
            factor, theirs, both = ("{:.2f} ({:.2f}–{:.2f})".format(*ratios) for ratios in found.values())
            form = best.removeprefix("PyTorch ").replace("_", " ")
            lines.append(
                f"| `{name}` | {kind} | {row['ms']['minigan'][kind]:.1f} | {factor} | {AIMS[name].get(kind, '–')} "
                f"| {row['ms'][best][kind]:.1f} | {form} | {theirs} | **{both}** "
                f"| {row['GFLOP/s']['NumPy']}, {row['GFLOP/s']['PyTorch']} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CRITIC", help=", ".join(CRITICS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"({ROUNDS})")
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
    else:
        for name in () if arguments.table else arguments.names or CRITICS:
            RESULTS.add(name, compare(name, arguments.rounds))
        print(table())
