"""For kills.py: a command of minigan's in a process of its own that tells where it stands, and is hit there."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
import traceback
from typing import NamedTuple

import numpy as np

from minigan.cli.main import main
from minigan.runs.saver import CheckpointSaver
from minigan.train import Trainer
from minigan.watch.logs import MetricsLog
from minigan.watch.pictures import Pictures

SIGNALS = {"SIGINT": signal.SIGINT, "SIGINT twice": signal.SIGINT, "SIGTERM": signal.SIGTERM}  # of the others SIGKILL
SIGKILL = getattr(signal, "SIGKILL", 9)  # which Windows has not; there the tables can be drawn, but no run hit
PLACES = ("", "start", "within a step", "saving", "drawing", "end")
EVENT = np.dtype([("place", "u1"), ("step", "u4"), ("time", "f8")])
ROOM = 4096  # events; a run has some two hundred


class Timeline:
    """What a child process did and when, in memory that it shares with its parent; `at_event` is called at one."""

    def __init__(self):
        self.events = np.frombuffer(mmap.mmap(-1, ROOM * EVENT.itemsize), EVENT)
        self.place, self.step, self.count = "start", 0, 0  # the child's
        self.number, self.at_event = -1, lambda: None

    def enter(self, place):
        self.place = place
        self.events[self.count] = (PLACES.index(place), self.step, time.perf_counter())
        self.count += 1
        if self.count - 1 == self.number:
            self.at_event()

    def so_far(self):
        """The events until now, as the parent sees them."""
        return self.events[: np.count_nonzero(self.events["place"])].copy()

    def watch(self):
        """Note from now on, in this process, what its run does."""
        Trainer.fit = self.noted(Trainer.fit, "within a step", behind="end")
        Trainer.advance = self.noted(Trainer.advance, "within a step")
        MetricsLog.logged = self.noted(MetricsLog.logged, "saving")
        CheckpointSaver.save = self.noted(CheckpointSaver.save, "saving")
        Pictures.start = self.noted(Pictures.start, "drawing")
        Pictures.draw_sheet = self.noted(Pictures.draw_sheet, "drawing")
        Pictures.epoch_end = self.noted(Pictures.epoch_end, "drawing")
        Pictures.finish = self.noted(Pictures.finish, "end")
        self.enter("start")

    def noted(self, method, place, *, behind=None):
        def call(owner, *args, **options):
            trainer = next(a for a in (owner, *args) if isinstance(a, Trainer))
            before, self.step = self.place, trainer.step
            self.enter(place)
            try:
                return method(owner, *args, **options)
            finally:
                self.step = trainer.step
                self.enter(behind or before)

        return call


class Hit(NamedTuple):
    """What happens, at which event of the run, and how many seconds after it; `second` until a second signal."""

    kind: str
    event: int
    delay: float
    second: float
    bytes: int  # how large a file may become on a full disk


class Ended(NamedTuple):
    """How a command ended, what it printed, what it did when, and at which event it was hit, if it was."""

    code: int
    output: str
    events: np.ndarray
    hit: np.void | None


def command(args, hit=None):
    """Run `minigan ARGS` in a fork of this process, which has imported everything, and hit it."""
    timeline, (output, written), (ready, told) = Timeline(), os.pipe(), os.pipe()
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        try:
            os.dup2(written, 1)
            os.dup2(written, 2)
            os.close(written)
            if hit:
                full = hit.kind == "full disk"
                timeline.number = hit.event
                timeline.at_event = lambda: (full and fill_disk(hit.bytes), os.write(told, b"x"))
            os._exit(work(args, timeline))
        except KeyboardInterrupt:  # a second one, behind the end of the command
            os._exit(130)
        finally:
            os._exit(99)
    os.close(written)
    os.close(told)
    where = None
    if hit and os.read(ready, 1):  # nothing, if the child ended before
        if hit.kind != "full disk":
            time.sleep(hit.delay)
            os.kill(child, SIGNALS.get(hit.kind, SIGKILL))
        where = timeline.so_far()[-1]
        if hit.kind == "SIGINT twice":
            time.sleep(hit.second)
            os.kill(child, signal.SIGINT)
    with os.fdopen(output, errors="replace") as file:
        text = file.read()
    os.close(ready)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended(code, text, timeline.so_far(), where)


def work(args, timeline):
    """The child: what `python -m minigan` does, and its exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # which were perhaps files
    timeline.watch()
    code = 0
    try:
        main(args)
    except SystemExit as end:
        code = int(end.code or 0)
    except KeyboardInterrupt:  # a second one, while the first was being told
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def fill_disk(most):
    """From now on no file can grow beyond so many bytes: the system cuts a write short, then refuses."""
    import resource  # only here, so that the tables can be drawn on Windows, too

    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
