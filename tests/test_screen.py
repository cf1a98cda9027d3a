"""Where minigan talks: to a `say` of one's own and nowhere else, to a terminal, to a notebook; and callbacks."""

import io
import json
import math
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from runfolder import SMOKE, resume, start

from minigan.cli.main import main
from minigan.data.datasets import load_dataset
from minigan.data.glyphs import make_glyphs
from minigan.errors import ArgumentError, DivergenceError
from minigan.recipes import RECIPES
from minigan.recipes.loading import load_file
from minigan.runs import evaluation as evaluate
from minigan.runs.reference import Reference
from minigan.screen import Screen, Stages
from minigan.train import Callback, Trainer
from minigan.watch import notebook, progress
from minigan.watch.progress import HEADER, Watch
from minigan.watch.rhythm import Every

pytestmark = pytest.mark.usefixtures("elsewhere")


def terminal(**options):
    return Console(file=io.StringIO(), force_terminal=True, width=80, _environ={"TERM": "xterm"}, **options)


# A say of one's own --------------------------------------------------------------------------------------------------


def test_a_say_of_ones_own_hears_everything_line_by_line_and_nothing_else_is_printed(tmp_path, monkeypatch, capfd):
    for name in ("SAMPLES", "IMAGES"):
        monkeypatch.setattr(f"minigan.watch.best_epoch.{name}", 150)
    said = []
    run = start(tmp_path / "run", epochs=1, say=said.append, score_every=1)
    resume(run.folder, epochs=2, say=said.append)
    with pytest.raises(DivergenceError):
        start(tmp_path / "other", epochs=1, lr_g=1e30, lr_d=1e30, say=said.append)
    assert capfd.readouterr() == ("", "")
    assert said.count(HEADER) == 3
    assert [line.split()[0] for line in said if re.match(r" +\d/\d ", line)] == ["1/1", "2/2"]
    assert any("Fréchet distance" in line for line in said)
    assert any(line.startswith("ALARM: ") for line in said)
    assert any(line.startswith("  usually: ") for line in said), "an alarm is several lines"
    assert not any("\n" in line or "\x1b" in line for line in said)
    assert f"Draw more: minigan sample {run.folder}" in said


def test_say_none_is_silence(tmp_path, capfd):
    run = start(tmp_path / "run", epochs=1, say=None)
    resume(run.folder, epochs=2, say=None)
    evaluate.evaluate(run, 150, reference=Reference.load("glyphs", count=900), say=None)
    with pytest.raises(DivergenceError):
        start(tmp_path / "other", epochs=1, lr_g=1e30, lr_d=1e30, say=None)
    assert capfd.readouterr() == ("", "")


def test_print_is_the_screen_which_in_a_file_gets_plain_lines(tmp_path, capfd):
    start(tmp_path / "run", epochs=1, say=print)
    out, err = capfd.readouterr()
    assert HEADER in out.splitlines()
    assert "\x1b" not in out
    assert err == ""


# Callbacks -----------------------------------------------------------------------------------------------------------


class Notes(Callback):
    """What a callback is called with, and which checkpoints there are then."""

    def __init__(self, folder):
        self.folder, self.calls = folder, []

    def note(self, what, trainer):
        found = sorted(path.stem for path in (self.folder / "checkpoints").glob("*"))
        self.calls.append((what, trainer.step, found[-1]))

    def start(self, trainer):
        self.note("start", trainer)

    def epoch_end(self, trainer, row):
        self.note("epoch", trainer)

    def settled(self, trainer):
        if trainer.step % 7 == 0:
            self.note("settled", trainer)

    def finish(self, trainer):
        self.note("finish", trainer)

    def close(self, trainer):
        self.note("close", trainer)


def test_a_callback_watches_a_run_and_its_resume_and_comes_before_the_checkpoint(tmp_path):
    notes = Notes(tmp_path / "run")
    run = start(tmp_path / "run", epochs=1, callbacks=[notes])
    assert notes.calls == [
        ("start", 0, "epoch-0000"),
        ("epoch", 7, "epoch-0000"),
        ("settled", 7, "epoch-0000"),  # not saved yet: what it does now is done again after a crash
        ("finish", 7, "epoch-0001"),
        ("close", 7, "epoch-0001"),
    ]
    notes.calls.clear()
    resume(run.folder, epochs=2, callbacks=(notes,))
    assert notes.calls[0] == ("start", 7, "epoch-0001")
    assert notes.calls[-1] == ("close", 14, "epoch-0002")


