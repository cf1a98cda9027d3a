"""A folder of one's own that holds IDX files: which of them are the training images, and which the test images."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.data.idx import read_idx
from minigan.errors import DataError

INSIDE = ("raw", "gzip")  # where torchvision keeps a set's files, and where EMNIST's archive has them


class IdxFolder(NamedTuple):
    """What a folder holds: `train` and `test`, uint8 (N, 28, 28); `path` is the file of the training images."""

    name: str
    path: Path
    train: np.ndarray
    test: np.ndarray  # (0, 28, 28) if there are none, or they were not asked for


def read_folder(folder: Path, *, test_images: bool, say: Callable[[str], None] = print) -> IdxFolder:
    """The images in a folder of IDX files, or in its `raw` or `gzip` if there are none in itself.

    The training images are its one file with three axes; of several the one named "train", or the one that is not named
    "test" or "t10k", as the test images are. Copies of a file, plain and with `.gz`, count once. `say` is told if the
    images look like EMNIST's, which lie on their side.
    Raises DataError, naming the files, if there is no such file or more than one, if copies differ, or if a file is
    damaged or holds other images.
    """
    files = next((found for place in (folder, *(folder / sub for sub in INSIDE)) if (found := image_files(place))), [])
    tests = [path for path in files if re.search("test|t10k", path.name.lower()) and "train" not in path.name.lower()]
    named = [path for path in files if "train" in path.name.lower()]
    train = same_files(named or [path for path in files if path not in tests] or files)
    if len(train) != 1:
        raise DataError(
            f"{folder} must hold one IDX file of images (N, 28, 28), with idx or ubyte in its name, and train if there "
            f"are several; {found_instead(train)}"
        )
    paths = train[0]
    if "emnist" in f"{title(paths[0].parent)}/{paths[0].name}".lower():
        say(
            f"{paths[0]} looks like EMNIST, whose images are published with rows and columns exchanged, and is "
            "used as it is; images.transpose(0, 2, 1) sets them upright (how: EMNIST on the page “Train, watch, go on” "
            "of the documentation)"
        )
    apart = same_files([path for path in tests if path not in paths]) if test_images else []
    if len(apart) > 1:
        raise DataError(f"{folder} must hold one IDX file of test images at most; {found_instead(apart)}")
    test = read_copies(apart[0]) if apart else np.zeros((0, 28, 28), np.uint8)
    return IdxFolder(title(paths[0].parent), paths[0], read_copies(paths), test)


def title(folder: Path) -> str:
    """What to call the images in a folder: after it, or after the one around it if it is called `raw` or `gzip`."""
    here = folder.resolve()
    return here.parent.name if here.name in INSIDE else here.name


def image_files(folder: Path) -> list[Path]:
    """The IDX files with three axes in a folder, or that say so in their name; [] if there is no such folder."""
    names = re.compile(r"idx|ubyte", re.IGNORECASE)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [path for path in paths if names.search(path.name) and path.is_file()]
    return [path for path in files if axes(path) == 3 or re.search(r"idx3-ubyte(\.gz)?$", path.name.lower())]


def same_files(paths: list[Path]) -> list[list[Path]]:
    """The files, those together whose names differ in `.gz`, in dots for dashes or in capitals only."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.name.lower().removesuffix(".gz").replace(".", "-"), []).append(path)
    return list(found.values())


def found_instead(files: list[list[Path]]) -> str:
    names = ", ".join(paths[0].name for paths in files)
    return f"found: {names}; put the one to use into a folder of its own" if names else "found: none"


def read_copies(paths: list[Path]) -> np.ndarray:
    """The images in a file, of which there may be copies; raises DataError if these differ or hold other images."""
    first, *others = (read_idx(path) for path in paths)
    if first.dtype != np.uint8 or first.shape[1:] != (28, 28):
        raise DataError(f"{paths[0]} holds {first.dtype} {first.shape}; minigan's recipes draw uint8 (N, 28, 28)")
    for path, other in zip(paths[1:], others, strict=True):
        if not np.array_equal(first, other):
            raise DataError(f"{paths[0]} and {path.name} have one name and different content; remove one of them")
    return first


def axes(path: Path) -> int:
    """The number of axes that an IDX file's header states; 0 if it is no IDX file."""
    with path.open("rb") as raw:
        head = raw.read(4)
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as content:
                head = content.read(4)
        except (OSError, EOFError, zlib.error):
            return 0
    return head[3] if len(head) == 4 and head[:2] == b"\0\0" else 0
