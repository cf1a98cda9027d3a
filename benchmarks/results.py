"""Where a benchmark keeps what it has measured: results/NAME.json, from which the tables are drawn."""

from __future__ import annotations

import json
from pathlib import Path


class Results:
    """A JSON object in a file: one entry per measurement."""

    def __init__(self, name):
        self.path = Path(__file__).parent / "results" / f"{name}.json"

    def read(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def add(self, key, value):
        """Add one result, to what is there now: another process may be working on other jobs."""
        self.path.write_text(json.dumps({**self.read(), key: value}, indent=1) + "\n")
        print(key, value, flush=True)
