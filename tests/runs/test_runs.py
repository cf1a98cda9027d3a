"""A run's folder: what training leaves in it, and what a person sees on the way."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from runfolder import SMOKE, contents, resume, start

from minigan import plot, runs
from minigan.backend import RandomStream
from minigan.data.glyphs import make_glyphs
from minigan.errors import (
    ArgumentError,
    RunExistsError,
    RunMissingError,
)
from minigan.gan.averaging import average
from minigan.nn import BatchNorm, Dense, Sequential
from minigan.runs import training
from minigan.runs.folder import claim_run
from minigan.runs.saved import checkpoints
from minigan.runs.training import choose_device
from minigan.screen import Screen
from minigan.store.checkpoint import load_checkpoint
from minigan.train import Callback, Trainer, generate
from minigan.watch import pictures
from minigan.watch.logs import keep_rows, read_rows
from minigan.watch.pictures import interpolate, sheets
from minigan.watch.progress import HEADER, Watch, clock, loss
from minigan.watch.rhythm import Every

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_a_run_leaves_the_folder_that_is_documented(whole):
    files = sorted(str(p.relative_to(whole.folder)) for p in whole.folder.rglob("*") if p.is_file())
    assert files == [
        ".lock",
        "checkpoints/epoch-0002.safetensors",
        "checkpoints/epoch-0003.safetensors",
        "config.json",
        "machine.json",
        "metrics.jsonl",
        *(f"samples/{name}" for name in ("curves.png", *(f"epoch-000{i}.png" for i in range(4)))),
        *(f"samples/{name}" for name in ("interpolation.png", "real.png", "samples.gif")),
        "timing.jsonl",
    ]
    assert (whole.config["recipe"], whole.seed, whole.recipe.epochs, whole.epoch) == ("quick-mlp", 0, 3, 3)
    assert {k: whole.dataset[k] for k in ("name", "seed", "images")} == {"name": "glyphs", "seed": 0, "images": 200}
    rows = whole.metrics()
    assert [row["step"] for row in rows] == [2, 4, 6, 7, 8, 10, 12, 14, 16, 18, 20, 21]
    assert [row["epoch"] for row in rows] == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert "seconds" not in rows[0]
    timing = read_rows(whole.folder / "timing.jsonl")
    assert [row["step"] for row in timing] == [row["step"] for row in rows]
    with Image.open(whole.folder / "samples" / "real.png") as sheet:
        assert np.median(np.asarray(sheet)) == 0, "the background of the real digits is not black"


def test_the_same_call_leaves_the_same_bits_and_another_seed_others(whole, tmp_path):
    assert contents(start(tmp_path / "again")) == contents(whole)
    other = contents(start(tmp_path / "other", seed=1))
    assert other["metrics.jsonl"] != contents(whole)["metrics.jsonl"]


# The folder ----------------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_a_run_is_left_alone_and_the_resume_command_printed(whole):
    before = contents(whole)
    with pytest.raises(RunExistsError, match=f"go on with it: minigan train --resume {whole.folder}, or give another"):
        start(whole.folder)
    assert contents(whole) == before


@pytest.mark.parametrize(
    "left", ["config.json", "metrics.jsonl", "samples/epoch-0009.png", "checkpoints/epoch-0001.safetensors"]
)
def test_a_folder_with_anything_left_of_a_run_is_left_alone(tmp_path, left):
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).write_text("precious")
    with pytest.raises(RunExistsError, match="what is left of a run"):
        start(tmp_path)
    assert (tmp_path / left).read_text() == "precious"


@pytest.mark.parametrize(
    "spoil",
    [{"dataset": None}, {"dataset": {"name": "glyphs"}}, {"seed": "x"}, {"device": None}, {"fields": {"epochs": 1}}],
    ids=str,
)
def test_a_config_that_is_not_whole_is_one_error(copy, spoil):
    config = {k: v for k, v in {**copy.config, **spoil}.items() if v is not ...}
    (copy.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunMissingError, match=r"config.json cannot be read"):
        runs.Run(copy.folder)


def test_two_runs_never_share_a_folder():
    Path("runs/x-1000").mkdir(parents=True)
    first, second = claim_run(None, "x"), claim_run(None, "x")
    assert (first.name, second.name) == ("x-1001", "x-1002")
    with pytest.raises(RunExistsError):
        claim_run(first, "x")


def test_an_impossible_option_is_named_before_anything_is_made(tmp_path):
    for changes, match in (
        ({"seed": -1}, "seed must be"),
        ({"sample_every": "often"}, "--sample-every must be like"),
        ({"epohcs": 3}, "unknown field 'epohcs'; did you mean epochs"),
        ({"recipe": "flux"}, "unknown recipe 'flux'; did you mean flux-mlp"),
    ):
        with pytest.raises(ArgumentError, match=match):
            start(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_samples_come_from_the_averaged_generator_of_the_newest_checkpoint(copy):
    G = copy.recipe.networks(np.random.default_rng(0))[0]
    load_checkpoint(copy.checkpoint, {"average": G})
    np.testing.assert_array_equal(copy.generator().params, G.params)
    load_checkpoint(copy.checkpoint, {"G": G})
    assert not np.array_equal(copy.generator().params, G.params)
    images = copy.sample(7)
    assert (images.shape, images.dtype) == ((7, 28, 28), np.uint8)
    np.testing.assert_array_equal(images, copy.sample(7))
    assert not np.array_equal(images, copy.sample(7, seed=1))
    for path in checkpoints(copy.folder):
        path.unlink()
    with pytest.raises(RunMissingError, match="holds no checkpoint"):
        copy.sample()


def test_a_run_and_a_network_show_themselves_in_a_notebook(whole):
    shown = whole._repr_html_()
    assert shown.count("data:image/png;base64,") == 2  # samples and curves
    assert "quick-mlp on 200 images of glyphs, seed 0, after 3 of 3 epochs" in shown
    table = whole.generator()._repr_html_()
    assert table.count("<tr>") == 2 + 8 + 1
    assert "BatchNorm" in table
    assert "<th>parameters</th>" in table
    assert "784" in table
    assert "Tanh()" in table


# The average ---------------------------------------------------------------------------------------------------------


def test_the_average_follows_its_formula_for_parameters_and_buffers():
    def network(value):
        net = Sequential([Dense(3), BatchNorm()], (2,), rng=np.random.default_rng(0))
        net.params[...], net.buffers[...] = value, 10 * value
        return net

    averaged, version = network(0.0), 0
    for steps, decay in ((1, 2 / 11), (8, 0.5), (10**6, 0.999)):
        before, other = averaged.params.copy(), network(1.0)
        average(averaged, other, 0.999, steps)
        np.testing.assert_allclose(averaged.params, decay * before + (1 - decay), rtol=1e-6)
        np.testing.assert_allclose(averaged.buffers, 10 * averaged.params[0], rtol=1e-6)
        assert averaged.version > version
        version = averaged.version


def test_the_average_moves_with_g_only_and_costs_it_nothing():
    images = make_glyphs(200)[0]
    averaged = Trainer(SMOKE, images).fit()
    plain = Trainer(replace(SMOKE, average=0.0), images).fit()
    np.testing.assert_array_equal(averaged.G.params, plain.G.params)
    assert plain.average is plain.G
    assert not np.array_equal(averaged.average.params, averaged.G.params)
    warming = Trainer(replace(SMOKE, d_warmup=100), images).fit()
    np.testing.assert_array_equal(warming.average.params, warming.G.params)


# Pictures ------------------------------------------------------------------------------------------------------------


def test_how_often_is_counted_in_epochs_or_steps():
    assert Every.parse("x", 3) == Every.parse("x", "3") == Every.parse("x", "3epochs") == Every(3, steps=False)
    assert Every.parse("x", "500steps") == Every.parse("x", "500 steps") == Every(500, steps=True)
    assert [n for n in range(7) if Every(3, steps=True).step_due(n)] == [0, 3, 6]
    assert [n for n in range(7) if Every(3, steps=False).epoch_due(n)] == [0, 3, 6]
    never = Every.parse("x", "never")
    assert not any(never.step_due(n) or never.epoch_due(n) for n in range(5))
    assert not Every(3, steps=True).epoch_due(3)
    for text in ("", "x", "-1", "1.5", "0steps", "5 minutes"):
        with pytest.raises(ArgumentError, match="sample_every must be like 5"):
            Every.parse("sample_every", text)


def test_sheets_may_come_between_epochs_and_the_animation_shows_them_in_order(tmp_path):
    run = start(tmp_path / "run", epochs=2, sample_every="5steps")
    found = [path.name for path in sheets(run.folder / "samples", 7)]
    steps = ["step-0000005.png", "step-0000010.png"]
    assert found == ["epoch-0000.png", *steps, "epoch-0002.png"]
    with Image.open(run.folder / "samples" / "samples.gif") as gif:
        assert gif.n_frames == 4
        assert gif.size == (302, 302)
    (run.folder / "samples" / "epoch-0001 copy.png").write_bytes(b"a file of somebody else's")
    assert [path.name for path in sheets(run.folder / "samples", 7)] == found
    never = start(tmp_path / "never", sample_every="never")
    assert [path.name for path in sheets(never.folder / "samples", 7)] == ["epoch-0000.png", "epoch-0003.png"]


def test_sheets_show_the_average_on_the_fixed_latents(whole):
    trainer = Trainer(whole.recipe, make_glyphs(200)[0])
    load_checkpoint(whole.checkpoint, trainer.networks)
    drawn = pictures.to_pixels(trainer, generate(trainer.average, trainer.preview_latents(100)))
    with Image.open(whole.folder / "samples" / "epoch-0003.png") as sheet:
        np.testing.assert_array_equal(np.asarray(sheet)[2:30, 2:30], drawn[0])
        np.testing.assert_array_equal(np.asarray(sheet)[272:300, 272:300], drawn[99])


@pytest.mark.parametrize("sphere", [True, False])
def test_interpolation_goes_from_each_latent_to_the_next(sphere):
    z = RandomStream(0, "preview").normal((3, 64))
    path = interpolate(z, 5, sphere=sphere).reshape(2, 5, 64)
    np.testing.assert_allclose(path[:, 0], z[:2], atol=1e-5)
    np.testing.assert_allclose(path[:, -1], z[1:], atol=1e-5)
    middle = np.linalg.norm(path[:, 2], axis=-1)
    ends = np.linalg.norm(z, axis=-1)
    if sphere:  # on the arc the middle is as long as the ends
        np.testing.assert_allclose(middle, (ends[:-1] + ends[1:]) / 2, rtol=0.05)
    else:
        np.testing.assert_allclose(path[:, 2], (z[:-1] + z[1:]) / 2, atol=1e-6)


def test_interpolation_between_equal_latents_stays_where_it_is():
    z = np.ones((2, 8), np.float32)
    np.testing.assert_allclose(interpolate(z, 4, sphere=True), np.ones((4, 8)), atol=0.01)


def test_rows_are_read_up_to_the_first_that_is_not_whole(tmp_path):
    path = tmp_path / "x.jsonl"
    assert read_rows(path) == []
    path.write_text('{"step": 1}\n{"step": 2}\n{"st\n{"step": 4}\n')
    assert read_rows(path) == [{"step": 1}, {"step": 2}]
    keep_rows(path, 1)
    assert path.read_text() == '{"step": 1}\n'


# In the terminal -----------------------------------------------------------------------------------------------------


def watched(preview="3steps", **console):
    """What a run of two epochs writes to a console of the given kind."""
    options = {"width": 80, "height": 24, "color_system": "truecolor", "_environ": {"TERM": "xterm"}, **console}
    screen = Console(file=io.StringIO(), highlight=False, **options)
    trainer = Trainer(replace(SMOKE, epochs=2), make_glyphs(200)[0])
    trainer.fit([Watch(Every.parse("preview_every", preview), Screen(screen))])
    return screen.file.getvalue()


def test_in_a_file_there_is_a_plain_line_per_epoch_under_a_header():
    out = watched(force_terminal=False)
    lines = out.splitlines()
    assert lines[0] == HEADER
    assert [line.split()[0] for line in lines[1:]] == ["1/2", "2/2"]
    assert all(len(line) <= len(HEADER) < 80 for line in lines)
    assert "\x1b" not in out
    assert "▀" not in out


def test_in_a_terminal_the_digits_are_drawn_in_colour_within_80_columns():
    out = watched(force_terminal=True)
    assert "▀" in out
    assert "\x1b[38;2;" in out
    widest = max(line.count("▀") for line in out.splitlines())
    assert widest == 5 * 14 + 4
    assert "left" in out
    assert "▀" not in watched("never", force_terminal=True)
    assert "━" in watched("never", force_terminal=True)


def test_a_terminal_without_colours_shows_no_preview():
    assert "▀" not in watched(force_terminal=True, no_color=True)
    assert "▀" not in watched(force_terminal=True, color_system=None)
    assert "▀" not in watched(force_terminal=True, color_system="standard")


def test_a_dumb_terminal_gets_plain_lines():
    out = watched(force_terminal=True, _environ={"TERM": "dumb"})
    assert out.splitlines()[0] == HEADER
    assert len(out.splitlines()) == 3
    assert "\x1b" not in out


def test_a_narrow_or_low_terminal_shows_fewer_digits():
    narrow = watched(force_terminal=True, width=40)
    assert max(line.count("▀") for line in narrow.splitlines()) == 2 * 14 + 1
    low = watched(force_terminal=True, height=15)
    assert low.count("▀") * 2 < watched(force_terminal=True).count("▀") * 1.2


def test_a_core_that_is_lost_to_the_order_of_imports_is_told_once_when_a_run_starts_or_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "why_one_core", lambda: "1 of 2 cores")
    started, resumed = [], []
    start(tmp_path / "run", epochs=1, say=started.append)
    resume(tmp_path / "run", epochs=2, say=resumed.append)
    assert started.count("1 of 2 cores") == resumed.count("1 of 2 cores") == 1


def test_a_run_on_a_gpu_is_not_told_of_cores(standin, monkeypatch):
    monkeypatch.setattr(training, "why_one_core", lambda: "1 of 2 cores")
    lines = []
    assert choose_device("gpu", lines.append) == "gpu"
    assert choose_device("auto", lines.append) == "gpu"
    assert not lines


class Fail(Callback):
    def step_end(self, trainer):
        raise KeyboardInterrupt


def test_the_terminal_is_given_back_after_an_error(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, _environ={"TERM": "xterm"})
    watch = Watch(Every(1, steps=True), Screen(screen))
    trainer = Trainer(SMOKE, make_glyphs(200)[0])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit([watch, Fail()])
    assert watch.sheet is None
    assert screen.file.getvalue().endswith("\x1b[?25h")  # the cursor is shown again


def test_time_is_written_as_on_a_clock():
    assert [clock(s) for s in (7.4, 59.6, 754, 3723)] == ["0:07", "1:00", "12:34", "1:02:03"]


def test_a_loss_that_runs_away_keeps_to_its_column():
    written = [loss(value) for value in (0.6931, -12.5, 999.9, -1.26e30, float("inf"), None)]
    assert [text.strip() for text in written] == ["0.693", "-12.500", "999.900", "-1.3e+30", "inf", "-"]
    assert {len(text) for text in written} == {9}


def test_curves_are_a_picture_of_the_stated_size_that_the_same_rows_make_again(whole, tmp_path, real_curves):
    found = []
    for rows in (whole.metrics(), whole.metrics(), whole.metrics()[:-1], [{**whole.metrics()[0], "g_loss": None}], []):
        plot.save_curves(rows, tmp_path / "curves.png")
        found.append((tmp_path / "curves.png").read_bytes())
        with Image.open(tmp_path / "curves.png") as picture:
            assert (picture.format, picture.size) == ("PNG", (900, 900))
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_curves_leave_out_rows_of_few_steps_which_would_look_like_events():
    rows = [{"step": step} for step in (100, 200, 201, 300, 400, 402, 500)]
    assert [row["step"] for row in plot.usual_rows(rows)] == [100, 200, 300, 400, 500]
    assert plot.usual_rows([]) == []
    assert plot.usual_rows(rows[:1]) == rows[:1]


def test_a_published_interval_of_the_log_that_is_longer_than_a_short_run_is_not_told(elsewhere, capsys):
    run = runs.start("quick-mlp", epochs=1, images=300, dataset="glyphs", device="cpu")
    assert "log_every" not in capsys.readouterr().out
    assert run.is_finished()
