"""The door to all training images: MNIST, Fashion-MNIST, glyphs, or a folder of IDX files, by name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import RandomStream
from minigan.data.glyphs import VERSION, load_glyphs
from minigan.data.idx_folder import read_folder
from minigan.data.mnist import SETS, data_folder, load_images
from minigan.errors import DataError, DataMissingError, DownloadError, known_name, whole

NAMES = ("auto", *SETS, "glyphs")


class Dataset(NamedTuple):
    """Images, and a record of what they are: plain JSON, enough to load them again and to tell whether they changed."""

    images: np.ndarray  # uint8 (N, 28, 28)
    record: dict[str, Any]


def built_in(record: dict[str, Any]) -> str | None:
    """The set of minigan's own that a record describes; None for a folder, whatever it is called."""
    return None if record.get("path") else record["name"]


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
    into a random order, drawn from it, before the first `count` are taken. Where one of the two changes nothing, `say`
    is told so, and `test_images` is not recorded: glyphs are drawn independently of each other, a folder may hold no
    test images, and `count` may end before them. A name means the set also where there is a folder of that name, which
    is "./NAME".
    "auto" is MNIST if it is on this machine or can be downloaded, else glyphs, and `say` is told so.
    Raises ArgumentError for an unknown name, DataMissingError or DownloadError if the set cannot be had (never for
    "auto", unless a folder was named that does not exist), DataError for a damaged one.
    """
    count = whole(count, "count must be a whole number of images, at least 1", least=1)
    if name == "auto":
        data_folder(data_dir)  # a folder that was named and does not exist is a mistake, not a reason for glyphs
        try:
            images, tests, record = _read("mnist", count, test_images, data_dir, offline, say)
        except OSError as error:  # not there, not to be downloaded, or nowhere to keep it
            reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
            say(f"No MNIST: {reason}. Training on glyphs instead, digits that minigan draws itself.")
            say(f"For MNIST, {dataset_remedy('mnist')}.")
            images, tests, record = _read("glyphs", count, test_images, data_dir, offline, say)
    else:
        try:
            images, tests, record = _read(name, count, test_images, data_dir, offline, say)
        except (DownloadError, DataMissingError) as error:
            also = "or train on digits that minigan draws itself: --dataset glyphs"
            raise type(error)(f"{error}; {dataset_remedy(name)}, {also}") from None
    if built_in(record) == "glyphs":
        if test_images or split_seed is not None:
            say("Glyphs are drawn independently of each other: test_images and random_split change nothing here.")
        test_images, split_seed = False, None
    elif test_images and not len(tests):
        say(f"There are no test images in {Path(record['path']).parent}: test_images changes nothing here.")
    elif test_images and split_seed is None and count <= len(images):
        say(
            f"test_images changes nothing here: the first {count:,} images are taken, and the test images come after "
            f"{len(images):,} training images."
        )
    elif test_images:
        record["test_images"] = True
        images = np.concatenate([images, tests])
    if split_seed is not None:
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
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """(training images, test images if they are asked for, the beginning of the record)."""
    none = np.zeros((0, 28, 28), np.uint8)
    if name == "glyphs":
        return load_glyphs(count, say=say)[0], none, {"name": "glyphs", "version": VERSION, "seed": 0}
    if name in SETS:
        place = {"name": name, "data_dir": data_dir, "offline": offline, "say": say}
        return load_images("train", **place), load_images("test", **place) if test_images else none, {"name": name}
    if Path(name).is_dir():
        found = read_folder(Path(name), test_images=test_images, say=say)
        # The folder's own path, not that of the file: this may be a link to a store of files without names.
        path = found.path.parent.resolve() / found.path.name
        return found.train, found.test, {"name": found.name, "path": str(path)}
    known_name("dataset", name, NAMES, also=", or a folder of IDX files")
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
    if built_in(record) is None:
        name, data_dir = folder_of(record, data_dir), None
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
    moved = {"path": found.record["path"]} if built_in(record) is None else {}
    return Dataset(found.images, {**record, **moved})  # under the name that its checkpoints know


def folder_of(record: dict[str, Any], data_dir: str | os.PathLike[str] | None) -> str:
    """The folder of a run's own images: where they were, or `data_dir`; absolute, so that it is never a set's name."""
    return str(Path(data_dir or Path(record["path"]).parent).absolute())


def dataset_remedy(name: str) -> str:
    """What to do to have a published set."""
    return f"connect to a network, or give --data-dir DIR (or MINIGAN_DATA=DIR) where DIR/{name} holds its files"
