"""The MNIST row of the first GAN paper, with minigan: Parzen log-likelihood of the test images, 225 ± 2 nats.

    python benchmarks/papers/goodfellow2014.py               train up to 500 epochs, store the curve, print the table
    python benchmarks/papers/goodfellow2014.py --epochs 800  go on from there
    python benchmarks/papers/goodfellow2014.py --cool 8      not as published: 8 more at a tenth of the rate
    python benchmarks/papers/goodfellow2014.py --table       print the table of the stored results

As published (in the authors' code, github.com/goodfeli/adversarial, mnist.yaml): 100 latents from U(-√3, √3); G of
1200-1200 ReLU and 784 sigmoid units, weights U(±.05), the output's biases from the mean of each pixel; D of 240 × 5
maxout units twice and a sigmoid, weights U(±.005), dropout that keeps .8 of the input and .5 of both hidden layers, in
G's step too; the first 50,000 images in [0, 1], batches of 100; SGD of rate .1, divided by 1.000004 after each update
down to 1e-6, momentum from .5 to .7 over 250 epochs; both gradients from the same passes; G's loss does not saturate.

D's loss there is half the sum of its two cross-entropies. For SGD that is half D's rate, and here it is written so. The
number of epochs is not published: so the curve, every 5 epochs, and the epoch that the validation images would choose
(the first 1,000 of those that nobody learns from). The latents are uniform in mnist.yaml, but for one version of that
file, which leaves the default, N(0, 1). D computes with logits, which is the same loss without overflow. v ← momentum·v
+ gradient is multiplied by the rate of today, there each gradient by the rate of its day: 4e-6 apart.

One BLAS thread, so that the result does not depend on the machine's cores. Interrupted, it goes on from the last 5
epochs, bit for bit: the weights are in runs/goodfellow2014, the sheets of samples too.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before minigan and NumPy are imported
import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from minigan import plot
from minigan.backend import RandomStream, keep_memory
from minigan.data.batches import Batches
from minigan.data.mnist import load_mnist
from minigan.errors import DivergenceError
from minigan.gan import GANLoss, simultaneous_step
from minigan.metrics.parzen import SIGMAS, VALIDATION, log_likelihoods, parzen, parzen_log_likelihood
from minigan.nn import Dense, Dropout, Maxout, ReLU, Sequential, Sigmoid, init
from minigan.optim import SGD
from minigan.store.checkpoint import load_checkpoint, save_checkpoint
from minigan.train import generate

sys.path.insert(0, str(Path(__file__).parents[1]))
from results import Results

RESULTS = Results("goodfellow2014")
RUN = Path("runs/goodfellow2014")
IMAGES, BATCH, LATENTS, SAMPLES, EVERY = 50_000, 100, 100, 10_000, 5
PAPER = "225 ± 2"


def players(images: np.ndarray, seed: int) -> tuple[Sequential, Sequential]:
    """G, which begins with the brightness that each pixel has on average, and D."""
    g_start, d_start, rng = init.uniform(0.05), init.uniform(0.005), RandomStream(seed, "init").host
    hidden = [layer for _ in range(2) for layer in (Dense(1200, init_W=g_start), ReLU())]
    G = Sequential([*hidden, Dense(784, init_W=g_start), Sigmoid()], (LATENTS,), rng=rng)
    maxout = [(Dense(240 * 5, init_W=d_start), Maxout(5), Dropout(drop=0.5)) for _ in range(2)]
    d_layers = [Dropout(drop=0.2), *maxout[0], *maxout[1], Dense(1, init_W=d_start)]
    mean = (images.reshape(len(images), -1).mean(axis=0) / 255).clip(1e-7, 1 - 1e-7)
    G.named_params()["4.Dense.b"][...] = np.log(mean / (1 - mean))
    return G, Sequential(d_layers, (784,), rng=rng)


def latents(count: int, stream: RandomStream) -> np.ndarray:
    """(count, 100) draws from U(-√3, √3), of variance 1."""
    return np.float32(3**0.5) * (2 * stream.uniform((count, LATENTS)) - 1)


class Training:
    """The two players of a seed, their optimisers, and the images in [0, 1]."""

    def __init__(self, seed: int):
        (images, _), (test, _) = load_mnist("train"), load_mnist("test")
        self.images, unseen = images[:IMAGES], images[IMAGES:]
        self.validation, self.test = (
            x.reshape(len(x), -1).astype(np.float32) / 255 for x in (unseen[:VALIDATION], test)
        )
        self.seed, self.loss, self.checkpoint = seed, GANLoss(output="logit"), RUN / f"seed-{seed}.safetensors"
        self.G, self.D = players(self.images, seed)
        self.g_optimizer, self.d_optimizer = SGD(self.G, lr=0.1, momentum=0.5), SGD(self.D, lr=0.05, momentum=0.5)
        self.batches = Batches(self.images, BATCH, shape=(784,), value_range=(0.0, 1.0), seed=seed)
        optimizers = {"g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer}
        self.kept = {"networks": {"G": self.G, "D": self.D}, "optimizers": optimizers}
        self.first = load_checkpoint(self.checkpoint, **self.kept)["epoch"] if self.checkpoint.exists() else 0

    def epoch(self, epoch: int, slower: float = 1) -> float:
        """Go once over the images, at the rate of that epoch or a `slower` one; D's loss at the end of it."""
        self.g_optimizer.momentum = self.d_optimizer.momentum = 0.5 + 0.2 * min(epoch / 250, 1)
        for step in range(epoch * len(self.batches), (epoch + 1) * len(self.batches)):
            self.g_optimizer.lr = max(0.1 / 1.000004**step, 1e-6) / slower
            self.d_optimizer.lr = self.g_optimizer.lr / 2  # D's loss × ½
            z = latents(BATCH, RandomStream(self.seed, "latent", step))
            x, rng = self.batches.batch(step), RandomStream(self.seed, "dropout", step)
            d, g = simultaneous_step(self.G, self.D, self.g_optimizer, self.d_optimizer, self.loss, x, z, rng=rng)
        if not np.isfinite([d.loss, g.loss]).all():
            raise DivergenceError(f"a loss is no longer a number in epoch {epoch + 1}: D's {d.loss}, G's {g.loss}")
        return float(d.loss)

    def samples(self) -> np.ndarray:
        return generate(self.G, latents(SAMPLES, RandomStream(self.seed, "sample")))


