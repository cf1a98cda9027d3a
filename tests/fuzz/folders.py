"""Targets that are runs: a checkpoint as a run reads it, and a run's folder, looked into and gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import runfolder

from fuzz import mutations
from fuzz.base import ALARM, Base, read_all, small, write_all
from fuzz.files import damaged_checkpoint, state
from fuzz.judge import ERROR, MB, RIGHT, VALID, Enough, demand, same
from minigan.errors import ArgumentError
from minigan.runs.run import Run
from minigan.runs.saved import checkpoints, read_saved
from minigan.store.tensors import read_tensors
from minigan.watch.logs import best_epoch

CONSTANT = MB  # JSON as Python objects, and two networks

# A checkpoint of a run -----------------------------------------------------------------------------------------------


class Saved:
    """`read_saved`, the generator that it gives, the rows that belong to it, and a trainer brought to where it was."""

    name = "saved"

    def __init__(self, folder):
        self.base = Base(folder)
        files = {**self.base.finished, **self.base.stopped}
        self.names = [name for name in files if name.endswith(".safetensors")]
        self.originals = [files[name] for name in self.names]
        write_all(folder, self.base.finished)
        self.path, self.trainer, self.read, self.states = folder / "any.safetensors", self.base.trainer, [], []
        for data in self.originals:
            self.path.write_bytes(data)
            self.read.append(read_saved(self.path))
            self.read[-1].into(self.trainer)
            self.states.append(self.state())
        self.home = self.read[0]

    def state(self):
        """All of the trainer that a checkpoint decides."""
        arrays, _, steps = state(self.trainer.networks, self.trainer.optimizers)
        return {**arrays, "last.G": self.trainer.G.grads.copy()}, {**self.trainer.position(), "steps": steps}

    def case(self, rng, meter):
        i = rng.randrange(len(self.names))
        saved = self.read[i]
        data, forged = damaged_checkpoint(
            rng, self.originals[i], rng.choice(self.originals), saved.header, saved.tensors
        )
        path = self.path if rng.random() < 0.5 else self.path.with_name(Path(self.names[i]).name)
        path.write_bytes(data)
        found, error = meter.attempt(len(data), CONSTANT, read_saved, path)
        if error:
            return ERROR
        right = found.header == saved.header and same(found.tensors, saved.tensors)
        demand(right or forged, "another header or other tensors than were saved")
        G, error = meter.attempt(len(data), CONSTANT, found.generator)
        name = "average" if found.recipe.average else "G"
        demand(error or same(state({name: G}, {})[0], part(found.tensors, name)), "another generator than was saved")
        meter.attempt(len(data), CONSTANT, found.history, self.base.run)
        self.home.into(self.trainer)
        before, rest = self.state(), np.zeros_like(self.trainer.G.grads)
        _, error = meter.attempt(len(data), CONSTANT, found.into, self.trainer)
        after = self.state()
        if error:
            demand(same(before[0], after[0]) and repr(before[1]) == repr(after[1]), f"a partial load, then {error!r}")
            return ERROR
        if right:
            demand(same(after[0], self.states[i][0]) and after[1] == self.states[i][1], "not where it was saved")
            return RIGHT
        with small():
            meter.attempt(len(data), CONSTANT, self.trainer.advance)  # it can go on from there
        self.trainer.G.grads[...] = rest
        return VALID


def part(tensors, owner):
    return {name: array for name, array in tensors.items() if name.startswith(f"{owner}.")}


# A folder ------------------------------------------------------------------------------------------------------------


class Folder:
    """A run's folder of which one file is damaged, looked into with `Run`."""

    name = "run"

    def __init__(self, folder):
        self.base = Base(folder)
        self.folder, self.run = folder, folder / "run"
        self.facts = {}
        for files in (self.base.finished, self.base.stopped):
            write_all(folder, files)
            samples = {path.name: Run(path).sample(1) for path in checkpoints(self.run)}
            self.facts[id(files)] = Run(self.run).config, Run(self.run).metrics(), samples

    def damaged(self, rng):
        """Lay out a run with one damaged file; returns (its files as they were, that file's name, whether forged)."""
        files = rng.choice((self.base.finished, self.base.stopped))
        write_all(self.folder, files)
        saved = sorted(name for name in files if name.endswith(".safetensors"))
        sheets = [name for name in files if "/samples/" in name]
        name = rng.choice(
            (
                *("run/config.json",) * 6,
                *("run/metrics.jsonl",) * 4,
                *("run/timing.jsonl", "run/alarms.jsonl", "run/quality.jsonl") * 2,
                *(saved[-1],) * 4,
                rng.choice(saved),
                *(rng.choice(sheets),) * 2,
                "images/images.idx",
                rng.choice(("run/checkpoints", "run/samples", "images")),
            )
        )
        path, how = (
            self.folder / name,
            rng.choice(("bytes", "bytes", "json", "json", "json", "empty", "gone", "folder", "file")),
        )
        data, forged = files.get(name, b"a file where a folder was"), False
        if name not in files:
            shutil.rmtree(path)
            if rng.random() < 0.5:
                path.write_bytes(data)
        elif how in ("gone", "folder"):
            path.unlink()
            if how == "folder":
                path.mkdir()
        elif how == "empty":
            path.write_bytes(b"")
        elif how == "file":
            path.write_bytes(files[rng.choice(list(files))])
        elif how == "json" and path.suffix in (".json", ".jsonl"):
            path.write_text(twisted(rng, data, lines=path.suffix == ".jsonl"), errors="surrogatepass")
        elif how == "json" and path.suffix == ".safetensors":
            header, tensors = read_tensors(path)
            path.write_bytes(mutations.forge(rng, {"format": 2, **header}, tensors))
            forged = True
        else:
            path.write_bytes(mutations.damage(rng, data, files[rng.choice(list(files))]))
        return files, name, forged

    def case(self, rng, meter):
        files, name, forged = self.damaged(rng)
        return self.look(files, name, forged, meter)

    def look(self, files, name, forged, meter):
        config, rows, samples = self.facts[id(files)]
        size, errors, valid = sum(map(len, files.values())), 0, False
        run, error = meter.attempt(size, CONSTANT, Run, self.run)
        if error:
            demand(name == "run/config.json", f"no run, although only {name} is damaged: {error}")
            return ERROR
        demand(run.config == config or name == "run/config.json", "another config than was written")
        valid |= run.config != config
        for call, truth, log in ((run.metrics, rows, "metrics"), (run.alarms, [json.loads(ALARM)], "alarms")):
            found, error = meter.attempt(size, CONSTANT, call)
            errors += error is not None
            demand(error or all(isinstance(row["step"], int) for row in found), "rows without a step")
            demand(error or found == truth or name == f"run/{log}.jsonl", "other rows than were written")
            valid |= not error and found != truth
        best, error = meter.attempt(size, CONSTANT, best_epoch, self.run)
        demand(error or best is None or isinstance(best, int), f"the best epoch is {best!r}")
        for call in (run.is_finished, lambda: run.epoch):
            meter.attempt(size, CONSTANT, call)
        images, error = meter.attempt(size, CONSTANT, run.sample, 1)
        if error:
            return ERROR
        demand(images.dtype == np.uint8 and images.shape == (1, 28, 28), "no image")
        right = same(images, samples.get(run.checkpoint.name, images[:0]))
        demand(right or forged, f"another image than that of {run.checkpoint.name}")
        return ERROR if errors else VALID if valid or not right else RIGHT


