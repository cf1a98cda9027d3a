"""Runs: recipes trained in folders, by `start`, and gone on with by `resume`; `Run` looks into such a folder."""

from minigan.runs.evaluation import evaluate
from minigan.runs.exporting import export
from minigan.runs.resuming import resume
from minigan.runs.run import Run
from minigan.runs.starting import start

__all__ = [
    "Run",
    "evaluate",
    "export",
    "resume",
    "start",
]
