"""Does minigan compute on another library what it computes on NumPy? Every layer, loss, optimiser and system, counted.

    python tests/libraries/run.py dpnp      Intel's dpnp, on the GPU or, by Intel's OpenCL runtime, on this CPU
    python tests/libraries/run.py gpu       CuPy

Layers: each case of the contract suite, in training and at inference, in float32 and float64: shape, dtype and device,
nothing modified, `accumulate` and the flags, and float32 there against float64 on the CPU. The rest in float32 against
NumPy's float32; the largest difference is told, and what it may be: rounding.

For a CPU, in an environment of its own (3 GB): pip install dpnp intel-opencl-rt pytest filelock
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "nn")]
OPENCL = Path(sys.prefix) / "lib" / "libintelocl.so"
if OPENCL.exists():  # from its wheel, whose own note of the place names another folder
    os.environ.setdefault("OCL_ICD_FILENAMES", str(OPENCL))

import numpy as np
from cases import ALL, SYSTEMS
from test_contract import trial_of

from minigan import backend, losses
from minigan.backend import to_device, to_numpy
from minigan.gan import GANLoss
from minigan.gradcheck.contract import flags
from minigan.gradcheck.form import form
from minigan.gradcheck.precision import single_precision
from minigan.nn import Dense, Sequential
from minigan.optim import SGD, Adam
from minigan.recipes import RECIPES
from minigan.train import Trainer

ROUNDING = {"loss": 1e-6, "optimiser": 1e-6, "system": 2e-4}  # the last as on a GPU (tests/gpu)


def layers(device: str) -> Iterator[tuple[str, list[str]]]:
    """(layer, what is wrong) of each case, mode, dtype and rule."""
    for (name, make, shape), train in product(ALL, (True, False)):
        layer = name.rsplit("-", 1)[0]
        for dtype in (np.float32, np.float64):
            yield layer, form(trial_of(make, shape, train=train, device=device, dtype=dtype))
        yield layer, flags(trial_of(make, shape, train=train, device=device))
        yield layer, single_precision(trial_of(make, shape, train=train), device)


def loss_values(device: str) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(loss, its values and gradients on the device)."""
    rng = np.random.default_rng(0)
    x, other, t = (rng.standard_normal((12, 5)).astype(np.float32) for _ in range(3))
    p, q, t = (to_device(1 / (1 + np.exp(-a)), device) for a in (x, other, t))
    labels = to_device(rng.integers(0, 5, 12), device)
    x, other = to_device(x, device), to_device(other, device)
    for target in (0.0, 0.9, t):
        yield "binary_cross_entropy", losses.binary_cross_entropy(p, target)
        yield "binary_cross_entropy_with_logits", losses.binary_cross_entropy_with_logits(x, target)
    for side in (1, -1):
        yield "hinge", losses.hinge(x, side)
    yield "softmax_cross_entropy", losses.softmax_cross_entropy(x, labels)
    yield "softmax_cross_entropy", losses.softmax_cross_entropy(x, losses.softmax(other))
    plain = [GANLoss(*choice) for choice in product(("non_saturating", "minimax"), ("probability", "logit"))]
    for loss in (*plain, GANLoss(output="logit", kind="hinge")):
        real, fake = (p, q) if loss.output == "probability" else (x, other)
        values, *gradients = loss.for_discriminator(real, fake)
        yield "GANLoss", [*values, *gradients, *loss.for_generator(fake)]


def optimiser_ends(device: str) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(optimiser, where ten steps of it end)."""
    for make in (lambda n: SGD(n, lr=0.1), lambda n: SGD(n, lr=0.1, momentum=0.9), lambda n: Adam(n, lr=0.01)):
        net, rng = Sequential([Dense(30)], (20,), rng=np.random.default_rng(0)).to(device), np.random.default_rng(1)
        optimizer = make(net)
        for _ in range(10):
            net.grads[...] = to_device(rng.standard_normal(net.params.size).astype(np.float32), device)
            optimizer.step()
        yield type(optimizer).__name__, [net.params, *optimizer.state().values()]


def system_ends(device: str) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(system, its two networks after a run at smoke size)."""
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
    for name in SYSTEMS:
        trainer = Trainer(RECIPES[name].smoke(), images, device=device).fit()
        yield name, [a for net in trainer.networks.values() for a in (net.params, net.buffers)]


def main(device: str) -> int:
    if reason := backend.why_no_gpu(device):
        sys.exit(f"device {device!r} cannot be used: {reason}")
    print(f"{device}: {backend.describe_gpu(device)}\n\n| what | cases | as on NumPy |\n|---|---|---|")
    cases, right = Counter(), Counter()
    for layer, problems in layers(device):
        cases[layer] += 1
        right[layer] += not problems
        for problem in problems:
            print(f"{layer}: {problem}", file=sys.stderr)
    for layer, count in cases.items():
        print(f"| {layer} | {count} | {right[layer]} |")
    for what, results in {"loss": loss_values, "optimiser": optimiser_ends, "system": system_ends}.items():
        rows: dict[str, list[float]] = {}
        for (name, there), (_, here) in zip(results(device), results("cpu"), strict=True):
            differences = [np.abs(to_numpy(a) - b).max(initial=0) for a, b in zip(there, here, strict=True)]
            rows.setdefault(name, []).append(float(max(differences)))
        for name, found in rows.items():
            cases[name], right[name] = len(found), sum(d <= ROUNDING[what] for d in found)
            print(f"| {name} | {len(found)} | {right[name]}, to {max(found):.1g} |")
    print(f"| all | {cases.total()} | {right.total()} |")
    return cases != right


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in backend.arrays.LIBRARIES:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
