"""Fetching a published file: from the first mirror that answers, checked before it is kept.

Pooch downloads and checks; the loop over mirrors and the clock are here, since a timeout of the HTTP library limits one
wait of one socket, not a name look-up that hangs or a server that sends a byte a second.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from minigan.errors import DataError, DownloadError

PATIENCE = 5.0  # seconds in all before a network that sends nothing is given up; each mirror gets its share
ENOUGH, STALL = 50_000, 5.0  # a mirror that sends fewer bytes than this in so many seconds is given up, too


def fetch(
    mirrors: Sequence[str],
    name: str,
    folder: Path,
    *,
    size: int,
    sha256: str,
    check: Callable[[Path], Any],
    say: Callable[[str], None] = print,
) -> Path:
    """Download `name` (`size` bytes, of that SHA-256) into `folder` from the first mirror that has it; return its path.

    Each URL is announced with `say` before it is asked. `check(path)` is called on the finished file; if it raises
    DataError, the file is removed and the next mirror tried. No other mirror gets a chance to be as bad in silence: the
    reasons of all are in the DownloadError that is raised if none of them has it. OSError for a disk that is full or
    cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "Permission denied", str(folder))
    reasons = []
    for mirror in mirrors:
        url = f"{mirror}{name}"
        say(f"Downloading {url} ({size / 1e6:.1f} MB) into {folder}")
        try:
            path = _watched(url, folder / name, sha256, size, first_byte=PATIENCE / len(mirrors))
            try:
                check(path)
            except DataError:
                path.unlink()
                raise
            return path
        except (DownloadError, DataError) as error:
            reasons.append(f"{urlsplit(url).netloc}: {error}")
    raise DownloadError(f"{name} could not be downloaded ({', '.join(reasons)})")


class Transfer:
    """What the downloading thread tells the one that watches it. Pooch calls it as it would a progress bar."""

    def __init__(self) -> None:
        self.total = self.received = 0
        self.cancelled = False
        self.result: Path | BaseException | None = None

    def update(self, count: int) -> None:
        self.received += count
        if self.cancelled:
            raise DownloadError("cancelled")  # nobody waits any more: end the thread, and pooch removes what there is

    def reset(self) -> None:
        self.received = 0

    def close(self) -> None:
        pass


def _watched(url: str, path: Path, sha256: str, size: int, *, first_byte: float) -> Path:
    """`_download` in a thread of its own, with a bar, for as long as bytes keep coming."""
    import pooch  # noqa: F401 (now, so that the import does not count as waiting for the mirror)
    import requests  # noqa: F401
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    transfer = Transfer()

    def work() -> None:
        try:
            transfer.result = _download(url, path, sha256, transfer)
        except BaseException as error:  # handed to the thread that waits
            transfer.result = error

    thread = threading.Thread(target=work, daemon=True)
    console = Console()
    with Progress(
        BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=size)
        thread.start()
        since, seen, limit = time.monotonic(), 0, first_byte
        try:
            while thread.is_alive():
                thread.join(0.05)
                received = transfer.received
                bar.update(task, completed=received)
                if received >= seen + ENOUGH or (received and not seen):
                    since, seen, limit = time.monotonic(), received, STALL
                elif time.monotonic() - since > limit and thread.is_alive():
                    raise DownloadError(
                        f"only {received - seen:,} bytes in {limit:g} s" if seen else f"no answer within {limit:g} s"
                    )
        except BaseException:  # Ctrl-C, too
            transfer.cancelled = True
            if transfer.received:
                thread.join(0.2)  # time to remove what there is of the file
            raise
    if isinstance(transfer.result, Path):
        return transfer.result
    assert transfer.result is not None
    raise transfer.result


def _download(url: str, path: Path, sha256: str, transfer: Transfer) -> Path:
    """One file from one place; a file of another hash is removed and is a DownloadError, as is every network fault."""
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    # Pooch takes any object with a progress bar's methods; its annotations say bool.
    downloader: Any = pooch.HTTPDownloader(progressbar=cast(Any, transfer), chunk_size=1 << 10, timeout=PATIENCE)
    try:
        kept = pooch.retrieve(url, f"sha256:{sha256}", fname=path.name, path=path.parent, downloader=downloader)
    except requests.HTTPError as error:
        response = error.response
        assert response is not None
        response.close()
        raise DownloadError(f"{response.status_code} {response.reason}") from None
    except requests.Timeout:
        raise DownloadError(f"no answer within {PATIENCE:g} s") from None
    except requests.RequestException as error:
        raise DownloadError("no connection" if isinstance(error, requests.ConnectionError) else str(error)) from None
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise
        raise DownloadError("sent something else than the published file (its SHA-256 differs)") from None
    return Path(kept)
