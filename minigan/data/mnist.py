"""MNIST and Fashion-MNIST: 60,000 training and 10,000 test images, downloaded on first use and checked byte for byte.

Sources: LeCun, Cortes & Burges, "The MNIST database of handwritten digits", 1998; Xiao, Rasul & Vollgraf,
"Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.data.download import fetch
from minigan.data.idx import read_idx
from minigan.errors import DataError, DataMissingError, check_choice
from minigan.files import cache_dir


class File(NamedTuple):
    """A published file: its name without `.gz`, and the size and SHA-256 of the `.gz`."""

    name: str
    size: int
    gz_sha256: str
    sha256: str | None  # … of the uncompressed content, the same for every way of compressing it; None: not published


class Published(NamedTuple):
    """A published set: where it can be had, and what its files are."""

    mirrors: tuple[str, ...]
    train: tuple[File, File]  # images, labels
    test: tuple[File, File]


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

SETS = {
    "mnist": Published(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        train=(
            File(
                TRAIN_IMAGES,
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            File(
                TRAIN_LABELS,
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
        ),
        test=(
            File(
                TEST_IMAGES,
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            File(
                TEST_LABELS,
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
    ),
    "fashion-mnist": Published(
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        train=(
            File(
                TRAIN_IMAGES,
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                None,
            ),
            File(
                TRAIN_LABELS,
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                None,
            ),
        ),
        test=(
            File(
                TEST_IMAGES,
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                None,
            ),
            File(
                TEST_LABELS,
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                None,
            ),
        ),
    ),
}


def load_mnist(
    split: str = "train",
    *,
    name: str = "mnist",
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 (N, 28, 28), labels uint8 (N,)) of the "train" or "test" split of "mnist" or "fashion-mnist".

    Looked for under `data_dir`, else $MINIGAN_DATA, else minigan's cache, as `mnist/FILE` (plain or with `.gz`); if not
    there, downloaded into it, unless `offline`.
    Raises DataMissingError naming the files, the folder and the alternatives; DownloadError if no mirror delivers;
    DataError for a damaged file in your own folder (one in the cache is replaced).
    """
    check_choice("split", split, ("train", "test"))
    check_choice("name", name, tuple(SETS))
    folder, own = data_folder(data_dir)
    images, labels = (_load(SETS[name], file, name, folder, own, offline, say) for file in getattr(SETS[name], split))
    return images, labels


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> tuple[Path, bool]:
    """(folder of the data sets, whether it is the user's own): `data_dir`, else $MINIGAN_DATA, else minigan's cache.

    Raises DataMissingError if the user's folder does not exist.
    """
    chosen = data_dir if data_dir is not None else os.environ.get("MINIGAN_DATA")
    if not chosen:
        return cache_dir(), False
    if not Path(chosen).is_dir():
        asked = "--data-dir" if data_dir is not None else "MINIGAN_DATA"
        raise DataMissingError(f"there is no folder {chosen} (from {asked}); make it, or name the one with the data")
    return Path(chosen), True


def find_files(name: str, file: File, folder: Path) -> list[Path]:
    """Those that exist of `folder/NAME/FILE` and, for MNIST, `folder/FILE`, plain or with `.gz`."""
    places = [folder / name, folder] if name == "mnist" else [folder / name]
    candidates = [place / (file.name + end) for place in places for end in ("", ".gz")]
    return [path for path in candidates if path.is_file()]


def _load(
    published: Published,
    file: File,
    name: str,
    folder: Path,
    own: bool,
    offline: bool,
    say: Callable[[str], None],
) -> np.ndarray:
    def read(path: Path) -> np.ndarray:
        return read_idx(path, sha256=file.sha256)

    damaged: DataError | None = None
    for path in find_files(name, file, folder):
        try:
            return read(path)
        except DataError as error:
            if own:
                raise
            damaged = damaged or error  # in the cache: look for another copy, else fetch it again
    if offline and damaged:
        raise damaged
    if offline:
        raise DataMissingError(f"{file.name}.gz is not in {folder / name}, and nothing is downloaded with --offline")
    gz = f"{file.name}.gz"
    return read(fetch(published.mirrors, gz, folder / name, size=file.size, sha256=file.gz_sha256, check=read, say=say))
