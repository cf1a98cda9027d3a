"""minigan evaluate: every number of a run's samples, beside those of real images and of noise, and what it refuses."""

import gzip
import json
import math
import re
import shutil
import struct

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from minigan import runs
from minigan.cli.main import main
from minigan.data import mnist
from minigan.data.glyphs import load_glyphs
from minigan.errors import ArgumentError, DataError, DTypeError, ShapeError
from minigan.metrics.neighbours import copies
from minigan.metrics.parzen import parzen
from minigan.recipes import RECIPES
from minigan.runs import evaluation as evaluate
from minigan.runs.evaluation import ROWS
from minigan.runs.reference import LEAST, Reference, measure_images
from minigan.runs.saved import checkpoints
from minigan.store.checkpoint import load_checkpoint, save_checkpoint

COUNT = 150  # samples; the covariance takes 129
SMOKE = RECIPES["quick-mlp"].smoke()


def quiet(line):
    pass


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("MINIGAN_DATA", raising=False)
        yield


@pytest.fixture(scope="module")
def reference(cache):
    """900 training and 150 test images of glyphs; its scores of real images and noise are made once for all tests."""
    return Reference.load("glyphs", count=900)


@pytest.fixture
def small(reference, monkeypatch):
    """The command takes that reference, whatever the run learned from."""
    monkeypatch.setattr(evaluate, "reference_of", lambda run, **options: reference)


