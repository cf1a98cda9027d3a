"""Is a run that is stopped at any moment and gone on with the same run, to the bit? A hundred times.

    python benchmarks/kills.py --count 100 --seed 0   hit a hundred runs, store results/kills.json, print the tables
    python benchmarks/kills.py --only flux-dcgan      only the cases of this recipe
    python benchmarks/kills.py --dry                  store nothing
    python benchmarks/kills.py --table                print the tables from results/kills.json

Each case is `minigan train` at smoke size in a process of its own, which is hit as KINDS say at a moment that the seed
decides: before training, within a step, while saving, while drawing, or at the end. One in three is hit again
later. Then `minigan train --resume` until the run is over; one that left nothing to go on from is started anew. In the
end the last checkpoint, the metrics, config.json and every picture must be those of a run that was never hit. Exit code
1: one was not, or ended in another way than the command should; its folder stays. About five minutes on one core.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no thread that a fork would lose

from minigan.cli.main import main

import minigan  # noqa: F401 # isort: skip (before NumPy: see minigan/__init__.py)

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hitting import PLACES, SIGKILL, Hit, command
from results import Results

from minigan.errors import CheckpointError
from minigan.runs.saved import checkpoints, epoch_and_step, read_saved

RESULTS = Results("kills")
SYSTEMS = ("flux-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
EPOCHS = 3
FLAGS = f"--smoke --epochs {EPOCHS} --log-every 2 --sample-every 4steps --dataset glyphs --device cpu".split()
SAVE_EVERY = ("3steps", "1")
AGAIN = 1 / 3  # of the cases are hit a second time

#: {what happens: the exit codes that the command must end with}. SIGTERM before training ends it as any other program.
KINDS = {
    "SIGKILL": {-SIGKILL},
    "SIGINT": {130},
    "SIGINT twice": {130},
    "SIGTERM": {143, -signal.SIGTERM},
    "full disk": {2},
    "newest checkpoint lost": {-SIGKILL},
    "newest checkpoint cut": {-SIGKILL},
}

# Moments -------------------------------------------------------------------------------------------------------------


def moment(rng, reference, kind):
    """A hit of a new run: every place is equally likely, and so are the visits to it and the parts of a visit."""
    places = reference.events["place"]
    event = rng.choice(np.flatnonzero(places == rng.choice(np.unique(places))))
    return Hit(kind, int(event), rng.random() * reference.seconds(event), 0.1 * rng.random() ** 3, reference.bytes(rng))


def later(rng, reference, kind, folder):
    """A hit of a run that is gone on with from its newest checkpoint."""
    epoch, steps = epoch_and_step(checkpoints(folder)[-1]) or (0, 0)
    left = np.flatnonzero(reference.events["step"] >= epoch * reference.steps // EPOCHS + steps)
    event = rng.integers(len(left))
    delay = rng.random() * reference.seconds(left[event])
    return Hit(kind, int(event), delay, 0.1 * rng.random() ** 3, reference.bytes(rng))


def damage(rng, kind, folder):
    """Lose or cut the newest checkpoint."""
    found = checkpoints(folder)
    if found and kind == "newest checkpoint lost":
        found[-1].unlink()
    if found and kind == "newest checkpoint cut":
        os.truncate(found[-1], rng.integers(found[-1].stat().st_size))


# Cases ---------------------------------------------------------------------------------------------------------------


class Reference:
    """A run that nothing happens to. Attributes: `contents` (of its folder), `events`, `steps` (how many it has)."""

    def __init__(self, work, name, save_every):
        folder = work / f"{name} {save_every}"
        ended = command(["train", name, *FLAGS, "--save-every", save_every, "--out", str(folder)])
        if ended.code:
            raise SystemExit(f"minigan train {name} failed:\n{ended.output}")
        self.contents, self.events = contents(folder), ended.events
        self.steps = int(self.events["step"].max())
        self.size = checkpoints(folder)[-1].stat().st_size
        shutil.rmtree(folder)

    def seconds(self, event):
        """How long the run stayed where this event brought it."""
        times = self.events["time"]
        return float(times[event + 1] - times[event]) if event + 1 < len(times) else 0.01

    def bytes(self, rng):
        """Less than a checkpoint."""
        return int(rng.integers(self.size))


def contents(folder):
    """{name: bytes} of all that the seed decides: everything but wall-clock, older checkpoints, and damaged ones."""
    files = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".aside"}
    files -= {folder / "timing.jsonl", folder / "machine.json", *checkpoints(folder)[:-1]}
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def resumable(folder):
    """Whether there is anything to go on from."""
    for path in checkpoints(folder) if (folder / "config.json").exists() else []:
        try:
            return bool(read_saved(path))
        except CheckpointError:
            pass
    return False


class Case(NamedTuple):
    """What came of a case: where it was hit, whether it was started anew, and what is wrong."""

    kind: str
    places: list[str]
    anew: bool
    wrong: list[str]


def case(folder, name, kind, reference, save_every, rng):
    """Hit a run in `folder`, perhaps twice, go on with it until it is over, and compare."""
    hits, places, wrong, anew = [kind], [], [], False
    if rng.random() < AGAIN:
        hits.append(str(rng.choice(list(KINDS))))
    for attempt in range(5):
        kind_now = hits[attempt] if attempt < len(hits) else None
        if attempt == 0 or not resumable(folder):
            anew = anew or attempt > 0
            shutil.rmtree(folder, ignore_errors=True)
            args = ["train", name, *FLAGS, "--save-every", save_every, "--out", str(folder)]
            hit = kind_now and moment(rng, reference, kind_now)
        else:
            args = ["train", "--resume", str(folder)]
            hit = kind_now and later(rng, reference, kind_now, folder)
        ended = command(args, hit)
        if ended.hit is not None:
            places.append(PLACES[ended.hit["place"]])
        over = ended.code == 0 or "has been trained for" in ended.output  # it was hit when all was done
        late = ended.hit is None or ended.hit["step"] >= reference.steps - 2  # too late to end it before its time
        if not (late and over) and (ended.hit is None or ended.code not in KINDS[kind_now]):
            wrong.append(f"{' '.join(args)} ended with {ended.code} after {kind_now}: {ended.output}")
        if kind_now and "checkpoint" in kind_now:
            damage(rng, kind_now, folder)
        elif over:
            break
    found = contents(folder)
    names = sorted(n for n in found.keys() | reference.contents.keys() if found.get(n) != reference.contents.get(n))
    return Case(kind, places, anew, wrong + ([f"other than in the reference: {', '.join(names)}"] if names else []))


def run(count, seed, only, work, store):
    """All cases; returns how many went wrong."""
    with contextlib.redirect_stdout(None):  # so that all is imported, and the glyphs are made, before the first fork
        main(["train", SYSTEMS[0], *FLAGS, "--out", str(work / "first")])
    references, done, failed = {}, {}, 0
    for i in range(count):
        name, kind, rng = SYSTEMS[i % len(SYSTEMS)], list(KINDS)[i % len(KINDS)], np.random.default_rng([seed, i])
        if only not in name:
            continue
        save_every = str(rng.choice(SAVE_EVERY))
        if (name, save_every) not in references:
            references[name, save_every] = Reference(work, name, save_every)
        folder = work / f"case-{i:03d}"
        came = case(folder, name, kind, references[name, save_every], save_every, rng)
        done.setdefault(name, []).append(came)
        failed += bool(came.wrong)
        state = "; ".join(came.wrong) or "identical"
        print(f"{i:3} {name:13} {kind:23} {', '.join(came.places) or 'not hit':30} {state}", flush=True)
        if not came.wrong:
            shutil.rmtree(folder)
    for name, cases in done.items() if store else ():
        RESULTS.add(name, summary(cases) | {"seed": seed})
    return {name: summary(cases) for name, cases in done.items()}, failed


def summary(cases):
    """Of the cases of a recipe: {kind: [cases, identical, started anew]}, and how often which place was hit."""
    kinds = {}
    for kind in KINDS:
        those = [c for c in cases if c.kind == kind]
        kinds[kind] = [len(those), sum(not c.wrong for c in those), sum(c.anew for c in those)]
    places = Counter(place for c in cases for place in c.places)
    twice = sum(len(c.places) > 1 for c in cases)
    return {"kinds": kinds, "hits": {place: places[place] for place in PLACES[1:]}, "hit_twice": twice}


def tables(results):
    """Results as Markdown: cases and identical ends, and where the runs were hit."""
    lines = ["| | " + " | ".join(f"`{name}`" for name in results) + " | all |", "|---" * (len(results) + 2) + "|"]
    for kind in KINDS:
        counts = [np.array(r["kinds"][kind]) for r in results.values()]
        cells = [f"{same} of {all_}" + f" ({anew} anew)" * bool(anew) for all_, same, anew in [*counts, sum(counts)]]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    all_kinds = sum(np.array(list(r["kinds"].values())).sum(axis=0) for r in results.values())
    hits = Counter()
    for r in results.values():
        hits.update(r["hits"])
    lines += ["", "{1} of {0} end with the same bits; {2} were started anew.".format(*all_kinds)]
    lines += [f"Hit: {', '.join(f'{place} {hits[place]}' for place in PLACES[1:])}; "]
    lines[-1] += f"{sum(r['hit_twice'] for r in results.values())} runs twice."
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="cases")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    parser.add_argument("--only", default="", help="only the recipes whose name contains this")
    parser.add_argument("--dry", action="store_true", help="store nothing")
    parser.add_argument("--table", action="store_true", help="only print the tables of the stored results")
    parser.add_argument("--work", type=Path, help="where the runs are; by default a temporary folder")
    arguments = parser.parse_args()
    if arguments.table:
        print(tables(RESULTS.read()))
        sys.exit()
    folder = Path(tempfile.mkdtemp(prefix="kills-")) if arguments.work is None else arguments.work
    folder.mkdir(parents=True, exist_ok=True)
    found, failed = run(arguments.count, arguments.seed, arguments.only, folder, not arguments.dry)
    print(tables(found))
    if failed:
        print(f"{failed} went wrong; their folders are in {folder}")
    elif arguments.work is None:
        shutil.rmtree(folder)
    sys.exit(failed > 0)
