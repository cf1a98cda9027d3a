"""A run's curves as text, for tests that look at its other files: matplotlib would take half of their time."""

import json
from pathlib import Path

from minigan.store.files import write_atomically


def curves_as_text(history, path):
    names = ("step", "d_loss", "g_loss", "d_real", "d_fake", "acc_real", "acc_fake")
    write_atomically(Path(path), json.dumps([[row[name] for name in names] for row in history]).encode())