def twisted(rng, data, *, lines):
    """The text of a JSON file, or of one with a document a line, after a change in one of its entries."""
    if not lines:
        return mutations.dumps(mutations.twist(rng, json.loads(data)))
    rows = mutations.twist(rng, [json.loads(line) for line in data.splitlines()])
    return "".join(mutations.dumps(row) + "\n" for row in (rows if isinstance(rows, list) else [rows]))


class Resume(Folder):
    """… and gone on with: to the very bits of the run that was never damaged, or to an error."""

    name = "resume"

    def __init__(self, folder):
        super().__init__(folder)
        write_all(folder, self.base.stopped)
        with small():
            runfolder.resume(self.run)
            self.ends = {2: read_all(folder), 3: self.base.longer}
            demand(self.ends[2]["run/metrics.jsonl"] == self.base.finished["run/metrics.jsonl"], "the base is not one")

    def case(self, rng, meter):
        files, name, forged = self.damaged(rng)
        options = {"epochs": 3} if rng.random() < 0.5 else {}
        if name == "run/metrics.jsonl" and rng.random() < 0.3:
            options["accept"] = ["metrics"]
        size = sum(map(len, files.values()))
        try:
            with small():
                run, error = meter.attempt(size, 4 * CONSTANT, runfolder.resume, self.run, **options)
        except Enough:
            demand(name == "run/config.json", "trained for longer than it was to")
            return VALID
        if error:
            healthy = isinstance(error, ArgumentError) and "has been trained for" in str(error)
            return RIGHT if healthy and files is self.base.finished and not options and not forged else ERROR
        if forged or (name == "run/config.json" and run.recipe.epochs != options.get("epochs", 2)):
            return VALID
        end, expected = read_all(self.folder), self.ends[run.recipe.epochs]
        if "accept" in options:
            newest = self.run / "checkpoints" / f"epoch-{run.recipe.epochs:04d}.safetensors"
            tensors = read_tensors(newest)[1]
            newest.write_bytes(expected[f"run/checkpoints/{newest.name}"])
            demand(same(tensors, read_tensors(newest)[1]), "other weights than without the damage")
            return RIGHT
        for file in decided(expected, name):
            demand(end.get(file) == expected[file], f"{file} is not that of the run that was never damaged")
        return RIGHT


def decided(files, name):
    """The files that must be as if `name` had never been damaged: its own content apart, and pictures of it."""
    newest = sorted(file for file in files if file.endswith(".safetensors"))[-1]
    if name == "run/config.json":  # which may say how often to draw
        return [newest, "run/metrics.jsonl"]
    free = {
        name,
        *(f"run/{log}.jsonl" for log in ("timing", "quality", "alarms")),
        *(["run/samples/samples.gif"] if "/samples/" in name else []),
    }
    return [file for file in files if file not in free and (file == newest or not file.endswith(".safetensors"))]
