"""The options of each command of the command line; a field is a flag, and the comment beside it is its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass
class RunOptions:
    """Where a run takes its data from and where it leaves its results."""

    seed: int = 0  # decides every random number of the run
    dataset: str = "auto"  # mnist, fashion-mnist, glyphs or a folder of IDX files; auto: mnist, or else glyphs
    data_dir: Path | None = None  # folder that holds, or is to hold, mnist/*; default: $MINIGAN_DATA, else a cache
    offline: bool = False  # download nothing
    out: Path | None = None  # folder of the run; default: the next free runs/RECIPE-NNN
    device: Literal["auto", "cpu", "gpu"] = "auto"  # auto: the GPU if one works
    sample_every: str = "1"  # epochs, or steps (500steps), between two sheets of samples; never: only first and last
    preview_every: str = "100steps"  # the same for the preview in the terminal; never: none
    save_every: str = "1"  # epochs, or steps (500steps), between two checkpoints; never: only first and last
    keep: int = 2  # how many of the last checkpoints stay
    keep_every: int = 0  # epochs between two checkpoints that stay for good; 0: none does
    score_every: int = 0  # epochs between two measurements of the Fréchet distance, the best stays; 0: none
    alarms: bool = True  # say when training fails, and what to try
    smoke: bool = False  # a tiny version of the recipe, over in a moment
    recipe: str | None = None  # file.py:NAME of a recipe of your own, whose fields then are flags


@dataclass
class ResumeOptions:
    """What may change when a run goes on; everything else is as in its config.json."""

    accept: tuple[str, ...] = ()  # fields of the recipe that are changed on purpose, such as lr-g lr-d; not all can be
    data_dir: Path | None = None  # where the data are, if they have moved
    offline: bool = False  # download nothing
    device: Literal["auto", "cpu", "gpu"] | None = None  # default: as the run was started
    sample_every: str | None = None  # epochs, or steps (500steps), between two sheets; default: as it was started
    preview_every: str = "100steps"  # the same for the preview in the terminal; never: none
    save_every: str | None = None  # epochs, or steps (500steps), between two checkpoints; default: as it was started
    keep: int | None = None  # how many of the last checkpoints stay; default: as the run was started
    keep_every: int | None = None  # epochs between two checkpoints that stay for good; default: as it was started
    score_every: int | None = None  # epochs between two measurements of quality; default: as the run was started
    alarms: bool = True  # say when training fails, and what to try
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


@dataclass
class SampleOptions:
    """What to draw and where to."""

    count: int = 100  # how many images
    out: Path = Path("samples.png")  # .png: a sheet; .npy: uint8 (count, 28, 28)
    seed: int = 0  # decides the latents
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


@dataclass
class ExportOptions:
    """Where to write the generator."""

    out: Path = Path("generator.onnx")  # .onnx, or .safetensors in PyTorch's names and layouts
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


@dataclass
class EvaluateOptions:
    """What to measure and how to say it."""

    count: int = 10_000  # how many samples; only numbers of equal counts compare
    seed: int = 0  # decides the latents
    data_dir: Path | None = None  # where the data are, if they have moved
    offline: bool = False  # download nothing
    json: bool = False  # print one JSON object, and nothing else
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


@dataclass
class GradcheckOptions:
    """How to check."""

    in_shape: tuple[int, ...] = ()  # shape of the input without the batch, such as 4,7: of a layer, a pair, a loss
    batch: int | None = None  # images of the batch; default: 5 (4 for a recipe)
    seed: int = 0  # decides the point of the check
    picture: Path | None = None  # draw the error of each entry of the first check that failed into this PNG


@dataclass
class BenchOptions:
    """What to measure and how to say it."""

    recipe: str | None = None  # file.py:NAME of a recipe of your own
    steps: int = 30  # steps that are timed, after a few that are not
    device: Literal["auto", "cpu", "gpu"] = "auto"  # auto: the GPU if one works
    json: bool = False  # print one JSON object, and nothing else


@dataclass
class ExerciseOptions:
    """Where to work, and what to do with a finished piece."""

    out: Path = Path("exercises")  # folder of the stub and its test
    epochs: int = 4  # of training with the finished piece, up to half a minute each on two cores; 0: do not train
    dataset: str = "auto"  # what to train on: see minigan train --help (maxpool2d and softmax: always glyphs)
