"""The command line: minigan train | sample. A user's mistake ends in one line and exit code 2."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, make_dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np

from minigan import __version__, backend, callbacks, plot
from minigan.checkpoint import load_networks
from minigan.data.glyphs import load_glyphs
from minigan.data.mnist import find_mnist, load_mnist
from minigan.errors import ArgumentError, MiniganError, RunMissingError
from minigan.recipes import RECIPES, Recipe
from minigan.train import Trainer, draw_latents, generate

MAX_COUNT, CHUNK = 1_000_000, 10_000  # images of one `minigan sample`, and at a time

USAGE = f"""minigan {__version__}: generative adversarial networks from scratch

  minigan train RECIPE [flags]   train a recipe and keep what it draws in a run folder
  minigan sample RUN [flags]     draw images with a trained generator

Recipes: {", ".join(RECIPES)}
Flags of a command: minigan train RECIPE --help, minigan sample --help
"""


@dataclass
class RunOptions:
    """Where a run takes its data from and where it leaves its results."""

    seed: int = 0  # decides every random number of the run
    dataset: Literal["auto", "mnist", "glyphs"] = "auto"  # auto: MNIST if a folder is given, else glyphs drawn here
    data_dir: Path | None = None  # folder that holds mnist/*; default: $MINIGAN_DATA
    out: Path | None = None  # folder of the run; default: the next free runs/RECIPE-NNN
    device: Literal["auto", "cpu", "gpu"] = "auto"
    smoke: bool = False  # a tiny version of the recipe, over in a moment


@dataclass
class SampleOptions:
    """What to draw and where to."""

    count: int = 100  # how many images
    out: Path = Path("samples.png")  # .png: a sheet; .npy: uint8 (count, 28, 28)
    seed: int = 0  # decides the latents


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; exits with 2 and one line on a user's mistake, 130 on Ctrl-C."""
    args = list(sys.argv[1:] if argv is None else argv)
    commands = {"train": train, "sample": sample}
    try:
        if not args or args[0] in ("-h", "--help"):
            print(USAGE, end="")
        elif args[0] == "--version":
            print(f"minigan {__version__}")
        else:
            commands[known("command", args[0], commands)](args[1:])
    except MiniganError as error:
        fail(str(error))
    except OSError as error:  # a full or read-only disk, a folder without permission
        fail(f"{error.strerror}: {error.filename}" if error.filename else str(error))
    except MemoryError as error:
        fail(f"not enough memory: {error}; a smaller batch, network or count needs less")
    except KeyboardInterrupt:
        print("\nInterrupted; what was saved is in the run folder.", file=sys.stderr)
        sys.exit(130)


def train(args: list[str]) -> None:
    """minigan train RECIPE [flags]"""
    if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
        raise ArgumentError(f"which recipe? minigan train {' | '.join(RECIPES)}")
    if args[0] in ("-h", "--help"):
        print(USAGE, end="")
        return
    recipe = RECIPES[known("recipe", args[0], RECIPES)]
    parsed = parse(
        {"recipe": recipe.smoke() if "--smoke" in args else recipe, "run": RunOptions()},
        args[1:],
        prog=f"minigan train {recipe.name}",
        description=f"{recipe.source}. Every number of the recipe is a flag.",
    )
    recipe, options = parsed.recipe, parsed.run

    if options.seed < 0:
        raise ArgumentError(f"--seed must not be negative, got {options.seed}")
    if options.out is not None:
        callbacks.check_free(options.out)
    device, reason = backend.resolve_device(options.device)
    if reason:
        print(reason)
    images, dataset = load_images(recipe, options)
    trainer = Trainer(recipe, images, seed=options.seed, device=device)
    run = callbacks.claim_run(options.out, recipe.name)
    callbacks.write_config(run, trainer, dataset)
    print(
        f"Training {recipe.name} on {len(trainer.batches.images):,} images of {dataset['name']} into {run}", flush=True
    )
    trainer.fit(
        [
            callbacks.MetricsLog(run),
            callbacks.SampleSheets(run / "samples"),
            callbacks.Checkpoints(run / "checkpoints"),
            callbacks.PrintLosses(),
        ]
    )
    print(f"Sheets are in {run / 'samples'}; draw more with: minigan sample {run}")