class Breaks(Callback):
    def __init__(self, error):
        self.error = error

    def step_end(self, trainer):
        if trainer.step == 9:
            raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("mine"), None),
        (OSError(28, "No space left on device"), "Go on from there: minigan train --resume"),
        (KeyboardInterrupt(), "Go on from there: minigan train --resume"),
        (DivergenceError("mine"), "The last good checkpoint is"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_an_error_in_a_callback_ends_the_run_as_any_other_does_and_it_can_go_on(error, said, tmp_path, whole):
    lines, notes = [], Notes(tmp_path / "run")
    with pytest.raises(type(error)) as raised:
        start(tmp_path / "run", callbacks=[notes, Breaks(error)], say=lines.append)
    assert raised.value is error
    assert notes.calls[-1][0] == "close"
    assert said is None or any(line.startswith(said) for line in lines)
    run = resume(tmp_path / "run")
    assert run.metrics() == whole.metrics()


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (["x"], r"callbacks\[0\] must be a minigan.train.Callback, got 'x'"),
        ([Callback(), None], r"callbacks\[1\] must be a minigan.train.Callback, got None"),
        ([Notes], r"callbacks\[0\] must be .*; make one: Notes\(\)"),
        (Callback(), r"callbacks must be a list of callbacks, such as \[Mine\(\)\], got"),
        (Notes, r"callbacks must be a list of callbacks"),
        (None, r"callbacks must be a list of callbacks"),
        ((c for c in [Callback()]), r"callbacks must be a list of callbacks"),
    ],
    ids=["a text", "None in it", "a class in it", "a callback", "a class", "None", "a generator"],
)
def test_what_is_no_callback_is_refused_before_anything_is_made(callbacks, message, tmp_path, whole):
    with pytest.raises(ArgumentError, match=message):
        start(tmp_path / "run", callbacks=callbacks)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ArgumentError, match=message):
        resume(whole.folder, epochs=4, callbacks=callbacks)