@pytest.fixture(scope="module")
def finished(cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return runs.start(SMOKE, dataset="glyphs", device="cpu", out=folder, say=quiet)


@pytest.fixture
def run(finished, tmp_path):
    """A run that may be spoilt."""
    return runs.Run(shutil.copytree(finished.folder, tmp_path / "run"))


def rewrite(run, change):
    """Let `change` work on the flat parameters of the generator that samples come from."""
    networks = {"average": run.generator()}
    header = load_checkpoint(run.checkpoint, networks)
    change(networks["average"].params)
    del header["optimizer_steps"]
    D = run.recipe.networks(np.random.default_rng(0))[1]
    save_checkpoint(run.checkpoint, {**networks, "G": networks["average"], "D": D}, **header)


def numbers(value):
    """All numbers in nested lists and dicts."""
    if isinstance(value, dict | list):
        return [n for v in (value.values() if isinstance(value, dict) else value) for n in numbers(v)]
    return [value] if isinstance(value, int | float) else []


def promised(function):
    """The keys in the docstring's account of what is returned."""
    account = re.search(r'\{"\w+".*?\}[;.]? ?(?:and|the score)', function.__doc__.replace("\n", " "), re.DOTALL)
    return set(re.findall(r'"([\w ]+)"', re.sub(r"\(\{[^}]*\}", "(", account[0])))


# What comes out ------------------------------------------------------------------------------------------------------


def test_an_evaluation_is_all_that_is_promised_and_is_left_in_the_run(run, reference):
    result = evaluate.evaluate(run, COUNT, reference=reference)
    assert set(result) == promised(evaluate.evaluate)
    for row in ROWS:
        assert set(result[row]) == promised(measure_images)
        assert result[row]["count"] == COUNT
    assert all(map(math.isfinite, numbers(result)))
    assert json.loads((run.folder / "evaluation.json").read_text()) == result
    assert (result["checkpoint"], result["epoch"], result["recipe"]) == ("epoch-0001.safetensors", 1, "quick-mlp")
    assert (result["dataset"], result["test_images"], result["classifier"]["name"]) == ("glyphs", 150, "glyphs")
    with Image.open(run.folder / "samples" / "nearest.png") as picture:
        assert picture.size == (2 * (10 * 30 + 2), 2 * (10 * 30 + 2))  # 50 pairs, five to a row, at twice the size


def test_the_seed_decides_all_numbers_and_the_rest_is_the_same_for_all_seeds(run, reference):
    first, again, other = (evaluate.evaluate(run.folder, COUNT, seed, reference=reference) for seed in (0, 0, 1))
    assert first == again
    assert other["samples"]["frechet"] != first["samples"]["frechet"]
    assert (other["noise"], other["training images"]) == (first["noise"], first["training images"])


def test_the_picture_shows_samples_beside_what_is_nearest_to_them(run, reference):
    evaluate.evaluate(run, COUNT, reference=reference)
    with Image.open(run.folder / "samples" / "nearest.png") as picture:
        left, right = np.asarray(picture)[4:60:2, 4:60:2], np.asarray(picture)[4:60:2, 64:120:2]
    samples = run.sample(COUNT)
    found = copies(samples, reference.training)
    closest = found.ratios.argmin()
    np.testing.assert_array_equal(left, samples[closest])
    np.testing.assert_array_equal(right, reference.training[found.indices[closest]])


def test_real_images_score_as_real_images_and_noise_as_noise(reference):
    real, noise = reference.training_scores(COUNT), reference.noise_scores(COUNT)
    for name in ("frechet", "kernel"):
        assert real[name] < noise[name] / 5
    for name in ("parzen", "mnist_score"):
        assert real[name]["mean"] > noise[name]["mean"] + 1
    assert real["balance"]["kl"] < noise["balance"]["kl"] / 2
    assert real["precision"] > 0.5
    assert (real["recall"] > 0.5, noise["recall"]) == (True, 0)
    assert (real["copies"], noise["copies"]) == ({"share": 1, "of": COUNT}, {"share": 0, "of": COUNT})
    assert reference.copies_by_chance == 0


def test_real_images_and_noise_are_measured_once_and_as_samples_are(reference, monkeypatch):
    fresh = Reference("glyphs", reference.training, reference.test, "glyphs", True)
    counted = []
    monkeypatch.setattr(
        "minigan.runs.reference.measure_images", lambda *args, **options: counted.append(args) or measure_images(*args)
    )
    first, second = fresh.training_scores(COUNT), fresh.training_scores(COUNT)
    assert len(counted) == 1
    assert first == second == measure_images(fresh.training[:COUNT], fresh)
    fresh.noise_scores(COUNT)
    fresh.noise_scores(COUNT + 1)
    assert len(counted) == 3
    assert counted[1][0].min() == 0
    assert counted[1][0].max() == 255


def test_the_log_likelihood_is_of_pixels_from_0_to_1_with_a_width_from_the_validation_images(reference):
    samples = reference.training[:COUNT]
    by_hand = parzen(samples / 255, reference.training[-450:] / 255, reference.test / 255)
    assert tuple(measure_images(samples, reference)["parzen"].values()) == by_hand


def test_one_good_image_over_and_over_has_precision_and_no_variety(reference):
    scores = measure_images(np.repeat(reference.test[:1], COUNT, axis=0), reference)
    assert (scores["precision"], scores["mnist_score"]["mean"]) == pytest.approx((1, 1))
    assert scores["recall"] < 0.05
    assert scores["balance"]["kl"] == pytest.approx(math.log(10))
    assert sorted(scores["balance"]["shares"]) == [0] * 9 + [1]


def test_the_order_of_the_samples_does_not_matter(reference):
    samples = reference.training[:COUNT]
    first, turned = measure_images(samples, reference), measure_images(samples[::-1], reference)
    assert numbers(turned) == pytest.approx(numbers(first), rel=1e-6, abs=1e-6)


# The data set --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("training", "first", "last"),
    [(60_000, 50_000, 50_999), (51_000, 50_000, 50_999), (50_999, 49_999, 50_998), (900, 450, 899)],
)
def test_the_validation_images_are_the_published_ones_where_there_are_as_many(training, first, last):
    validation = Reference("x", np.arange(training), np.arange(LEAST), "mnist", False).validation
    assert (validation[0], validation[-1]) == (first, last)


@pytest.mark.parametrize(("training", "most"), [(60_000, 50_000), (50_999, 49_999), (900, 450)])
def test_no_validation_image_is_among_the_real_ones(training, most, monkeypatch):
    monkeypatch.setattr("minigan.runs.reference.measure_images", lambda images, *_, **options: {"last": images[-1]})
    reference = Reference("x", np.arange(training), np.arange(LEAST), "mnist", False)
    assert reference.training_scores(50_000)["last"] == most - 1


def idx(images):
    return gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", *images.shape) + images.tobytes(), 1)


