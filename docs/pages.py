"""The pictures of the pages that minigan writes, taken in Chromium: of a step, of a run, of two runs.

    python docs/pages.py RUNS        docs/images/inspect-*.png and report.png

The folder RUNS holds those of the pictures, which were made, with MNIST, by

    minigan train pytorch-mlp-mended --epochs 6 --keep-every 1 --out RUNS/pytorch-mlp-mended-001
    minigan train --images 4000 --epochs 12 --out RUNS/best-001
    minigan train --images 4000 --epochs 10 --lr-d 0.0003 --average 0.99 --no-shared-fakes --out RUNS/best-002

It needs the package playwright, and Chromium or Chrome.
"""

import contextlib
import io
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from minigan.gan import GANLoss
from minigan.nn import Dense, Reshape, Sequential
from minigan.optim import SGD
from minigan.runs.inspecting import inspect
from minigan.runs.report import write_report
from minigan.trace import trace_step

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
sys.path.insert(0, str(DOCS.parent / "demos" / "museum"))
from exhibits import EXHIBITS  # noqa: E402


def wrong_step(path):
    """A step in which the tanh of D is the museum's fifth piece."""
    rng = np.random.default_rng(0)
    G = Sequential([Dense(5), Reshape(5)], (3,), rng=rng)
    D = Sequential([Dense(6), EXHIBITS[4].wrong(), Dense(1)], (5,), rng=rng)
    x, z = rng.standard_normal((4, 5), np.float32), rng.standard_normal((4, 3), np.float32)
    loss = GANLoss(output="logit")
    trace_step(G, D, SGD(G, lr=0.1), SGD(D, lr=0.1), loss, x, z).save(path, title="wrong", facts=[])


def keep(what, name):
    """Take a picture of a page, or of a part of one, in 256 colours, a third of the bytes, rare ones among them."""
    picture = Image.open(io.BytesIO(what.screenshot()))
    picture = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    picture.save(IMAGES / name, optimize=True)


def main(runs):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(runs), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or shutil.which("google-chrome"))

        def opened(path, width, height):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(path.as_uri())
            return page

        step, wrong, report = (Path(folder) / f"{name}.html" for name in ("step", "wrong", "report"))
        inspect("pytorch-mlp-mended-001", step, say=None)
        page = opened(step, 1200, 1080)
        page.wait_for_selector("html[data-audited]")
        keep(page, "inspect-worked.png")
        page.get_by_role("button", name="The run").click()
        keep(page, "inspect-run.png")

        wrong_step(wrong)
        page = opened(wrong, 1600, 1080)
        page.wait_for_selector("html[data-audited]")
        page.click("#wrong button")
        keep(page.locator("#worked"), "inspect-wrong.png")

        write_report("best-001", "best-002", report, say=None)
        keep(opened(report, 1300, 1716), "report.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