@pytest.mark.extra
def test_tensorboard_reads_back_what_the_callback_of_the_page_has_written(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    page = load_file(Path(__file__).parents[1] / "docs" / "tensorboard_log.py")
    run = start(tmp_path / "run", epochs=1, callbacks=[page.TensorBoard(tmp_path / "board")])
    run = resume(run.folder, epochs=2, callbacks=[page.TensorBoard(tmp_path / "board")])
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    rows = run.metrics()
    layer = next(iter(rows[0]["grad_norm"]))
    assert {"d_loss", "g_loss", "acc_fake", f"grad_norm/{layer}"} <= set(events.Tags()["tensors"])
    for name, values in (
        ("d_loss", [row["d_loss"] for row in rows]),
        (f"grad_norm/{layer}", [row["grad_norm"][layer] for row in rows]),
    ):
        found = events.Tensors(name)
        assert [event.step for event in found] == [row["step"] for row in rows]
        read = [make_ndarray(event.tensor_proto).item() for event in found]
        np.testing.assert_array_equal(np.float32(read), np.float32(values))


def test_the_page_shows_that_callback_itself():
    page = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
    assert "```{literalinclude} tensorboard_log.py" in page


# A terminal ----------------------------------------------------------------------------------------------------------


def test_what_a_callback_prints_stands_above_the_live_digits():
    class Prints(Callback):
        def epoch_end(self, trainer, row):
            print("printed after epoch", trainer.epoch)

    console = terminal()
    Trainer(SMOKE, make_glyphs(200)[0]).fit([Watch(Every(1, steps=True), Screen(console)), Prints()])
    assert "printed after epoch 1\n" in console.file.getvalue()
    assert sys.stdout is not console.file


def test_a_stage_in_a_terminal_is_a_line_that_is_written_anew_and_gone_at_the_end():
    console = terminal()
    screen = Screen(console)
    with Stages(screen) as stage:
        for done in range(3):
            stage("Drawing [b] samples", done, 3)
        stage.bar.refresh()
        screen("a line above")
    shown = console.file.getvalue()
    assert "Drawing [b] samples" in shown
    assert "a line above\n" in re.sub(r"\x1b\[[\d;?]*\w", "", shown)
    assert shown.endswith("\x1b[2K"), "the bar is wiped away"


def test_elsewhere_a_stage_is_one_plain_line_however_far_it_is():
    said = []
    with Stages(said.append) as stage:
        for done in range(3):
            stage("Drawing 3 samples", done, 3)
        stage("Reading glyphs")
    assert said == ["Drawing 3 samples", "Reading glyphs"]


def test_a_line_in_a_pipe_is_sent_at_once():
    class Pipe(io.StringIO):
        waiting = False

        def write(self, text):
            self.waiting = True
            return super().write(text)

        def flush(self):
            self.waiting = False

    pipe = Pipe()
    with Stages(Screen(Console(file=pipe))) as stage:
        stage("Reading glyphs " + 50 * "long ")
        assert pipe.getvalue() == "Reading glyphs " + 50 * "long " + "\n"
        assert not pipe.waiting


# Commands that take their time ---------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    reference = Reference.load("glyphs", count=900)
    monkeypatch.setattr(evaluate, "reference_of", lambda run, **options: reference)


STAGES = ["Drawing 150 samples", "Reading glyphs", "Looking for copies", "Reading the features of 150 test images"]
MEASURED = [f"{row}: {metric}" for row in evaluate.ROWS for metric in evaluate.METRICS]


def test_evaluate_names_every_stage_and_how_far_it_is(copy, small, capfd):
    main(["evaluate", str(copy.folder), "--count", "150"])
    lines = capfd.readouterr().out.splitlines()
    assert lines[:4] == STAGES
    n = len(MEASURED)
    assert lines[4 : 4 + n] == [f"{name} ({i + 1} of {n})" for i, name in enumerate(MEASURED)]
    assert lines[4 + n].split() == ["samples", "training", "images", "noise"]


def test_evaluate_from_python_says_the_same_through_say(copy, small, capfd):
    said = []
    evaluate.evaluate(copy, 150, say=said.append)
    assert said[:4] == STAGES
    assert [line.rsplit(" (", 1)[0] for line in said[4:]] == MEASURED
    assert capfd.readouterr() == ("", "")


def test_evaluate_json_leaves_standard_output_to_the_json(copy, small, capfd):
    main(["evaluate", str(copy.folder), "--count", "150", "--json"])
    out, err = capfd.readouterr()
    assert json.loads(out)["count"] == 150
    assert out.count("\n") == 1
    assert err.splitlines()[:4] == STAGES
    assert len(err.splitlines()) == 4 + len(MEASURED)


def test_sample_bench_and_gradcheck_say_what_they_are_doing(copy, monkeypatch, capfd):
    monkeypatch.setitem(RECIPES, "quick-mlp", RECIPES["quick-mlp"].smoke())
    main(["bench", "quick-mlp", "--steps", "1", "--device", "cpu"])
    assert capfd.readouterr().out.startswith("Timing 1 steps of quick-mlp\n")
    main(["sample", str(copy.folder), "--count", "3000", "--out", "x.npy"])
    assert capfd.readouterr().out == "Drawing 3,000 images\nWrote 3,000 images to x.npy\n"
    Path("loss.py").write_text("def loss(x):\n    return (x * x).sum(), 2 * x\n")
    main(["gradcheck", "loss.py:loss", "--in-shape", "3"])
    assert capfd.readouterr().out.startswith("Checking loss.py:loss\n")


def test_a_first_run_on_glyphs_says_that_they_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("minigan.data.glyphs.CHUNK", 25)
    said = []
    for _ in range(2):
        load_dataset("glyphs", count=50, say=said.append)
    assert said == ["Drawing 50 glyphs, which are kept for the next time."]


def test_a_recipe_is_checked_in_two_stages_that_are_named(monkeypatch, capfd):
    monkeypatch.setattr("minigan.cli.gradcheck.check_gradients", lambda target, **options: [])
    main(["gradcheck", "quick-mlp"])
    assert capfd.readouterr().out.splitlines()[:2] == [
        "Checking quick-mlp (small)",
        "Checking quick-mlp (published size)",
    ]


def test_samples_do_not_hang_on_the_chunks_in_which_they_are_drawn(copy, monkeypatch):
    told = []
    monkeypatch.setattr("minigan.runs.run.CHUNK", 500)
    by_500 = copy.sample(1100, tell=told.append)
    monkeypatch.setattr("minigan.runs.run.CHUNK", 10_000)
    np.testing.assert_array_equal(by_500, copy.sample(1100))
    assert told == [0, 500, 1000]


# A notebook ----------------------------------------------------------------------------------------------------------


class Handle:
    """In IPython's place: keeps every page."""

    def __init__(self):
        self.pages = []

    def display(self, page, *, raw, display_id):
        assert raw
        assert display_id
        self.pages.append(page)
        return self

    def update(self, page, *, raw):
        assert raw
        self.pages.append(page)


@pytest.fixture
def handle(monkeypatch):
    handle = Handle()
    monkeypatch.setattr("rich.console.Console.is_jupyter", True, raising=False)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    module = types.ModuleType("IPython.display")
    module.display = handle.display
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return handle


def test_a_notebook_has_one_output_that_ends_as_the_table_and_the_digits(handle, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(notebook, "PAUSE", 0.0)
    monkeypatch.setattr(progress, "REFRESH", 0.0)
    start(tmp_path / "run", epochs=2, say=print)
    running = [page for page in handle.pages if "<progress" in page["text/html"]]
    assert len(running) >= 14, "a page a step"
    assert any("2/2" in page["text/html"] and "left" in page["text/html"] for page in running)
    last = handle.pages[-1]
    assert last["text/plain"].splitlines()[0] == HEADER
    assert [line.split()[0] for line in last["text/plain"].splitlines()[1:]] == ["1/2", "2/2"]
    assert "<progress" not in last["text/html"]
    assert last["text/html"].count("data:image/png;base64,") == 1
    out, _ = capfd.readouterr()
    assert HEADER not in out, "the table is in the one output"
    assert "Draw more: minigan sample" in out


def test_a_notebook_gets_no_more_pages_than_it_can_show(handle, tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "PAUSE", math.inf)
    start(tmp_path / "run", epochs=3, say=print, preview_every="1steps")
    assert len(handle.pages) == 2, "the first and the last"
    assert "3/3" in handle.pages[-1]["text/plain"]


def test_in_a_notebook_a_run_that_fails_leaves_its_table_and_what_the_alarm_says_as_text(handle, tmp_path, capsys):
    with pytest.raises(DivergenceError):
        start(tmp_path / "run", say=print, callbacks=[Breaks(DivergenceError("<mine>"))])
    assert "ALARM: not a number" in capsys.readouterr().out
    assert "1/3" in handle.pages[-1]["text/plain"]
    assert "<progress" not in handle.pages[-1]["text/html"]


def test_in_a_notebook_a_say_of_ones_own_hears_everything(handle, tmp_path):
    said = []
    start(tmp_path / "run", epochs=1, say=said.append)
    assert handle.pages == []
    assert HEADER in said


@pytest.mark.slow
@pytest.mark.extra
def test_a_real_kernel_shows_one_output_that_is_updated_in_place(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    code = 'from minigan.runs import start\nrun = start("quick-mlp", dataset="glyphs", images=200, epochs=3, out="run")'
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code), nbformat.v4.new_code_cell("run.metrics()")])
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, kernel_name="python3", timeout=120, resources=place).execute()
    streams = [output for output in book.cells[0].outputs if output.output_type == "stream"]
    (shown,) = [output for output in book.cells[0].outputs if output.output_type == "display_data"]
    assert shown.data["text/plain"].splitlines()[0] == HEADER
    assert shown.data["text/plain"].splitlines()[-1].split()[0] == "3/3"
    assert "data:image/png;base64," in shown.data["text/html"]
    assert not any(HEADER in stream.text for stream in streams)


def test_words_between_colons_are_no_emoji(capsys):
    Screen(Console(highlight=False))("minigan train --resume runs/a:100:b")
    assert capsys.readouterr().out == "minigan train --resume runs/a:100:b\n"


def test_a_terminal_that_is_made_smaller_while_the_digits_are_drawn_ends_no_run(tmp_path, monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=100, height=30)
    monkeypatch.setattr(progress, "screen_of", lambda say: Screen(console))
    generate = progress.generate

    def shrink_and_generate(*args):
        console.width = 40
        return generate(*args)

    monkeypatch.setattr(progress, "generate", shrink_and_generate)
    assert start(tmp_path / "run", epochs=1, preview_every="1steps").is_finished()