@pytest.fixture
def own(cache, tmp_path):
    """A folder of images of one's own, whatever it is called, and a run on them."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    images = load_glyphs(900)[0]
    (folder / "train-idx3-ubyte.gz").write_bytes(idx(images[:600]))
    (folder / "test-idx3-ubyte.gz").write_bytes(idx(images[600:750]))
    run = runs.start(SMOKE, dataset=str(folder), device="cpu", out=tmp_path / "run", say=quiet)
    return folder, run


def test_a_folder_of_images_is_measured_by_mnists_classifier_and_without_digits(own):
    _, run = own
    result = evaluate.evaluate(run, COUNT, say=quiet)
    assert (result["dataset"], result["test_images"], result["classifier"]["name"]) == ("mnist", 150, "mnist")
    assert all(result[row][name] is None for row in ROWS for name in ("mnist_score", "balance"))
    assert [note.split(",")[0] for note in result["notes"]] == [
        "The features are those of the classifier of mnist",
        "Parzen's σ is chosen on the last 300 training images.",
    ]
    assert sum(line.count("–") == 3 for line in printed(result).splitlines()) == 3
    assert "nan" not in printed(result).lower()


@pytest.mark.parametrize("place", ["mnist", "MNIST/raw"])
def test_a_run_on_mnist_without_its_labels_is_trained_and_measured(own, tmp_path, monkeypatch, place):
    """The images are not MNIST's, so their hashes are not asked."""
    folder, _ = own
    data = tmp_path / "data" / place
    data.mkdir(parents=True)
    for source, name in (("train-idx3-ubyte.gz", mnist.TRAIN_IMAGES), ("test-idx3-ubyte.gz", mnist.TEST_IMAGES)):
        (folder / source).rename(data / f"{name}.gz")
    published = mnist.SETS["mnist"]
    train, test = ([file._replace(sha256=None) for file in split] for split in (published.train, published.test))
    monkeypatch.setitem(mnist.SETS, "mnist", published._replace(train=train, test=test))
    place = {"data_dir": tmp_path / "data", "offline": True, "say": quiet}
    run = runs.start(SMOKE, dataset="mnist", device="cpu", out=tmp_path / "without", **place)
    result = evaluate.evaluate(run, COUNT, say=quiet)
    assert (result["dataset"], result["test_images"], result["training images"]["count"]) == ("mnist", 150, COUNT)
    assert result["samples"]["mnist_score"]["mean"] >= 1


