"""Fetching a published file: from the first mirror that answers, checked before it is kept.

Pooch downloads and checks; the loop over mirrors and the clock are here, since a timeout of the HTTP library limits one
wait of one socket, not a name look-up that hangs or a server that sends a byte a second.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from minigan.errors import DataError, DownloadError
from minigan.screen import Say, screen_of

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
    say: Say = print,
) -> Path:
    """Download `name` (`size` bytes, of that SHA-256) into `folder` from the first mirror that has it; return its path.

    Each URL is announced with `say` before it is asked. `check(path)` is called on the finished file; if it raises
    DataError, the file is removed and the next mirror tried. No other mirror gets a chance to be as bad in silence: the
    reasons of all are in the DownloadError that is raised if none of them has it. OSError for a disk that is full or
    cannot be written. Whatever fails, no folder is left that was made for the file.
    """
    with _made(folder):
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied", str(folder))
        reasons = []
        for mirror in mirrors:
            url = f"{mirror}{name}"
            say(f"Downloading {url} ({size / 1e6:.1f} MB) into {folder}")
            try:
                path = _watched(url, folder / name, sha256, size, say, first_byte=PATIENCE / len(mirrors))
                try:
                    check(path)
                except DataError:
                    path.unlink()
                    raise
                return path
            except (DownloadError, DataError) as error:
                reasons.append(f"{urlsplit(url).netloc}: {error}")
        raise DownloadError(f"{name} could not be downloaded ({', '.join(reasons)})")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """While entered, the folder exists. On an error, what was made for it goes again, unless something lies in it."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):
            for path in missing:
                path.rmdir()
        raise


def _watched(url: str, path: Path, sha256: str, size: int, say: Say, *, first_byte: float) -> Path:
    """Download in a thread of its own, with a bar in a terminal, while bytes keep coming; into place if all is well."""
    import pooch  # now, so that the import does not count as waiting for the mirror
    import requests  # noqa: F401
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    faults: list[BaseException] = []
    done = threading.Event()  # Thread.is_alive and join cannot be trusted after a KeyboardInterrupt within join

    def work() -> None:
        try:
            _receive(url, file)
        except BaseException as error:  # handed to the thread that waits
            faults.append(error)
        finally:
            done.set()

    screen = screen_of(say)
    alive = screen is not None and screen.alive
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
    try:
        with (
            part.open("wb") as file,  # closed when nobody waits any more: that ends the thread at its next write
            Progress(*columns, console=screen and screen.console, transient=True, disable=not alive) as bar,
        ):
            task = bar.add_task("", total=size)
            threading.Thread(target=work, daemon=True).start()
            since, seen, limit = time.monotonic(), 0, first_byte
            while not done.wait(0.05):
                received = part.stat().st_size
                bar.update(task, completed=received)
                if received > size:
                    raise DownloadError(f"sent more than the {size:,} bytes of the published file")
                if received >= seen + ENOUGH or (received and not seen):
                    since, seen, limit = time.monotonic(), received, STALL
                elif time.monotonic() - since > limit:
                    raise DownloadError(
                        f"only {received - seen:,} bytes in {limit:g} s" if seen else f"no answer within {limit:g} s"
                    )
        if faults:
            raise faults[0]
        if pooch.file_hash(str(part), alg="sha256") != sha256:
            raise DownloadError("sent something else than the published file (its SHA-256 differs)")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _receive(url: str, file: BinaryIO) -> None:
    """Write what the URL gives into `file`; every fault of the network or the server is a DownloadError."""
    import pooch
    import requests

    try:
        pooch.HTTPDownloader(timeout=PATIENCE)(url, file, None)
    except requests.HTTPError as error:
        response = error.response
        assert response is not None
        response.close()
        raise DownloadError(f"{response.status_code} {response.reason}") from None
    except requests.Timeout:
        raise DownloadError(f"no answer within {PATIENCE:g} s") from None
    except requests.exceptions.ChunkedEncodingError:
        raise DownloadError("the connection broke") from None
    except requests.RequestException as error:
        raise DownloadError("no connection" if isinstance(error, requests.ConnectionError) else str(error)) from None
    except ValueError as error:  # a length that is no number, or our file closed under the thread
        raise DownloadError(f"a broken answer ({error})") from None
    except OSError as error:  # the disk's
        raise OSError(error.errno, error.strerror, file.name) from None
