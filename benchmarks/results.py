"""Where a benchmark keeps what it has measured: results/NAME.json, from which the tables are drawn."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import lock_descriptor

from minigan.store.files import write_atomically


class Results:
    """A JSON object in a file: one entry, on a line of its own, per measurement."""

    def __init__(self, name):
        self.path = Path(__file__).parent / "results" / f"{name}.json"

    def read(self):
        return json.loads(self.path.read_bytes()) if self.path.exists() else {}

    def add(self, key, value):
        """Set one result, beside what is there now: another process may be adding others at the same moment.

        A script that is stopped here leaves the old file or the new one, never half of it.
        """
        with Path(__file__).open("rb") as lock:  # any file will do
            lock_descriptor(lock.fileno())
            entries = {**self.read(), key: value}.items()
            lines = (f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries)
            write_atomically(self.path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
        print(key, value, flush=True)
