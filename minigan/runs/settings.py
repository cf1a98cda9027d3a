"""How often a run is drawn, shown, saved and scored."""

from __future__ import annotations

from typing import Any

from minigan.errors import ArgumentError, whole
from minigan.runs.saver import Keep
from minigan.watch.rhythm import Every


class Schedule:
    """How often a run is drawn, shown, saved and scored; raises ArgumentError naming the flag that cannot be."""

    def __init__(self, settings: dict[str, Any], preview_every: str | int):
        self.sample = Every.parse("--sample-every", settings["sample_every"])
        self.preview = Every.parse("--preview-every", preview_every)
        self.save = Every.parse("--save-every", settings["save_every"])
        self.keep = Keep(settings["keep"], settings["keep_every"])
        self.score = whole(
            settings["score_every"], "--score-every must be a whole number of epochs, or 0 for never", most=2**63
        )
        self.numbers = {"keep": self.keep.last, "keep_every": self.keep.every, "score_every": self.score}

    @staticmethod
    def check_reached(settings: dict[str, Any], epochs: int) -> None:
        """Raise ArgumentError for what would never happen in so many epochs."""
        for name, happens in (("score_every", "measured"), ("keep_every", "kept for good")):
            if (settings[name] or 0) > epochs:
                flag = f"--{name.replace('_', '-')} {settings[name]}"
                raise ArgumentError(f"{flag} is beyond the last epoch, {epochs}: nothing would ever be {happens}")
