"""minigan report: its page of a run, of two, of a run that is not whole, and of one that is out to do harm."""

import html.parser
import json
import re
import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from runfolder import SMOKE, start

from minigan import plot
from minigan.cli.main import main
from minigan.errors import ArgumentError, RunMissingError
from minigan.recipes import RECIPES
from minigan.recipes.recipe import CLASSES
from minigan.runs import found, gallery
from minigan.runs.chart import MOST, Curve, chart, round_numbers, shortest, thinned
from minigan.runs.report import write_report

pytestmark = pytest.mark.usefixtures("elsewhere")
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Page(html.parser.HTMLParser):
    """A page's tags, the text that a reader sees, and that of each section."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.images, self.sections, self.heading = [], [], {"": ""}, False
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.images += [dict(attributes)] if tag == "img" else []
        self.heading = tag == "h2"

    def handle_data(self, data):
        name = data if self.heading else list(self.sections)[-1]
        self.heading = False
        self.sections[name] = f"{self.sections.get(name, '')} {data}"

    @property
    def text(self):
        return " ".join(self.sections.values())


def page_of(*runs, **options):
    folders = [getattr(run, "folder", run) for run in runs]
    return Page(write_report(*folders, say=None, **options))


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


# What it shows --------------------------------------------------------------------------------------------------------


def test_the_page_tells_what_the_run_was_and_shows_what_came_of_it(copy):
    page = page_of(copy)
    told = page.sections["What it was"]
    for fact in (
        *("quick-mlp", "3 of 3 epochs, finished", "21 updates of D, 7 an epoch", "200 images of glyphs"),
        *(
            copy.dataset["sha256"],
            "batch_size",
            f"32 (the recipe: {RECIPES['quick-mlp'].batch_size})",
            "BatchNorm",
            "total",
        ),
    ):
        assert fact in told, fact
    assert [dict(image)["alt"] for image in page.images] == [
        "training images",
        *("samples before training", "samples after epoch 1", "samples after epoch 2", "samples after epoch 3"),
        "Each row goes from one latent to the next.",
    ]
    assert page.tags.count("svg") == len(plot.PANELS)
    assert "minigan evaluate" in page.sections["How good"]
    assert " ".join(page.sections["Alarms"].split()) == "Alarms None was recorded. (With --no-alarms none ever is.)"
    machine = json.loads((copy.folder / "machine.json").read_text())
    for fact in (machine["system"], copy.config["versions"]["numpy"], copy.config["elementwise"], "ms a step"):
        assert fact in page.sections["Machine"], fact


def test_the_page_loads_nothing_and_runs_nothing(copy):
    page = page_of(copy)
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in page.source
    assert {"script", "link", "iframe", "object", "base", "form"} & set(page.tags) == set()
    assert not re.search(r"(?:src|href|action)=\"(?!data:image/png;base64,)|url\(|@import|https?://", page.source)


def test_the_networks_are_the_tables_of_the_networks_themselves(copy):
    told = found.find(copy.folder).networks()
    G, D = copy.recipe.networks(np.random.default_rng(0))
    assert {"G": G._rows(), "D": D._rows()} == told


def test_a_field_that_is_as_published_is_not_said_to_be_changed(copy):
    told = page_of(copy).sections["What it was"]
    changed, every = told.split(" numbers of the recipe")
    assert "lr_g" not in changed
    assert "lr_g" in every


def test_what_was_changed_on_the_way_is_told(copy):
    edit(copy.folder / "config.json", lambda config: config["changes"].append({"epoch": 2, "lr_g": [0.001, 0.0005]}))
    assert "after epoch 2: lr_g 0.001 → 0.0005" in page_of(copy).text


def test_an_evaluation_is_shown_as_its_command_shows_it(copy):
    scores = {
        **{"parzen": {"mean": 123.4, "error": 1.2}, "frechet": 56.78, "mnist_score": {"mean": 8.5, "std": 0.1}},
        **{"balance": {"kl": 0.0123, "shares": [0.05, 0.2]}, "precision": 0.9, "recall": 0.8, "kernel": 0.001},
        "copies": {"share": 0.01, "of": 100},
    }
    result = {
        **{"recipe": "quick-mlp", "epoch": 2, "count": 150, "seed": 0, "dataset": "glyphs", "test_images": 150},
        **{
            "samples": scores,
            "training images": scores,
            "noise": scores,
            "copies_by_chance": 0.02,
            "notes": ["A note."],
        },
    }
    (copy.folder / "evaluation.json").write_text(json.dumps(result))
    plot.save_png(np.zeros((8, 8), np.uint8), copy.folder / "samples" / "nearest.png")
    page = page_of(copy)
    for text in ("↓ Fréchet distance", "56.8", "after epoch 2", "A note.", "nearest to it"):
        assert text in page.sections["How good"], text
    assert len(page.images) == 7


def test_alarms_are_shown_with_what_they_said_to_try_then_and_stand_in_the_curves(copy):
    row = {"step": 8, "epoch": 2, "alarm": "D dead", "saw": "no gradient", "means": "a rate", "try": "--lr-d 1e-05"}
    (copy.folder / "alarms.jsonl").write_text(json.dumps(row) + "\n")
    page = page_of(copy)
    for text in ("D dead", "step 8, epoch 2", "no gradient", "a rate", "--lr-d 1e-05"):
        assert text in page.sections["Alarms"], text
    assert page.source.count('class="mark c3"') == len(plot.PANELS)
    assert "An upright line is an alarm" in page.text


def test_of_many_sheets_some_are_shown_evenly_chosen_with_the_first_and_the_last(copy):
    for epoch in range(4, 101):
        shutil.copy(copy.folder / "samples" / "epoch-0003.png", copy.folder / "samples" / f"epoch-{epoch:04d}.png")
    shown = [image["alt"] for image in page_of(copy).images if image["alt"].startswith("samples")]
    assert len(shown) == gallery.SHEETS
    assert (shown[0], shown[1], shown[-1]) == (
        "samples before training",
        "samples after epoch 10",
        "samples after epoch 100",
    )


def test_the_page_of_two_runs_of_many_noisy_sheets_is_below_five_megabytes(copy, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (302, 302), np.uint8)
    for name in ("real", "interpolation", *(f"epoch-{epoch:04d}" for epoch in range(40))):
        plot.save_png(noise, copy.folder / "samples" / f"{name}.png")
    plot.save_png(noise.repeat(2, axis=0).repeat(2, axis=1), copy.folder / "samples" / "nearest.png")
    other = shutil.copytree(copy.folder, tmp_path / "other")
    page = page_of(copy, other)
    assert len(page.images) == 2 * (gallery.PAIRS + 3)
    assert len(page.source) < 5_000_000


# Two side by side -----------------------------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path):
    return start(tmp_path / "other", epochs=2, lr_g=0.01, seed=5)


def test_two_runs_are_aligned_and_what_differs_is_marked(copy, other):
    page = page_of(copy, other)
    rows = re.findall(
        r"<tr( class=\"differs\")?><th>([\w -]+)(?: <b>≠</b>)?</th>((?:<td>[^<]*</td>)+)</tr>", page.source
    )
    told = {name: (bool(marked), re.findall("<td>(.*?)</td>", cells)) for marked, name, cells in rows}
    assert told["seed"] == (True, ["0", "5"])
    assert told["lr_g"][0]
    assert told["lr_g"][1][1].startswith("0.01 (the recipe: ")
    assert told["recipe"] == (False, ["quick-mlp", "quick-mlp"])
    assert told["batch_size"][0] is False
    assert page.source.count("Dense(") == sum(
        str(rows).count("Dense(") for rows in found.find(copy.folder).networks().values()
    )


def test_the_curves_of_two_runs_stand_in_the_same_plots(copy, other):
    page = page_of(copy, other)
    drawings = re.findall("<svg.*?</svg>", page.source)
    assert len(drawings) == sum(map(len, plot.PANELS.values()))
    assert all(drawing.count("<polyline") == 2 for drawing in drawings)


def test_sheets_of_two_runs_stand_in_pairs_at_like_epochs(copy, other):
    page = page_of(copy, other)
    shown = [image["alt"] for image in page.images if "epoch" in image["alt"] or "before" in image["alt"]]
    assert shown == [
        *("copy, before training", "other, before training", "copy, after epoch 1", "other, after epoch 1"),
        *("copy, after epoch 2", "other, after epoch 2", "copy, after epoch 3"),
    ]
    assert "no sheet so late" in page.text


def test_where_a_page_goes(copy, other, tmp_path, capsys):
    assert write_report(copy.folder, say=None) == copy.folder / "report.html"
    assert write_report(copy.folder, other.folder, say=None) == copy.folder / "report-other.html"
    main(["report", str(copy.folder), str(other.folder), "--out", "two.html"])
    assert capsys.readouterr().out == "Wrote two.html: open it in a browser\n"
    assert "≠" in Page(tmp_path.__class__("two.html")).text


def test_the_same_run_twice_and_another_ending_are_refused(copy):
    with pytest.raises(ArgumentError, match="are the same run"):
        write_report(copy.folder, copy.folder.parent / "." / "copy")
    with pytest.raises(ArgumentError, match=r"--out must end in \.html, got page\.pdf"):
        write_report(copy.folder, out="page.pdf")


# What is not whole ----------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_run_and_a_checkpoint_are_refused_and_nothing_is_written(copy, tmp_path):
    with pytest.raises(RunMissingError, match="is not a run"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(ArgumentError, match="is a checkpoint; a report is of the folder of a run"):
        write_report(copy.checkpoint)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunMissingError):
        write_report(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_run_that_has_just_been_started_says_that_there_are_no_pictures_yet(copy):
    for path in [*(copy.folder / "samples").iterdir(), *(copy.folder / "checkpoints").iterdir()]:
        path.unlink()
    for name in ("metrics.jsonl", "timing.jsonl"):
        (copy.folder / name).unlink()
    edit(copy.folder / "config.json", lambda config: config.update(finished=None))
    page = page_of(copy)
    for text in ("it has just been started", "No pictures yet", "No values yet", "drawn when training ends"):
        assert text in page.text
    shutil.rmtree(copy.folder / "samples")
    assert "No pictures yet" in page_of(copy).text


def test_a_damaged_line_of_a_log_is_told_and_the_curves_end_before_it(copy):
    lines = (copy.folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy.folder / "metrics.jsonl").write_text("".join([*lines[:5], '{"step": 11, "epo\n', *lines[6:]]))
    page = page_of(copy)
    assert "Line 6 of metrics.jsonl is damaged" in page.text
    assert len(re.search('<polyline.*?points="(.*?)"', page.source)[1].split()) == 5


def test_numbers_in_a_log_that_no_drawing_can_hold_leave_a_gap(copy):
    rows = [json.loads(line) for line in (copy.folder / "metrics.jsonl").read_text().splitlines()]
    for row, value in zip(rows, (float("nan"), float("inf"), 10**400, -1e300, None), strict=False):
        row["d_loss"] = value
    (copy.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    drawings = "".join(re.findall("<svg.*?</svg>", page_of(copy).source))
    assert not re.search(r"\b(nan|inf)\b", drawings)


@pytest.mark.parametrize("bad", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", "cut", "huge"])
def test_a_picture_that_is_damaged_is_named_in_its_place(bad, copy):
    path = copy.folder / "samples" / "epoch-0002.png"
    if bad == "cut":
        bad = path.read_bytes()[:-500]
    elif bad == "huge":  # an empty picture of a few bytes that would take a gigabyte to show
        Image.new("1", (gallery.MOST_PIXELS + 1, 1)).save(path)
        bad = path.read_bytes()
    path.write_bytes(bad)
    page = page_of(copy)
    assert "epoch-0002.png is" in page.text
    assert len(page.images) == 5


def test_an_evaluation_that_is_damaged_is_no_reason_to_have_no_page(copy):
    for text in ("{", "[]", '{"samples": 3}', "[" * 100_000):
        (copy.folder / "evaluation.json").write_text(text)
        assert "evaluation.json cannot be read" in page_of(copy).sections["How good"]


def test_a_run_without_its_config_is_told_by_its_checkpoint(copy):
    (copy.folder / "config.json").unlink()
    page = page_of(copy)
    assert "what it said of the run is taken from epoch-0003.safetensors" in page.text
    assert "quick-mlp" in page.sections["What it was"]


# A recipe of one's own ------------------------------------------------------------------------------------------------


@pytest.fixture
def own(own_recipes, tmp_path):
    """A run by a recipe that nobody knows any more, and whose kept text would leave a trace if it were run."""

    @dataclass(frozen=True)
    class Mine(type(SMOKE)):
        name = "mine"
        strength: float = 3.5

    run = start(tmp_path / "own", recipe=Mine(**vars(SMOKE)), epochs=1)
    (run.folder / "recipe.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    for key in [key for key, kind in CLASSES.items() if kind is Mine]:
        del CLASSES[key]
    return run.folder


def test_a_run_by_a_recipe_that_is_not_here_is_told_by_what_was_recorded(own, tmp_path):
    page = page_of(own)
    told = page.sections["What it was"]
    for text in ("mine", "a recipe of one's own", "strength", "3.5", "7 an epoch", "Dense(", "1 of 1 epochs, finished"):
        assert text in told, text
    assert len(page.images) == 4
    assert not (tmp_path / "executed").exists()
    (own / "config.json").unlink()
    assert "is gone or damaged" in page_of(own).text
    assert not (tmp_path / "executed").exists()


def test_what_such_a_run_records_may_be_anything_and_is_no_traceback(own):
    config = json.loads((own / "config.json").read_text())
    for change in (
        {"fields": {}},
        {"fields": {"batch_size": "x", "epochs": [[[[[[1]]]]]]}},
        {"changes": [7, {"epoch": []}]},
    ):
        (own / "config.json").write_text(json.dumps({**config, **change}))
        page_of(own)
    for change in ({"fields": 3}, {"recipe": None}, {"seed": "x"}, {"dataset": {}}, {"own": {}}):
        (own / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(RunMissingError, match="cannot be read"):
            page_of(own)


# Out to do harm -------------------------------------------------------------------------------------------------------


def test_names_and_texts_that_are_markup_appear_as_text(own, copy, tmp_path):
    name = HOSTILE.replace("/", "")
    folder = tmp_path / name
    shutil.copytree(own, folder)

    def spoil(config):
        config["recipe"] = config["own"]["class"] = config["own"]["from"] = HOSTILE
        config["dataset"] |= {"name": HOSTILE, "path": HOSTILE, "sha256": HOSTILE}
        config["fields"] |= {HOSTILE: HOSTILE, "list": [HOSTILE], "{{style}}": "{{body}}"}
        config |= {"versions": {"minigan": HOSTILE}, "device": HOSTILE, "elementwise": HOSTILE}
        config["changes"] = [{"epoch": HOSTILE, HOSTILE: [HOSTILE, HOSTILE]}]

    edit(folder / "config.json", spoil)
    row = {"step": 1, "epoch": HOSTILE, "alarm": HOSTILE, "saw": HOSTILE, "means": HOSTILE, "try": HOSTILE}
    (folder / "alarms.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "machine.json").write_text(json.dumps({"system": HOSTILE, "blas": [HOSTILE]}))
    (folder / "evaluation.json").write_text(json.dumps({"notes": [HOSTILE]}))
    (folder / "samples" / f"{name}.png").write_text("no sheet")
    clean, spoilt = page_of(own), page_of(folder)
    both = page_of(copy, folder, out=tmp_path / "both.html")
    for page in (spoilt, both):
        assert not {"script"} & set(page.tags)
        assert all(set(image) == {"src", "width", "height", "alt"} for image in page.images)
        assert HOSTILE in page.text
        assert "{{body}}" in page.text
    assert set(spoilt.tags) <= {*clean.tags, "h3", "small", "dl", "dt", "dd", "div"}


def test_texts_without_an_end_are_cut_off(own):
    edit(own / "config.json", lambda config: config["fields"].update(strength="x" * 1_000_000))
    assert len(page_of(own).source) < 500_000


# Curves ---------------------------------------------------------------------------------------------------------------


def test_a_curve_is_broken_where_there_is_no_value_and_a_lone_point_is_marked():
    points = [(1, 1.0), (2, 2.0), (3, None), (4, 3.0), *((n, None) for n in range(5, 60))]
    drawing = chart("x", [Curve("y", 1, points)])
    assert drawing.count("<polyline") == 1
    assert drawing.count("<circle") == 1
    assert "no values yet" in chart("x", [Curve("y", 1, [(1, None)])])


def test_long_curves_are_thinned_to_means_of_neighbours():
    points = [(step, float(step)) for step in range(1, 10 * MOST + 1)]
    thin = thinned(points)
    assert len(thin) == MOST
    assert thin[0] == (10, 5.5)
    assert thinned(points[:MOST]) == points[:MOST]
    assert thinned([*points, (10 * MOST + 1, None)])[-1][1] is None


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 7, [-2, 0, 2, 4, 6]),
        (0, 45_000, [0, 10_000, 20_000, 30_000, 40_000]),
        (2, 2, []),
        (0, float("inf"), []),
    ],
)
def test_an_axis_has_round_numbers(low, high, numbers):
    assert round_numbers(low, high) == pytest.approx(numbers)


def test_numbers_of_an_axis_are_short():
    assert [shortest(x) for x in (0, 0.1 + 0.2, 500, 20_000, 3e6, 5e9)] == ["0", "0.3", "500", "20k", "3M", "5e+09"]