def sample(args: list[str]) -> None:
    """minigan sample RUN [flags]"""
    if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
        raise ArgumentError("which run? minigan sample RUN, where RUN is a folder that minigan train made")
    help_only = args[0] in ("-h", "--help")
    parsed = parse(
        {"sample": SampleOptions()},
        args if help_only else args[1:],
        prog="minigan sample RUN",
        description="Draw images with the newest generator of a run.",
    )
    options: SampleOptions = parsed.sample
    if not 1 <= options.count <= MAX_COUNT:
        raise ArgumentError(f"--count must lie between 1 and {MAX_COUNT:,}, got {options.count}")
    if options.seed < 0:
        raise ArgumentError(f"--seed must not be negative, got {options.seed}")
    if options.out.suffix not in (".png", ".npy"):
        raise ArgumentError(f"--out must end in .png (a sheet) or .npy (an array), got {options.out}")

    recipe, G = load_generator(Path(args[0]))
    rng = backend.RandomStream(options.seed, "sample")
    sizes = [min(CHUNK, options.count - start) for start in range(0, options.count, CHUNK)]
    chunks = (generate(G, draw_latents(recipe, size, rng)) for size in sizes)
    pixels = np.concatenate([plot.to_uint8(images.reshape(-1, 28, 28), recipe.value_range) for images in chunks])
    if options.out.suffix == ".npy":
        with options.out.open("wb") as file:
            np.save(file, pixels, allow_pickle=False)
    else:
        plot.save_png(plot.image_grid(pixels), options.out)
    print(f"Wrote {options.count:,} images to {options.out}")


def load_images(recipe: Recipe, options: RunOptions) -> tuple[np.ndarray, dict[str, Any]]:
    """The training images, and what config.json says of them."""
    somewhere = options.data_dir or os.environ.get("MINIGAN_DATA")
    if options.dataset == "auto" and not somewhere:
        print(
            "Training on glyphs, digits that minigan draws itself. For MNIST, give --data-dir DIR or set MINIGAN_DATA"
        )
        print("to a folder that holds mnist/train-images-idx3-ubyte.gz and mnist/train-labels-idx1-ubyte.gz.")
    if options.dataset == "glyphs" or (options.dataset == "auto" and not somewhere):
        return load_glyphs(recipe.images)[0], {"name": "glyphs", "seed": 0, "images": recipe.images}
    images, _ = load_mnist("train", data_dir=options.data_dir)
    folder = find_mnist("train", options.data_dir)[0].parent
    return images, {"name": "mnist", "folder": str(folder), "images": min(len(images), recipe.images)}


def load_generator(run: Path) -> tuple[Recipe, Any]:
    """The recipe of a run, and its generator with the newest weights; raises RunMissingError, CheckpointError."""
    checkpoints = sorted((run / "checkpoints").glob("epoch-*.safetensors"))
    try:
        config = json.loads((run / "config.json").read_text())
        stored: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config["fields"].items()}
        recipe = type(RECIPES[config["recipe"]])(**stored)
        G, D = recipe.networks(backend.RandomStream(0, "init").host)
    except FileNotFoundError:
        raise RunMissingError(f"{run} is not a run: there is no config.json in it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunMissingError(f"{run / 'config.json'} cannot be read ({type(error).__name__}: {error})") from None
    if not checkpoints:
        raise RunMissingError(f"{run} holds no checkpoint yet; the first is written at the end of the first epoch")
    load_networks(checkpoints[-1], {"G": G, "D": D})
    return recipe, G


def parse(parts: dict[str, Any], args: list[str], *, prog: str, description: str) -> Any:
    """Turn every field of the given dataclass instances into a flag, with its value as default, and parse `args`.

    tyro explains a mistake in a box; here it becomes an ArgumentError of one line.
    """
    import tyro

    Arguments = make_dataclass("Arguments", [(name, type(part)) for name, part in parts.items()])
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return tyro.cli(
                Arguments,
                default=Arguments(**parts),
                args=args,
                prog=prog,
                description=description,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        flags = [f"--{f.name.replace('_', '-')}" for part in parts.values() for f in fields(part)]
        for arg in args:
            if arg.startswith("--") and not arg.startswith("--no-"):
                known("flag", arg.split("=")[0].replace("_", "-"), flags)
        reason = unboxed(messages.getvalue()).removeprefix("Error parsing recipe: ")
        raise ArgumentError(f"{reason} (see {prog} --help)") from None


def unboxed(box: str) -> str:
    """The first paragraph of a box drawn with line characters, on one line."""
    lines = [line.strip("│ ") for line in box.splitlines() if line.startswith("│")]
    rule = next((i for i, line in enumerate(lines) if line.startswith("─")), len(lines))
    return " ".join(lines[:rule]) or box.strip()


def known(what: str, name: str, names: Any) -> str:
    """`name` if it is one of `names`; else an error that suggests the nearest."""
    if name in names:
        return name
    near = difflib.get_close_matches(name, list(names), n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
    raise ArgumentError(f"unknown {what} {name!r}; {hint}")


def fail(message: str) -> NoReturn:
    print(f"minigan: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
