"""How long until minigan is there? Medians over 11 new processes each, in turns, in seconds.

python benchmarks/startup.py        measure, and store in results/startup.json
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "startup.json"
COMMANDS = {
    "import numpy": ["-c", "import numpy"],
    "import minigan": ["-c", "import minigan"],
    "import minigan.runs": ["-c", "import minigan.runs"],
    "minigan --help": ["-m", "minigan", "--help"],
    "minigan train --help": ["-m", "minigan", "train", "--help"],
}


def seconds(arguments):
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def table():
    """The stored results as Markdown."""
    results = json.loads(RESULTS.read_text())
    return "\n".join(
        ["| a new process | seconds |", "|---|---|", *(f"| `{k}` | {v:.3f} |" for k, v in results.items())]
    )


if __name__ == "__main__":
    rounds = [{name: seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(11)]
    medians = {name: round(statistics.median(r[name] for r in rounds), 3) for name in COMMANDS}
    RESULTS.write_text(json.dumps(medians, indent=1) + "\n")
    print(table())
