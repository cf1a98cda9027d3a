"""MNIST and Fashion-MNIST: 60,000 training and 10,000 test images, downloaded on first use and checked byte for byte.

Sources: LeCun, Cortes & Burges, "The MNIST database of handwritten digits", 1998; Xiao, Rasul & Vollgraf,
"Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.data.download import fetch
from minigan.data.idx import read_idx
from minigan.errors import DataError, DataMissingError, DownloadError, check_choice
from minigan.store.files import cache_dir


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

    Looked for under `data_dir`, else $MINIGAN_DATA, else minigan's cache, where `find_files` says; if not there,
    downloaded into `mnist/` there, unless `offline`.
    Raises DataMissingError naming the files, the folder and the alternatives; DownloadError if no mirror delivers;
    DataError for a damaged file in your own folder (one in the cache is replaced).
    """
    images = load_images(split, name=name, data_dir=data_dir, offline=offline, say=say)
    try:
        return images, _load(name, split, 1, data_dir, offline, say)
    except (DataMissingError, DownloadError) as error:
        raise type(error)(f"{error}; the images are there without their labels: load_images reads them") from None


def load_images(
    split: str = "train",
    *,
    name: str = "mnist",
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    say: Callable[[str], None] = print,
) -> np.ndarray:
    """The images of `load_mnist` alone, which need no file of labels: what a GAN learns from."""
    return _load(name, split, 0, data_dir, offline, say)


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
    """Those that exist of a published file's copies under `folder`, plain or with `.gz`, where people have them.

    In `mnist/`, or in `MNIST/raw/` as torchvision keeps it, however the folder's name is written (FashionMNIST,
    fashion-mnist); or in `folder` itself, if that is such a folder. MNIST's files may lie in any folder, since their
    content is known by its hash; the other sets' have the same names. Some archives have a dot before `idx`.
    """

    def named(path: Path) -> bool:
        return re.sub("[-_ ]", "", path.name.lower()) == name.replace("-", "")

    here = folder.absolute()
    inside = [path for path in folder.iterdir() if named(path) and path.is_dir()] if folder.is_dir() else []
    inside.sort(key=lambda path: (path.name != name, path.name))
    homes = [*inside, *([folder] if named(here) else [])]
    places = [place for home in homes for place in (home, home / "raw")]
    if name == "mnist" or (here.name == "raw" and named(here.parent)):
        places.append(folder)
    names = [spelt + end for spelt in (file.name, file.name.replace("-idx", ".idx")) for end in ("", ".gz")]
    return [path for path in dict.fromkeys(place / name for place in places for name in names) if path.is_file()]


def _load(
    name: str,
    split: str,
    which: int,
    data_dir: str | os.PathLike[str] | None,
    offline: bool,
    say: Callable[[str], None],
) -> np.ndarray:
    """File number `which` (0: images, 1: labels) of a split."""
    check_choice("split", split, ("train", "test"))
    check_choice("name", name, tuple(SETS))
    folder, own = data_folder(data_dir)
    published: Published = SETS[name]
    file: File = getattr(published, split)[which]

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
        raise DataMissingError(
            f"{file.name} is not in {folder / name} (nor in a torchvision folder there, nor with .gz), and nothing is "
            "downloaded with --offline"
        )
    gz = f"{file.name}.gz"
    return read(fetch(published.mirrors, gz, folder / name, size=file.size, sha256=file.gz_sha256, check=read, say=say))
