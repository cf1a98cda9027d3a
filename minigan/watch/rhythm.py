"""How often something happens in a run: every so many epochs or steps, or never."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from minigan.errors import ArgumentError


@dataclass(frozen=True)
class Every:
    """How often: every `count` epochs or steps; never if `count` is 0."""

    count: int
    steps: bool  # counted in steps, not in epochs

    @classmethod
    def parse(cls, flag: str, text: str | int) -> Self:
        """From 5, "5" or "5epochs", "500steps", or "never"; raises ArgumentError naming the flag."""
        if str(text) in ("0", "never"):
            return cls(0, False)
        match = re.fullmatch(r"(\d{1,9}) ?(epochs?|steps?)?", str(text))
        if not match or int(match[1]) == 0:
            raise ArgumentError(f"{flag} must be like 5 (epochs), 500steps or never, got {text!r}")
        return cls(int(match[1]), (match[2] or "").startswith("step"))

    def step_due(self, step: int) -> bool:
        return self.steps and self.count > 0 and step % self.count == 0

    def epoch_due(self, epoch: int) -> bool:
        return not self.steps and self.count > 0 and epoch % self.count == 0
