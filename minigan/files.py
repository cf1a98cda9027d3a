"""Writing files whole or not at all, and where minigan keeps what it can make again."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that no reader, and no crash, ever sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        flush(path.parent)  # the new name, too: before an older file is removed in its favour
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):  # say which file could not be written, not the name that it had meanwhile
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file; an OSError names the file, also when the disk is found full on the way."""
    try:
        with path.open("a") as file:
            file.write(line + "\n")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def flush(path: Path) -> None:
    """Wait until what was written to a file, or the names in a folder, are on the disk; nothing if there is none."""
    if path.exists():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def cache_dir() -> Path:
    """$XDG_CACHE_HOME/minigan, or ~/.cache/minigan; for a user without a home, a temporary folder."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if root.startswith("~"):  # there is no HOME, and the system knows none for this user
        return Path(tempfile.gettempdir()) / f"minigan-{os.getuid()}"
    return Path(root) / "minigan"
