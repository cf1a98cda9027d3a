"""Disks that cannot be written, and files of another version."""

import os
import pathlib
from pathlib import Path

import numpy as np
import pytest
from runfolder import contents, resume, start

from minigan.cli.main import main
from minigan.errors import CheckpointError
from minigan.runs.saved import checkpoints
from minigan.store import tensors
from minigan.store.tensors import read_tensors, write_tensors

pytestmark = pytest.mark.usefixtures("elsewhere")


# Disks ---------------------------------------------------------------------------------------------------------------


def read_only(patch):
    """From now on nothing can be written, as on a disk that is mounted so (no folder's mode would stop root)."""

    def refuse(path, *args, **options):
        raise OSError(30, "Read-only file system", str(path))

    real = pathlib.Path.open
    patch.setattr(
        pathlib.Path,
        "open",
        lambda path, mode="r", *a, **o: (refuse if set(mode) & set("wax+") else real)(path, mode, *a, **o),
    )
    for name in ("mkdir", "unlink", "rename"):
        patch.setattr(pathlib.Path, name, refuse)
    patch.setattr(os, "replace", refuse)


def test_a_run_on_a_read_only_disk_is_refused_in_one_line_with_the_folder(monkeypatch, capsys):
    read_only(monkeypatch)
    with pytest.raises(SystemExit) as stop:
        main(["train", "quick-mlp", "--smoke", "--dataset", "glyphs", "--device", "cpu", "--out", "here"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "minigan: Read-only file system: here/checkpoints\n"
    assert not Path("here").exists()


def test_a_run_whose_disk_has_become_read_only_is_left_as_it_is_and_can_be_drawn_from(copy, whole, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        read_only(patch)
        with pytest.raises(SystemExit) as stop:
            main(["train", "--resume", str(copy.folder), "--epochs", "4"])
        assert stop.value.code == 2
        assert capsys.readouterr().err.startswith(f"minigan: Read-only file system: {copy.folder}/")
        np.testing.assert_array_equal(copy.sample(3), whole.sample(3))
    assert contents(copy) == contents(whole)
    assert resume(copy.folder, epochs=4).epoch == 4


@pytest.mark.parametrize("name", ["epoch-0000", "epoch-0002", "epoch-0003"])
def test_a_disk_that_is_full_for_a_checkpoint_keeps_those_before_and_the_run_ends_with_the_same_bits(
    whole, tmp_path, monkeypatch, name
):
    real = os.replace

    def full(source, target):
        if Path(target).name == f"{name}.safetensors":
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match=rf"No space left on device: .*{name}.safetensors"):
            start(tmp_path / "run")
    before = {"epoch-0000": [], "epoch-0002": ["epoch-0000", "epoch-0001"], "epoch-0003": ["epoch-0001", "epoch-0002"]}
    assert [path.stem for path in checkpoints(tmp_path / "run")] == before[name]
    assert [path.name for path in (tmp_path / "run").rglob(".*")] == [".lock"]
    if before[name]:
        assert contents(resume(tmp_path / "run")) == contents(whole)


# Versions ------------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_version_of_the_format_says_so(copy, monkeypatch, capsys):
    for path in checkpoints(copy.folder):
        document, arrays = read_tensors(path)
        with monkeypatch.context() as patch:
            patch.setattr(tensors, "FORMAT", 99)
            write_tensors(path, arrays, **document)
    with pytest.raises(
        CheckpointError, match=r"epoch-0003.safetensors is not of format 2, which this version of minigan reads"
    ):
        resume(copy.folder, epochs=4)
    with pytest.raises(SystemExit) as stop:
        main(["sample", str(copy.folder)])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
