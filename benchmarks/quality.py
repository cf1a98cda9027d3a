"""Are minigan's digits as good as the same recipe's in PyTorch? An oracle decides: a classifier that PyTorch trains.

    python benchmarks/quality.py            train what is missing, score it, print the table (needs torch and MNIST)
    python benchmarks/quality.py --table    print the table from results/quality.json
    python benchmarks/quality.py --pictures make docs/images from the sheets that training left

The MNIST score is that of minigan.metrics, of all 10,000 samples at once. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from results import Results

from minigan import plot
from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.mnist import load_mnist
from minigan.metrics.score import digit_balance, mnist_score
from minigan.recipes import RECIPES
from minigan.train import Callback, Trainer, generate

HERE = Path(__file__).parent
RESULTS = Results("quality")
SAMPLES = 10_000
FLUX, PYTORCH = RECIPES["flux-mlp"], RECIPES["pytorch-mlp"]
JOBS = {  # what is trained, in both libraries: {label: (recipe, {seed: epochs at which it is scored})}
    "flux-mlp": (FLUX, {0: (20, 40), 1: (20,), 2: (20,)}),
    "pytorch-mlp": (PYTORCH, {0: (20, 40)}),
    "flux-mlp --init glorot": (replace(FLUX, init="glorot"), {0: (20, 40), 1: (20,), 2: (20,)}),
}


class Collect(Callback):
    """Draw samples at the wanted epochs."""

    def __init__(self, epochs, save):
        self.wanted, self.save = epochs, save

    def epoch_end(self, trainer, row):
        if trainer.epoch in self.wanted:
            z = trainer.latents(SAMPLES, RandomStream(trainer.seed, "preview", trainer.step))
            self.save(trainer.epoch, generate(trainer.G, z))


def train_minigan(recipe, seed, images, epochs, save):
    Trainer(recipe, images, seed=seed).fit([Collect(epochs, save)])


def train_torch(recipe, seed, images, epochs, save):
    import torch
    from torch_peers import Peer

    peer = Peer(recipe, seed)
    batches = Batches(images, recipe.batch_size, shape=(784,), seed=seed)
    for epoch in range(1, max(epochs) + 1):
        for x in batches.epoch(epoch):
            peer.step(torch.from_numpy(x))
        if epoch in epochs:
            with torch.no_grad():
                save(epoch, peer.G(torch.randn(SAMPLES, recipe.latent_dim)).numpy())


def classifier(work):
    """A small convolutional classifier, trained once with PyTorch: (predict, its accuracy on the test images).

    `predict(images in [-1, 1])` gives the class probabilities of each image.
    """
    import torch
    from torch import nn

    (images, labels), (test_images, test_labels) = load_mnist("train"), load_mnist("test")
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    weights = work / "classifier-mnist.npz"
    if weights.exists():
        with np.load(weights) as file:
            net.load_state_dict({k: torch.from_numpy(file[k]) for k in file.files})
    else:
        x, y = torch.from_numpy(images), torch.from_numpy(labels)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(5):
            for index in torch.randperm(len(x)).split(128):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x[index, None].float() / 127.5 - 1), y[index].long()).backward()
                optimizer.step()
        work.mkdir(parents=True, exist_ok=True)
        np.savez(weights, **{k: v.numpy() for k, v in net.state_dict().items()})
    net.eval()

    def predict(samples):
        with torch.no_grad():
            parts = torch.from_numpy(samples.astype(np.float32)).reshape(-1, 1, 28, 28).split(1000)
            return torch.cat([net(part).softmax(1) for part in parts]).double().numpy()

    accuracy = (predict(test_images / 127.5 - 1).argmax(1) == test_labels).mean()
    return predict, float(accuracy)


def score(p):
    """MNIST score, share of each digit, and mean confidence, from class probabilities (N, 10)."""
    return {
        "mnist_score": round(mnist_score(p, splits=1).mean, 3),
        "shares": [round(float(s), 4) for s in digit_balance(p).shares],
        "confidence": round(float(p.max(axis=1).mean()), 4),
    }


def run(work, only):
    work.mkdir(parents=True, exist_ok=True)
    predict, accuracy = classifier(work)
    images, _ = load_mnist("train")
    noise = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, 784))
    RESULTS.add("classifier accuracy", round(accuracy, 4))
    RESULTS.add("real test images", score(predict(load_mnist("test")[0] / 127.5 - 1)))
    RESULTS.add("uniform noise", score(predict(noise)))

    jobs = [
        (f"{library} {name} seed {seed}", train, recipe, seed, epochs)
        for name, (recipe, seeds) in JOBS.items()
        for seed, epochs in seeds.items()
        for library, train in (("minigan", train_minigan), ("pytorch", train_torch))
    ]
    for label, train, recipe, seed, epochs in jobs:
        if only not in label or all(f"{label} epochs {e}" in RESULTS.read() for e in epochs):
            continue

        def save(epoch, samples, label=label):
            key = f"{label} epochs {epoch}"
            pixels = plot.to_uint8(samples[:100].reshape(-1, 28, 28), (-1, 1))
            plot.save_png(plot.image_grid(pixels), work / f"{key.replace(' ', '-')}.png")
            RESULTS.add(key, score(predict(samples)))

        began = time.perf_counter()
        train(replace(recipe, epochs=max(epochs)), seed, images, epochs, save)
        print(f"{label}: {time.perf_counter() - began:.0f} s", flush=True)


def pictures(work):
    """docs/images: the sheets that `run` left in `work`."""
    from PIL import Image

    sheets = {
        "flux-mlp-20": np.asarray(Image.open(work / "minigan-flux-mlp-seed-0-epochs-20.png")),
        "flux-mlp-pytorch-20": np.asarray(Image.open(work / "pytorch-flux-mlp-seed-0-epochs-20.png")),
    }
    for name, sheet in sheets.items():
        plot.save_png(sheet, HERE.parent / "docs" / "images" / f"{name}.png")


def table():
    """The stored results as Markdown."""
    results = RESULTS.read()
    lines = [
        f"The classifier gets {results.pop('classifier accuracy'):.2%} of the test images right.\n",
        "| samples | MNIST score | rarest digit | commonest digit |",
        "|---|---|---|---|",
    ]
    keys = [
        f"{library} {name} seed {seed} epochs {epoch}"
        for name, (_, seeds) in JOBS.items()
        for seed, epochs in seeds.items()
        for epoch in epochs
        for library in ("minigan", "pytorch")
    ]
    for key in ["real test images", "uniform noise", *keys]:
        if key in results:
            low, high = min(results[key]["shares"]), max(results[key]["shares"])
            lines.append(f"| `{key}` | {results[key]['mnist_score']:.2f} | {low:.1%} | {high:.1%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--pictures", action="store_true", help="only make docs/images")
    parser.add_argument("--only", default="", help="only the jobs whose name contains this, e.g. 'minigan flux-mlp'")
    parser.add_argument("--work", type=Path, default=Path("runs/quality"), help="where sheets and the classifier go")
    arguments = parser.parse_args()
    if arguments.pictures:
        pictures(arguments.work)
    else:
        if not arguments.table:
            run(arguments.work, arguments.only)
        print(table())
