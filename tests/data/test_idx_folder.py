"""A folder of one's own: which files are which, copies of a file, EMNIST, and names that minigan has sets of."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from runfolder import resume, start

from minigan.cli.main import main
from minigan.data.datasets import built_in, load_dataset, load_recorded
from minigan.errors import ArgumentError, DataError, DataMissingError
from minigan.metrics.classifier import load_classifier
from minigan.runs import evaluation as evaluate
from minigan.runs.reference import Reference

IMAGES = np.random.default_rng(0).integers(0, 256, (500, 28, 28), dtype=np.uint8)
TRAIN, TEST = IMAGES[:300], IMAGES[300:450]
COUNT = 129  # samples of an evaluation: the least

pytestmark = pytest.mark.usefixtures("elsewhere")


def quiet(line):
    pass


def put(path, images):
    """Write an IDX file, compressed if its name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = bytes([0, 0, 8, images.ndim]) + struct.pack(f">{images.ndim}I", *images.shape) + images.tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.name.endswith(".gz") else content)


def copied(path):
    """The file again, compressed, beside it."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))


@pytest.fixture
def folder(tmp_path):
    """300 training and 150 test images, and labels, as torchvision has them."""
    put(tmp_path / "own" / "train-images-idx3-ubyte", TRAIN)
    put(tmp_path / "own" / "t10k-images-idx3-ubyte", TEST)
    put(tmp_path / "own" / "train-labels-idx1-ubyte", np.zeros(300, np.uint8))
    return tmp_path / "own"


# Copies --------------------------------------------------------------------------------------------------------------


def test_a_file_and_its_compressed_copy_count_once(folder):
    before = load_dataset(str(folder), test_images=True)
    np.testing.assert_array_equal(before.images, IMAGES[:450])
    for path in list(folder.iterdir()):
        copied(path)
    after = load_dataset(str(folder), test_images=True)
    assert after.record == before.record
    reference = Reference.load(str(folder), say=quiet)
    np.testing.assert_array_equal(reference.training, TRAIN)
    np.testing.assert_array_equal(reference.test, TEST)
    (folder / "train-images-idx3-ubyte").unlink()
    np.testing.assert_array_equal(load_dataset(str(folder)).images, TRAIN)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-images-idx3-ubyte"),
        ("train-images.idx3-ubyte.gz", "train-images-idx3-ubyte.gz"),
        ("x.idx", "x.idx.GZ"),
        ("digits.idx", "digits.idx.gz"),
    ],
)
def test_copies_of_a_file_under_its_names_count_once_and_those_that_differ_are_named(tmp_path, first, second):
    for name in (first, second):
        put(tmp_path / name, TRAIN)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).images, TRAIN)
    put(tmp_path / second, TRAIN[:299])
    one, other = sorted((first, second))
    with pytest.raises(DataError, match=f"{one} and {other} have one name and different content; remove one"):
        load_dataset(str(tmp_path))


def test_test_files_that_differ_are_named_and_never_one_behind_the_other(folder):
    put(folder / "t10k-images-idx3-ubyte.gz", TEST[::-1])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte and t10k-images-idx3-ubyte.gz have one name"):
        load_dataset(str(folder), test_images=True)
    np.testing.assert_array_equal(load_dataset(str(folder)).images, TRAIN)  # to learn from, they do not matter
    (folder / "t10k-images-idx3-ubyte.gz").rename(folder / "test-images.idx")
    for load in (lambda: load_dataset(str(folder), test_images=True), lambda: Reference.load(str(folder))):
        with pytest.raises(
            DataError, match=r"test images at most; found: t10k-images-idx3-ubyte, test-images.idx; put"
        ):
            load()


def test_a_damaged_copy_is_named(folder):
    copied(folder / "train-images-idx3-ubyte")
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is damaged"):
        load_dataset(str(folder))


def test_a_run_goes_on_and_is_measured_when_its_folder_has_got_the_second_copies(folder, tmp_path):
    start(tmp_path / "run", epochs=1, dataset=str(folder))
    for path in list(folder.iterdir()):
        copied(path)
    result = evaluate.evaluate(tmp_path / "run", COUNT, say=quiet)
    assert result["test_images"] == 150, "the test images have doubled"
    assert resume(tmp_path / "run", epochs=2).epoch == 2
    (folder / "train-images-idx3-ubyte").unlink()
    assert resume(tmp_path / "run", epochs=3).epoch == 3


# Which files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"),
        ("train-images.idx3-ubyte", "t10k-images.idx3-ubyte"),
        ("k49-train-imgs.idx", "K49-TEST-imgs.idx"),
        ("digits.idx", "test.idx"),
        ("latest-train.idx", "latest-test.idx"),
    ],
)
@pytest.mark.parametrize("inside", ["", "raw", "gzip"])
def test_the_training_and_the_test_images_are_told_by_their_names(tmp_path, train, test, inside):
    put(tmp_path / "data" / inside / train, TRAIN)
    put(tmp_path / "data" / inside / test, TEST)
    for named in (tmp_path / "data", tmp_path / "data" / inside):
        np.testing.assert_array_equal(load_dataset(str(named)).images, TRAIN)
        found = load_dataset(str(named), test_images=True)
        np.testing.assert_array_equal(found.images, IMAGES[:450])
        assert found.record["name"] == "data"
        np.testing.assert_array_equal(load_recorded(found.record).images, found.images)
        np.testing.assert_array_equal(load_recorded(found.record, data_dir=tmp_path / "data").images, found.images)


def test_two_training_files_or_none_are_named(tmp_path):
    with pytest.raises(DataError, match=r"must hold one IDX file .*; found: none"):
        load_dataset(str(tmp_path))
    for name in ("b-train.idx", "a-train.idx.gz", "test.idx"):
        put(tmp_path / name, TRAIN)
    with pytest.raises(DataError, match=r"found: a-train.idx.gz, b-train.idx; put the one to use into a folder of its"):
        load_dataset(str(tmp_path))


def test_a_run_finds_images_again_whose_file_is_a_link_into_a_store(folder, tmp_path):
    (folder / "train-images-idx3-ubyte").rename(tmp_path / "0a1b2c")
    (folder / "train-images-idx3-ubyte").symlink_to(tmp_path / "0a1b2c")
    found = load_dataset(str(folder))
    assert found.record["path"] == str(folder / "train-images-idx3-ubyte")
    np.testing.assert_array_equal(load_recorded(found.record).images, TRAIN)


def test_a_run_whose_images_have_moved_keeps_the_name_that_its_checkpoints_know(folder, tmp_path):
    """Else it could not go on a second time, if it was stopped before its next checkpoint."""
    start(tmp_path / "run", epochs=1, dataset=str(folder))
    folder.rename(tmp_path / "moved")
    run = resume(tmp_path / "run", epochs=2, data_dir=tmp_path / "moved")
    assert (run.dataset["name"], run.dataset["path"]) == ("own", str(tmp_path / "moved" / "train-images-idx3-ubyte"))


# What changes nothing is told ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "choice", "told"),
    [
        ("glyphs", {"test_images": True}, "Glyphs are drawn independently of each other: test_images and random_split"),
        ("glyphs", {"split_seed": 0}, "Glyphs are drawn independently of each other: test_images and random_split"),
        ("own", {"test_images": True, "count": 300}, "the first 300 images are taken, and the test images come after"),
        ("alone", {"test_images": True}, "There are no test images in"),
        ("own", {"test_images": True, "count": 301}, None),
        ("own", {"test_images": True, "count": 300, "split_seed": 0}, None),
        ("alone", {"split_seed": 0}, None),
        ("glyphs", {}, None),
    ],
)
def test_a_choice_that_changes_nothing_is_told_and_not_recorded(folder, tmp_path, dataset, choice, told):
    put(tmp_path / "alone" / "x.idx", TRAIN)
    said, name = [], dataset if dataset == "glyphs" else str(tmp_path / dataset)
    found = load_dataset(name, **{"count": 450, **choice}, say=said.append)
    assert [told in line for line in said] == ([True] if told else [])
    assert found.record.get("test_images", False) == ("test_images" in choice and not told)
    plain = load_dataset(name, count=choice.get("count", 450), split_seed=choice.get("split_seed"), say=quiet)
    assert np.array_equal(found.images, plain.images) == (told is not None or "test_images" not in choice)
    np.testing.assert_array_equal(load_recorded(found.record, say=quiet).images, found.images)


def test_glyphs_are_not_said_to_have_test_images_that_a_run_has_learned_from(tmp_path):
    run = start(tmp_path / "run", epochs=1, test_images=True)
    reference = Reference("glyphs", TRAIN, TEST, "glyphs", True)
    result = evaluate.evaluate(run, COUNT, reference=reference, say=quiet)
    assert not any("test images" in note for note in result["notes"])


def test_fewer_images_than_asked_for_are_told(folder, tmp_path):
    said = []
    start(tmp_path / "a", epochs=1, dataset=str(folder), images=400, say=said.append)
    start(tmp_path / "b", epochs=1, dataset=str(folder), images=300, say=said.append)
    told = [line for line in said if line.startswith("Training ")]
    assert told == [
        f"Training quick-mlp on 300 images of own (all there are, of 400 asked for) into {tmp_path / 'a'}",
        f"Training quick-mlp on 300 images of own into {tmp_path / 'b'}",
    ]


# EMNIST --------------------------------------------------------------------------------------------------------------

SPLITS = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")


def emnist(folder, split, end=".gz"):
    put(folder / f"emnist-{split}-train-images-idx3-ubyte{end}", TRAIN)
    put(folder / f"emnist-{split}-test-images-idx3-ubyte{end}", TEST)
    put(folder / f"emnist-{split}-train-labels-idx1-ubyte{end}", np.zeros(300, np.uint8))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_emnists_transposed_images_are_told(tmp_path, split, end):
    emnist(tmp_path, split, end)
    said = []
    np.testing.assert_array_equal(load_dataset(str(tmp_path), say=said.append).images, TRAIN)
    assert len(said) == 1
    assert said[0].startswith(
        f"{tmp_path}/emnist-{split}-train-images-idx3-ubyte{end} looks like EMNIST, whose images are publish"
    )
    assert "images.transpose(0, 2, 1)" in said[0]
    assert "EMNIST on the page “Train, watch, go on”" in said[0]


@pytest.mark.parametrize("name", ["emnist/train-images-idx3-ubyte", "own/emnist_digits-train-images-idx3-ubyte.gz"])
def test_emnist_is_told_by_its_folder_and_by_other_spellings_too(tmp_path, name):
    put(tmp_path / name, TRAIN)
    said = []
    load_dataset(str((tmp_path / name).parent), say=said.append)
    assert [line for line in said if "looks like EMNIST" in line] == said != []


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte.gz", "test-images.idx3-ubyte"])
def test_a_damaged_file_of_test_images_is_not_taken_for_none(tmp_path, name):
    put(tmp_path / "train-images-idx3-ubyte", TRAIN)
    (tmp_path / name).write_bytes(b"<html>Please log in</html>")
    with pytest.raises(DataError, match=rf"{name} is not an IDX file: it looks like a web page"):
        load_dataset(str(tmp_path), test_images=True)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).images, TRAIN)


def test_a_run_on_emnist_is_told_once_in_training_once_in_going_on_and_once_in_its_evaluation(tmp_path, capsys):
    emnist(tmp_path / "EMNIST" / "raw", "digits", "")
    said = []

    def told():
        lines = [line for line in said if "looks like EMNIST" in line]
        said.clear()
        return len(lines)

    start(tmp_path / "run", epochs=1, dataset=str(tmp_path / "EMNIST"), say=said.append)
    assert told() == 1
    resume(tmp_path / "run", epochs=2, say=said.append)
    assert told() == 1
    capsys.readouterr()
    main(["evaluate", str(tmp_path / "run"), "--count", str(COUNT), "--json"])
    out, err = capsys.readouterr()
    assert json.loads(out)["dataset"] == "EMNIST"  # and nothing else than JSON is there
    assert err.count("looks like EMNIST") == 1


def test_several_splits_of_emnist_in_one_folder_are_named(tmp_path):
    for split in SPLITS:
        emnist(tmp_path / "gzip", split)
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path), say=quiet)
    for split in SPLITS:
        assert f"emnist-{split}-train-images-idx3-ubyte.gz" in str(caught.value)
    assert str(caught.value).endswith("put the one to use into a folder of its own")


def test_the_line_that_the_page_gives_sets_emnist_upright(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    code = page.partition("EMNIST")[2].partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    emnist(tmp_path / "emnist", "digits")
    exec(code)
    said = []
    found = load_dataset("upright", test_images=True, say=said.append)
    np.testing.assert_array_equal(found.images, IMAGES[:450].transpose(0, 2, 1))
    assert said == []


# A folder with the name of a set ------------------------------------------------------------------------------------


@pytest.fixture(params=["glyphs", "mnist", "fashion-mnist", "auto"])
def namesake(request, folder, monkeypatch):
    """That folder, called like a set of minigan's; the working folder is the one around it."""
    monkeypatch.chdir(folder.parent)
    return folder.rename(folder.with_name(request.param))