def test_a_folder_without_test_images_or_with_other_images_is_refused(own):
    folder, run = own
    tests = (folder / "test-idx3-ubyte.gz").read_bytes()
    (folder / "test-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=f"{folder} has no test images .* with test or t10k in its name"):
        evaluate.evaluate(run, COUNT)
    (folder / "train-idx3-ubyte.gz").write_bytes(tests)
    with pytest.raises(DataError, match="put the former back"):
        evaluate.evaluate(run, COUNT)


def test_what_flatters_or_harms_the_numbers_is_said(run, reference):
    run.dataset["test_images"] = True
    few = Reference("glyphs", reference.training[:300], reference.test, "glyphs", True)
    result = evaluate.evaluate(run, COUNT + 1, reference=few)
    assert result["training images"]["count"] == COUNT
    said = evaluate.legend(result)
    assert "only 150 training images" in said
    assert "learned from the test images too" in said


def test_a_reference_has_a_name_that_is_known_and_images_enough(reference):
    with pytest.raises(ArgumentError, match="unknown dataset 'glyhps'; did you mean glyphs"):
        Reference.load("glyhps")
    with pytest.raises(DataError, match="x has 128 test images, and at least 129 are needed"):
        Reference("x", reference.training, reference.test[:128], "mnist", False)
    with pytest.raises(DataError, match="x has 257 training images, and at least 258 are needed"):
        Reference("x", reference.training[:257], reference.test, "mnist", False)


# In the terminal -----------------------------------------------------------------------------------------------------


def printed(result, width=80):
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(evaluate.results_table(result))
    return captured.get()


def test_the_command_prints_a_table_that_fits_a_terminal_and_says_what_it_is_of(run, small, capsys):
    main(["evaluate", str(run.folder), "--count", str(COUNT), "--seed", "3"])
    out = capsys.readouterr().out
    result = json.loads((run.folder / "evaluation.json").read_text())
    assert "150 samples of quick-mlp after epoch 1 (seed 3), against 150 test images of glyphs." in out
    assert "the page “Measure what a GAN has learned” of the documentation" in out
    assert f"{run.folder}/samples/nearest.png" in out
    table = printed(result).splitlines()
    assert len(table) == 10
    assert table[0].split() == ["samples", "training", "images", "noise"]
    assert [line.rstrip() for line in table] == [line.rstrip() for line in printed(result, 200).splitlines()]
    likelihood = result["samples"]["parzen"]
    assert f"{likelihood['mean']:.1f} ± {likelihood['error']:.1f}" in table[1]


def test_json_is_one_object_and_nothing_else(run, small, capsys):
    main(["evaluate", str(run.folder), "--count", str(COUNT), "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads((run.folder / "evaluation.json").read_text())


@pytest.mark.parametrize(
    ("x", "text"), [(425.7, "426"), (38.94, "38.9"), (0.9083, "0.908"), (0.02534, "0.0253"), (-0.5, "-0.500"), (0, "0")]
)
def test_distances_are_printed_with_three_digits(x, text):
    assert evaluate.significant(x) == text


# What is refused -----------------------------------------------------------------------------------------------------


def test_a_collapsed_generator_gets_numbers(run, reference):
    rewrite(run, lambda params: params.fill(0))
    assert len(np.unique(run.sample(COUNT))) == 1
    result = evaluate.evaluate(run, COUNT, reference=reference)
    assert all(map(math.isfinite, numbers(result)))
    scores = result["samples"]
    assert (scores["recall"], scores["mnist_score"]["mean"]) == pytest.approx((0, 1))
    assert scores["balance"]["kl"] == pytest.approx(math.log(10))
    assert scores["frechet"] > 10 * result["training images"]["frechet"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_generator_of_nan_ends_in_an_error_and_leaves_no_evaluation(run, small, value, capsys):
    rewrite(run, lambda params: params.fill(value))
    with pytest.raises(SystemExit) as stop, np.errstate(all="ignore"):
        main(["evaluate", str(run.folder), "--count", str(COUNT)])
    assert stop.value.code == 2
    assert "diverged" in capsys.readouterr().err
    assert not (run.folder / "evaluation.json").exists()


def without_checkpoint(run):
    for path in checkpoints(run.folder):
        path.unlink()


def with_damage(run):
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:-10])


def on_mnist(run):
    config = json.loads((run.folder / "config.json").read_text())
    config["dataset"]["name"] = "mnist"
    (run.folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("spoil", "flags", "message"),
    [
        (None, ["--count", "50"], "--count must lie between 129 and 50,000, got 50: the covariance of 128 features"),
        (None, ["--count", "50001"], "--count must lie between 129 and 50,000, got 50001"),
        (None, ["--count", "-1"], "got -1"),
        (None, ["--seed", "-1"], "--seed must be a whole number between 0 and 2**64 - 1, got -1"),
        (None, ["--seed", "18446744073709551616"], "seed"),
        (None, ["--cuont", "5"], "unknown flag '--cuont'; did you mean --count?"),
        (without_checkpoint, [], "run holds no checkpoint"),
        (with_damage, [], "epoch-0001.safetensors"),
        (on_mnist, ["--offline"], "give --data-dir DIR (or MINIGAN_DATA=DIR) where DIR/mnist holds its files"),
        (on_mnist, ["--data-dir", "nowhere"], "there is no folder nowhere (from --data-dir)"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(run, spoil, flags, message, capsys):
    if spoil:
        spoil(run)
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(run.folder), *flags])
    err = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in err
    assert err.startswith("minigan: ")
    assert err.count("\n") == 1
    assert not (run.folder / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("args", "message"), [([], "which run?"), (["--json"], "which run?"), (["nowhere"], "nowhere is not a run")]
)
def test_no_run_is_one_line_and_exit_code_2(args, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *args])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_found_before_the_work(run, reference, monkeypatch):
    monkeypatch.setattr(evaluate.os, "access", lambda path, mode: False)
    monkeypatch.setattr(runs.Run, "sample", None)
    with pytest.raises(PermissionError, match="Permission denied"):
        evaluate.evaluate(run, COUNT, reference=reference)


def test_images_of_another_kind_are_refused(reference):
    images = reference.training[:COUNT]
    with pytest.raises(ArgumentError, match=r"128 samples are too few: the covariance of 128 features takes .* 129"):
        measure_images(images[:128], reference)
    with pytest.raises(ShapeError, match=r"\(N, 28, 28\), got \(150, 784\)"):
        measure_images(images.reshape(COUNT, 784), reference)
    with pytest.raises(DTypeError, match="uint8"):
        measure_images(images / 255, reference)


def test_mnist_where_the_run_found_it_is_used_unless_another_place_is_named(finished, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Reference, "load", lambda name, **options: asked.append((name, options["data_dir"])))
    run = runs.Run(finished.folder)
    run.dataset, run.settings["data_dir"] = {"name": "mnist"}, str(tmp_path)
    for data_dir in (None, "there"):
        evaluate.reference_of(run, data_dir=data_dir, offline=True, say=quiet)
    run.settings["data_dir"] = str(tmp_path / "gone")
    evaluate.reference_of(run, data_dir=None, offline=True, say=quiet)
    assert asked == [("mnist", str(tmp_path)), ("mnist", "there"), ("mnist", None)]
