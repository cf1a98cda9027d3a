"""MNIST from a folder: 60,000 training and 10,000 test images of handwritten digits, checked byte for byte.

Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minigan.data.idx import read_idx
from minigan.errors import DataMissingError, check_choice

# SHA-256 of the uncompressed content: the same for every way of compressing it.
FILES = {
    "train": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    "test": {
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
}


def load_mnist(
    split: str = "train", *, data_dir: str | os.PathLike[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 (N, 28, 28), labels uint8 (N,)) of the "train" or "test" split.

    Looks in `data_dir`, else in $MINIGAN_DATA, for `mnist/NAME` or `NAME`, plain or with `.gz`.
    Raises DataMissingError naming the files, the folder and the alternatives; DataError for a damaged file.
    """
    check_choice("split", split, tuple(FILES))
    paths = find_mnist(split, data_dir)
    images, labels = (read_idx(path, sha256=sha) for path, sha in zip(paths, FILES[split].values(), strict=True))
    return images, labels


def find_mnist(split: str = "train", data_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """The paths of a split's images and labels; raises DataMissingError if one is not there."""
    folder = data_dir if data_dir is not None else os.environ.get("MINIGAN_DATA")
    remedy = "or train on the digits that minigan draws itself: --dataset glyphs"
    if not folder:
        raise DataMissingError(
            f"no folder to look for MNIST in: pass --data-dir DIR or set MINIGAN_DATA to a folder that holds "
            f"mnist/{next(iter(FILES[split]))}.gz and its companions, {remedy}"
        )
    found = []
    for name in FILES[split]:
        candidates = [Path(folder) / sub / (name + end) for sub in ("mnist", "") for end in ("", ".gz")]
        path = next((p for p in candidates if p.is_file()), None)
        if path is None:
            raise DataMissingError(
                f"MNIST's {name} (or {name}.gz) is neither in {Path(folder) / 'mnist'} nor in {folder}; put "
                f"{' and '.join(FILES[split])} there, {remedy}"
            )
        found.append(path)
    return found
