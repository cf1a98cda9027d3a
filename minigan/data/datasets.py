"""The door to all training images: MNIST, Fashion-MNIST, glyphs, or a folder of IDX files, by name."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import RandomStream
from minigan.data.glyphs import VERSION, load_glyphs
from minigan.data.idx import read_idx
from minigan.data.mnist import SETS, data_folder, load_mnist
from minigan.errors import DataError, DataMissingError, DownloadError, nearest

NAMES = ("auto", *SETS, "glyphs")


class Dataset(NamedTuple):
    """Images, and a record of what they are: plain JSON, enough to load them again and to tell whether they changed."""

    images: np.ndarray  # uint8 (N, 28, 28)
    record: dict[str, Any]


def load_dataset(
    name: str = "auto",
    *,
    count: int = 60_000,
    test_images: bool = False,
    split_seed: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    say: Callable[[str], None] = print,
) -> Dataset:
    """The first `count` training images of "mnist", "fashion-mnist", "glyphs" or a folder of IDX files.

    With `test_images` the set's test images come after its training images. With `split_seed` the images are brought
    into a random order, drawn from it, before the first `count` are taken. (Glyphs are drawn independently of each
    other, so for them neither changes anything. A folder without test images has its training images only.)
    "auto" is MNIST if it is on this machine or can be downloaded, else glyphs, and `say` is told so.
    Raises ArgumentError for an unknown name, DataMissingError or DownloadError if the set cannot be had (never for
    "auto", unless a folder was named that does not exist), DataError for a damaged one.
    """
    if name == "auto":
        data_folder(data_dir)  # a folder that was named and does not exist is a mistake, not a reason for glyphs
        try:
            images, record = _read("mnist", count, test_images, data_dir, offline, say)
        except OSError as error:  # not there, not to be downloaded, or nowhere to keep it
            reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
            say(f"No MNIST: {reason}. Training on glyphs instead, digits that minigan draws itself.")
            say(f"For MNIST, {remedy('mnist')}.")
            images, record = _read("glyphs", count, test_images, data_dir, offline, say)
    else:
        try:
            images, record = _read(name, count, test_images, data_dir, offline, say)
        except (DownloadError, DataMissingError) as error:
            also = "or train on digits that minigan draws itself: --dataset glyphs"
            raise type(error)(f"{error}; {remedy(name)}, {also}") from None
    if test_images:
        record["test_images"] = True
    if split_seed is not None and record["name"] != "glyphs":
        record["split_seed"] = split_seed
        images = images[RandomStream(split_seed, "split").host.permutation(len(images))]
    images = images[:count]
    return Dataset(images, {**record, "images": len(images), "sha256": hashlib.sha256(images.tobytes()).hexdigest()})


def _read(
    name: str,
    count: int,
    test_images: bool,
    data_dir: str | os.PathLike[str] | None,
    offline: bool,
    say: Callable[[str], None],
) -> tuple[np.ndarray, dict[str, Any]]:
    if name == "glyphs":
        return load_glyphs(count)[0], {"name": "glyphs", "version": VERSION, "seed": 0}
    if name in SETS:
        splits = ("train", "test") if test_images else ("train",)
        parts = [load_mnist(split, name=name, data_dir=data_dir, offline=offline, say=say)[0] for split in splits]
        return np.concatenate(parts), {"name": name}
    if Path(name).is_dir():
        images, path = _from_folder(Path(name), test_images)
        return images, {"name": path.parent.resolve().name, "path": str(path.resolve())}
    nearest("dataset", name, NAMES, also=", or a folder of IDX files")
    raise AssertionError(name)


def load_recorded(
    record: dict[str, Any],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    say: Callable[[str], None] = print,
) -> Dataset:
    """The very images that `record` describes; raises DataError if they are no longer the same."""
    name = record["name"]
    if "path" in record:
        name, data_dir = str(data_dir or Path(record["path"]).parent), None
        if not Path(name).is_dir():
            raise DataMissingError(
                f"the run's images were in {name}, which is gone; give the new place: --data-dir DIR"
            )
    choice = {"test_images": record.get("test_images", False), "split_seed": record.get("split_seed")}
    found = load_dataset(name, count=record["images"], **choice, data_dir=data_dir, offline=offline, say=say)
    if found.record["sha256"] != record["sha256"]:
        raise DataError(
            f"the run was trained on {record['images']:,} images of {record['name']} with SHA-256 "
            f"{record['sha256'][:12]}…, and what is there now has {found.record['sha256'][:12]}…; put the former back"
        )
    return found


def remedy(name: str) -> str:
    """What to do to have a published set."""
    return f"connect to a network, or give --data-dir DIR (or MINIGAN_DATA=DIR) where DIR/{name} holds its files"


def _from_folder(folder: Path, test_images: bool) -> tuple[np.ndarray, Path]:
    """The images in a folder of IDX files: its one file with three axes, or of several the one named "train".

    With `test_images`, those of a file named "test" or "t10k" come after them.
    """
    names = re.compile(r"idx|ubyte", re.IGNORECASE)
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and names.search(path.name)]
    images = [path for path in files if _axes(path) == 3]
    tests = [path for path in images if re.search("test|t10k", path.name, re.IGNORECASE)] if test_images else []
    if len(images) > 1:
        images = [path for path in images if "train" in path.name.lower()] or images
    if len(images) != 1:
        found = ", ".join(path.name for path in images) or "none"
        raise DataError(
            f"{folder} must hold one IDX file of images (N, 28, 28), with idx or ubyte in its name, and train if there "
            f"are several; found: {found}"
        )
    paths = [images[0], *(path for path in tests if path != images[0])]
    arrays = [read_idx(path) for path in paths]
    for path, array in zip(paths, arrays, strict=True):
        if array.dtype != np.uint8 or array.shape[1:] != (28, 28):
            raise DataError(f"{path} holds {array.dtype} {array.shape}; minigan's recipes draw uint8 (N, 28, 28)")
    return np.concatenate(arrays), images[0]


def _axes(path: Path) -> int:
    """The number of axes that an IDX file's header states; 0 if it is no IDX file."""
    import gzip

    with path.open("rb") as raw:
        head = raw.read(4)
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as content:
                head = content.read(4)
        except (OSError, EOFError, zlib.error):
            return 0
    return head[3] if len(head) == 4 and head[:2] == b"\0\0" else 0