def train(epochs: int, seed: int) -> None:
    """Train up to `epochs`, from where the last call stopped, and score every 5."""
    training = Training(seed)
    references(training.images, training.validation, training.test)
    RUN.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    for epoch in range(training.first, epochs):
        d_loss = training.epoch(epoch)
        if (epoch + 1) % EVERY == 0 or epoch + 1 == epochs:
            seconds, before = (time.process_time() - began) / (epoch + 1 - training.first), load(seed)
            samples = training.samples()
            row = {"epoch": epoch + 1, **score(samples, training.validation, training.test), "d_loss": round(d_loss, 3)}
            sheet = plot.image_grid(plot.to_uint8(samples[:100].reshape(-1, 28, 28), (0, 1)))
            plot.save_png(sheet, RUN / f"seed-{seed}-epoch-{epoch + 1:04}.png")
            curve = [*(r for r in before if r["epoch"] <= epoch), row]
            RESULTS.add(f"seed {seed}", {"cpu_seconds_per_epoch": round(seconds, 1), "curve": curve})
            # last: what a crash leaves out is trained again
            save_checkpoint(training.checkpoint, epoch=epoch + 1, **training.kept)


def cool(epochs: int, seed: int) -> None:
    """What the rate's fall is worth: so many epochs more from the last checkpoint, at a tenth of the rate, and a score.

    This is not as published. The checkpoint stays as it is, so that training goes on from it.
    """
    training = Training(seed)
    if not training.first:
        sys.exit(f"there is no {training.checkpoint} to go on from; train first: python {sys.argv[0]}")
    for epoch in range(training.first, training.first + epochs):
        training.epoch(epoch, slower=10)
    found = score(training.samples(), training.validation, training.test)
    RESULTS.add(f"seed {seed}, cooled", {"from": training.first, "epochs": epochs, **found})


def score(samples: np.ndarray, validation: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """The protocol of `minigan.metrics.parzen.parzen`, with the mean of the validation images, which choose σ."""
    means = log_likelihoods(samples, validation, SIGMAS).mean(axis=1)
    sigma = SIGMAS[int(means.argmax())]
    mean, error, _ = parzen_log_likelihood(samples, test, sigma=sigma)
    found = {"validation": means.max(), "test": mean, "error": error, "sigma": sigma}
    return {name: round(float(value), 3) for name, value in found.items()}


def references(images: np.ndarray, validation: np.ndarray, test: np.ndarray) -> None:
    """The same of real images and of noise in place of samples."""
    real = images[:SAMPLES].reshape(SAMPLES, -1).astype(np.float32) / 255
    for name, samples in (("real training images", real), ("noise", np.random.default_rng(0).random((SAMPLES, 784)))):
        if name not in RESULTS.read():
            mean, error, sigma = parzen(samples, validation, test)
            RESULTS.add(name, {"test": round(mean, 3), "error": round(error, 3), "sigma": round(sigma, 3)})


def load(seed: int) -> list[dict]:
    """The stored curve."""
    return RESULTS.read().get(f"seed {seed}", {}).get("curve", [])


def table(seed: int) -> str:
    """The stored results beside the paper's, as Markdown."""
    results, curve = RESULTS.read(), load(seed)
    lines = ["| samples | log-likelihood of the test images, nats | σ |", "|---|---|---|"]
    rows = [(name, results[name]) for name in ("real training images", "noise") if name in results]
    lines.append(f"| Goodfellow et al. 2014, epochs unpublished | {PAPER} | |")
    if curve:
        best = max(curve, key=lambda row: row["validation"])
        rows.append((f"minigan, epoch {best['epoch']}, which the validation images choose", best))
        shown = [row for row in curve if row["epoch"] in (5, 10, 25, 50, 100, 150, 200, 300, 400, 600, 800)]
        rows += [(f"minigan, epoch {row['epoch']}", row) for row in (*shown, curve[-1])]
    if cooled := results.get(f"seed {seed}, cooled"):
        name = f"minigan, epoch {cooled['from']} and {cooled['epochs']} more at a tenth of the rate (not as published)"
        rows.append((name, cooled))
    lines += [f"| {name} | {row['test']:.1f} ± {row['error']:.1f} | {row['sigma']:.3f} |" for name, row in rows]
    return "\n".join(dict.fromkeys(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--epochs", type=int, default=500, help="train up to so many passes over the images")
    parser.add_argument("--cool", type=int, help="go on for so many epochs at a tenth of the rate, and score that")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keep_memory()
    if arguments.cool:
        cool(arguments.cool, arguments.seed)
    elif not arguments.table:
        train(arguments.epochs, arguments.seed)
    print(table(arguments.seed))
