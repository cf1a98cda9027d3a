"""The lessons in demos/: each is a page; those on a system run, leave their pictures, and train what its recipe trains.

The others, experiments, are run by the docs' build, which fails where one of them does.
"""

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from minigan.recipes import RECIPES
from minigan.train import Trainer

DEMOS = sorted((Path(__file__).parents[1] / "demos").glob("plot_*.py"))


class System(NamedTuple):
    """What a lesson on a published system calls its G, its D and its images; its quick run; what the recipe is told."""

    variables: tuple[str, str, str]
    steps: int
    artefacts: list[str]
    changes: dict[str, bool] = {}  # noqa: RUF012


SYSTEMS = {
    "flux-mlp": System(
        ("generator", "discriminator", "train_x"), 192, [f"epoch_{epoch:04d}.png" for epoch in (2, 4, 6, 8)]
    ),
    "pytorch-mlp": System(
        ("G", "D", "mnist"),
        1200,
        ["samples/real_images.png", *(f"samples/fake_images-{epoch:04d}.png" for epoch in (0, 5, 10, 15, 20))],
    ),
    "flux-dcgan": System(
        ("generator", "discriminator", "images"),
        20,
        ["output.gif", *(f"output/dcgan_steps_{step:06d}.png" for step in (0, 5, 10, 15, 20))],
    ),
    "keras-upconv": System(("gen", "disc", "images"), 12, ["figures/gan_samples.png"], {"merged": False}),
    "renom-maxout": System(("gen", "dis", "X_train"), 80, ["curves.png", "test_image.png"]),
}

# Run a lesson as `python LESSON --quick` does, then keep some of its variables.
RUN = """
import runpy, sys
import numpy
lesson, *names = sys.argv[1:]
sys.argv = [lesson, "--quick"]
variables = runpy.run_path(lesson, run_name="__main__")
kept = {name: variables[name] for name in names}
numpy.savez("variables.npz", **{name: getattr(value, "params", value) for name, value in kept.items()})
"""


def name_of(demo):
    """The recipe that a lesson would be about."""
    return demo.stem.removeprefix("plot_").replace("_", "-")


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.stem)
def test_a_lesson_is_a_page_of_the_gallery_and_can_be_quick(demo):
    text = demo.read_text(encoding="utf-8")
    heading = ast.get_docstring(ast.parse(text)).splitlines()
    compile(text, demo, "exec")
    assert set(heading[1]) == {"="}
    assert len(heading[1]) >= len(heading[0])
    assert '"--quick" in sys.argv' in text
    assert "\n# %%\n" in text


def test_each_published_system_has_a_lesson():
    assert {name_of(demo) for demo in DEMOS} >= SYSTEMS.keys()


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    """The environment of a machine without MNIST, network or screen."""
    nowhere = "http://127.0.0.1:9"
    settings = {
        "MPLBACKEND": "Agg",
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), nowhere),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
    }
    return {**{name: value for name, value in os.environ.items() if name != "MINIGAN_DATA"}, **settings}


@pytest.mark.slow
@pytest.mark.parametrize("demo", [demo for demo in DEMOS if name_of(demo) in SYSTEMS], ids=lambda demo: demo.stem)
def test_a_lesson_runs_leaves_its_pictures_and_trains_what_its_recipe_trains(demo, surroundings, tmp_path):
    name = name_of(demo)
    system = SYSTEMS[name]
    strict = ["-W", "error", "-W", "ignore:FigureCanvasAgg is non-interactive"]  # plt.show() under Agg, with a screen
    command = [sys.executable, *strict, "-c", RUN, demo, *system.variables]
    done = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr

    folder = tmp_path / "runs" / "demos" / name
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert sorted(files) == sorted(system.artefacts)

    with np.load(tmp_path / "variables.npz") as kept:
        G, D, images = (kept[variable] for variable in system.variables)
    trainer = Trainer(replace(RECIPES[name], **system.changes), images, seed=0)
    for _ in range(system.steps):
        trainer.train_step(trainer.batches.batch(trainer.step))
    np.testing.assert_array_equal(trainer.G.params, G)
    np.testing.assert_array_equal(trainer.D.params, D)