def test_a_folder_called_like_a_set_has_its_own_images_order_and_test_images(namesake):
    name = f"./{namesake.name}"
    np.testing.assert_array_equal(load_dataset(name).images, TRAIN)
    split = load_dataset(name, count=200, split_seed=3, test_images=True, say=quiet)
    assert (split.record["split_seed"], split.record["test_images"], built_in(split.record)) == (3, True, None)
    assert not np.array_equal(split.images, TRAIN[:200])
    for data_dir in (None, namesake.name, namesake, f"{namesake.name}/"):
        np.testing.assert_array_equal(load_recorded(split.record, data_dir=data_dir, say=quiet).images, split.images)


def test_a_run_on_a_folder_called_like_a_set_is_measured_as_one_on_a_folder(namesake, tmp_path):
    run = start(tmp_path / "run", epochs=1, dataset=f"./{namesake.name}", random_split=True)
    assert run.dataset["split_seed"] == 0
    for data_dir in (None, namesake.name):
        reference = evaluate.reference_of(run, data_dir=data_dir, offline=True, say=quiet)
        assert (reference.classifier, reference.digits) == ("mnist", False)
        np.testing.assert_array_equal(reference.test, TEST)


def test_a_sets_name_means_the_set_where_there_is_a_folder_of_that_name(namesake):
    assert built_in(load_dataset("glyphs", count=3).record) == "glyphs"
    if namesake.name in ("mnist", "fashion-mnist"):
        with pytest.raises(DataMissingError, match="is not in"):
            load_dataset(namesake.name, offline=True)
    with pytest.raises(ArgumentError, match="unknown dataset"):
        load_dataset("own")


@pytest.mark.parametrize(("dataset", "classifier"), [("glyphs", "glyphs"), ("./glyphs", "mnist"), ("./mnist", "mnist")])
def test_a_run_is_scored_by_the_classifier_of_its_set_and_not_of_its_folders_name(
    folder, tmp_path, monkeypatch, dataset, classifier
):
    monkeypatch.chdir(tmp_path)
    if dataset.startswith("./"):
        folder.rename(dataset)
    asked = []
    monkeypatch.setattr(
        "minigan.watch.best_epoch.load_classifier", lambda name: asked.append(name) or load_classifier(name)
    )
    monkeypatch.setattr("minigan.watch.best_epoch.SAMPLES", 200)
    start(tmp_path / "run", epochs=1, dataset=dataset, score_every=1)
    assert asked == [classifier]  # MNIST's stands in for that of images that nobody knows
