"""Writing files whole or not at all, where minigan keeps what it can make again, and paths in commands to be typed."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import tempfile
import time
from pathlib import Path, PurePath


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that no reader, and no crash, ever sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        put(beside, path)
        fsync(path.parent)  # the new name, too: before an older file is removed in its favour
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):  # say which file could not be written, not the name that it had meanwhile
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def put(source: Path, target: Path) -> None:
    """os.replace; on Windows, where a virus scanner or a viewer may have the target open, tried for a second."""
    for pause in (0.1, 0.2, 0.3, 0.4):
        try:
            return os.replace(source, target)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(pause)
    return os.replace(source, target)


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file; an OSError names the file, also when the disk is found full on the way."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:  # the same bytes on every system
            file.write(line + "\n")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def fsync(path: Path) -> None:
    """Wait until what was written to a file, or the names in a folder, are on the disk; nothing if there is none."""
    if not path.exists():
        return
    folder = path.is_dir()
    try:  # Windows waits only for what is open for writing
        descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    except PermissionError:
        if folder:
            return  # Windows opens none: there the file system's journal has to do
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cache_dir() -> Path:
    """$XDG_CACHE_HOME/minigan, or ~/.cache/minigan, on every system; for a user without a home, a temporary folder."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if root.startswith("~"):  # there is no HOME, and the system knows none for this user
        user = getattr(os, "getuid", lambda: "user")()  # Windows has no numbers, but a temporary folder for each user
        return Path(tempfile.gettempdir()) / f"minigan-{user}"
    return Path(root) / "minigan"


def quoted(path: PurePath, system: str = os.name) -> str:
    """A path as one word of a command, in the quotes of the system's shell where it needs some.

    On Windows they are double, which cmd and PowerShell both know, and the slashes are those that every shell there
    leaves alone. A name that begins with a dash, which would be taken for a flag, gets its folder.
    """
    text = path.as_posix() if system == "nt" else str(path)
    text = f"./{text}" if text.startswith("-") else text
    if system != "nt":
        return shlex.quote(text)
    return text if re.fullmatch(r"[\w.:/-]+", text) else f'"{text}"'
