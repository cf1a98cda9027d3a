"""Windows and macOS, as far as Linux can pretend to be one of them: platforms/pretend.py says how far that is."""

import contextlib
import importlib.util
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace

import numpy as np
import pytest
from runfolder import contents, start

from minigan.cli.main import main
from minigan.errors import ArgumentError
from minigan.exercises import TEST
from minigan.recipes import loading
from minigan.runs.run import Run
from minigan.runs.saved import checkpoints
from minigan.store.files import cache_dir, quoted

pytestmark = pytest.mark.usefixtures("elsewhere")

PRETEND = Path(__file__).parent / "platforms" / "pretend.py"

linux = pytest.mark.skipif(sys.platform != "linux", reason="it takes away what Linux has, and looks into /proc")


def pretended(system, *words, **options):
    command = [sys.executable, "-W", "error", PRETEND, system, *words]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, check=False, **options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


# The pretence --------------------------------------------------------------------------------------------------------

HELD = "file = open('a', 'wb'); open('b', 'wb').close()\n"
#: (system, program, how it ends there). On Linux each ends well.
LACKING = [
    ("win32", "import fcntl", "ModuleNotFoundError: No module named 'fcntl' on this system"),
    ("win32", "from resource import getrusage", "ModuleNotFoundError"),
    ("win32", "import termios", "ModuleNotFoundError"),
    ("win32", "import os; os.getuid()", "AttributeError: module 'os' has no attribute 'getuid' on this system"),
    ("win32", "import os; os.sched_getaffinity(0)", "AttributeError"),
    ("win32", "import os; os.O_NONBLOCK", "AttributeError"),
    ("win32", "from os import fork", "ImportError: cannot import name 'fork' from 'os'"),
    ("win32", "import os.path as p; import os; os.WNOHANG", "AttributeError"),
    ("win32", "import signal; signal.SIGKILL", "AttributeError"),
    ("win32", "import time; time.tzset()", "AttributeError"),
    ("win32", "import os; os.close(os.open('.', os.O_RDONLY))", "PermissionError"),
    ("win32", "import os, sys; os.fsync(os.open(sys.executable, os.O_RDONLY))", "OSError: [Errno 9]"),
    ("win32", HELD + "import os; os.replace('b', 'a')", "PermissionError"),
    ("win32", HELD + "import os; os.replace('a', 'c')", "PermissionError"),
    ("win32", HELD + "from pathlib import Path; Path('a').unlink()", "PermissionError"),
    ("win32", HELD + "file.close(); import os; os.rename('a', 'b')", "FileExistsError"),
    (
        "win32",
        "import mmap, os\nwith open('m', 'wb') as f: f.write(b'1')\nwith open('m', 'rb') as f: m = "
        "mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\nos.remove('m')",
        "PermissionError",
    ),
    ("win32", "with open('a', 'w') as file: file.write('→')", "UnicodeEncodeError: 'charmap'"),
    ("win32", "with open('a', 'w') as file: file.write('\\n')\nassert open('a', 'rb').read() == b'\\n'", "Assertion"),
    ("darwin", "import os; os.sched_getaffinity(0)", "AttributeError"),
    ("darwin", "from os import O_TMPFILE", "ImportError"),
    ("darwin", "import time; time.CLOCK_BOOTTIME", "AttributeError"),
]


@linux
@pytest.mark.parametrize("system", ["win32", "darwin", "linux"])
def test_whatever_a_system_lacks_is_missed_where_one_pretends_to_be_there(system, tmp_path):
    cases = [(code, end if at == system else "") for at, code, end in LACKING if system in (at, "linux")]
    ends = json.loads(pretended(system, "--code", json.dumps([code for code, _ in cases]), cwd=tmp_path))
    for (code, expected), end in zip(cases, ends, strict=True):
        assert end.startswith(expected) if expected else not end, (code, end)


# The main job --------------------------------------------------------------------------------------------------------

OWN = """
from minigan.nn import Dense  # W → y


def mine():
    return Dense(3)
"""


def commands(run, own):
    train = "train quick-mlp --smoke --epochs 2 --save-every 4steps --dataset images --device cpu --out"
    return [
        [*train.split(), run],
        ["train", "--resume", run, "--epochs", "3"],
        ["sample", run, "--count", "20", "--out", "digits.png"],
        ["sample", run, "--count", "3", "--out", "digits.npy"],
        ["evaluate", run, "--count", "129"],
        ["export", run, "--out", "G.safetensors"],
        *([["export", run, "--out", "G.onnx"]] if importlib.util.find_spec("onnx") else []),
        ["info"],
        ["recipes"],
        ["gradcheck", f"{own}:mine", "--in-shape", "4"],
        ["exercise", "dense"],
        ["exercise", "dense", "--out", "solved", "--epochs", "0"],
        ["bench", "quick-mlp", "--steps", "1"],
    ]


def idx(images):
    return b"\0\0\x08\x03" + struct.pack(">III", *images.shape) + images.tobytes()


@pytest.fixture
def there(tmp_path):
    """A working folder with images, and a layer of one's own."""
    (tmp_path / "images").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (500, 28, 28), np.uint8)
    (tmp_path / "images" / "train-idx3-ubyte").write_bytes(idx(images[:300]))
    (tmp_path / "images" / "t10k-idx3-ubyte").write_bytes(idx(images[300:]))
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "solved").mkdir()
    (tmp_path / "solved" / "dense.py").write_text("from minigan.nn import Dense\n", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@linux
@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_the_main_job_is_done_without_what_only_linux_has_and_leaves_the_same_bits(
    system, there, monkeypatch, real_curves
):
    words = commands("runs/my run", str(there / "own.py"))
    out = pretended(system, json.dumps(words), cwd=there)
    quotes = '"runs/my run"' if system == "win32" else "'runs/my run'"
    assert f"minigan train --resume {quotes} --epochs 6" in out
    monkeypatch.chdir(there)
    with contextlib.redirect_stdout(io.StringIO()):
        for each in commands("runs/here", str(there / "own.py"))[:6]:
            main(each)
    assert "exercises/dense.py" in out
    assert "solved/dense.py: right." in out
    assert contents(Run(there / "runs/my run")) == contents(Run(there / "runs/here"))
    for text in ("runs/my run/timing.jsonl", "exercises/dense.py", "exercises/test_dense.py"):
        assert b"\r" not in (there / text).read_bytes()


@linux
def test_a_damaged_checkpoint_is_set_aside_where_no_name_is_renamed_over_and_no_open_file_renamed(copy):
    whole = copy.checkpoint.read_bytes()
    copy.checkpoint.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    copy.checkpoint.with_suffix(".aside").write_bytes(b"of an earlier time")
    out = pretended("win32", json.dumps([["train", "--resume", str(copy.folder), "--epochs", "3"]]))
    assert "going back to epoch-0002.safetensors" in out
    assert copy.checkpoint.read_bytes() == whole


@linux
def test_ctrl_break_stops_training_as_ctrl_c_does(tmp_path):
    code = """
import signal
from minigan.runs.interrupt import SIGNALS, Stop
assert signal.SIGBREAK in SIGNALS
with Stop() as stop:
    signal.raise_signal(signal.SIGBREAK)
assert stop() and stop.number == signal.SIGBREAK
"""
    assert json.loads(pretended("win32", "--code", json.dumps([code]))) == [""]


@linux
def test_a_file_that_another_program_has_open_is_replaced_as_soon_as_it_is_closed_or_named(tmp_path):
    code = """
from pathlib import Path
from minigan.store import files
file, path, waited = open("picture", "wb"), Path("picture"), []
files.time.sleep = lambda seconds: file.close()
files.write_atomically(path, b"new")
assert path.read_bytes() == b"new"
files.time.sleep = waited.append
try:
    with path.open("rb"):
        files.write_atomically(path, b"newer")
finally:
    assert sum(waited) == 1
"""
    ended = json.loads(pretended("win32", "--code", json.dumps([code]), cwd=tmp_path))
    assert ended == ["PermissionError: [Errno 13] it is being used by a process: 'picture'"]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("picture", b"new")]


# Parts ---------------------------------------------------------------------------------------------------------------


def test_a_user_without_a_home_and_without_a_number_has_a_cache_too(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.delattr(os, "getuid", raising=False)
    assert cache_dir() == Path(tempfile.gettempdir()) / "minigan-user"


@pytest.mark.parametrize(
    ("path", "system", "word"),
    [
        (PureWindowsPath(r"runs\best-001"), "nt", "runs/best-001"),
        (PureWindowsPath(r"C:\My runs\it's & more"), "nt", '"C:/My runs/it\'s & more"'),
        (PureWindowsPath(r"C:\läufe\best-001"), "nt", "C:/läufe/best-001"),
        (PurePosixPath("my runs/it's"), "posix", "'my runs/it'\"'\"'s'"),
        (PurePosixPath("runs/best-001"), "posix", "runs/best-001"),
        (PurePosixPath("-x y"), "posix", "'./-x y'"),  # no flag
        (PureWindowsPath("-x"), "nt", "./-x"),
    ],
)
def test_a_path_in_a_printed_command_is_one_word_of_the_systems_shell(path, system, word):
    assert quoted(path, system) == word


@pytest.mark.parametrize(
    ("folder", "system"), [(PureWindowsPath(r"C:\my work\new"), "nt"), (PurePosixPath("my work/it's"), "posix")]
)
def test_an_exercises_test_in_a_folder_with_a_space_is_python(folder, system):
    test = quoted(folder / "test_dense.py", system)
    compile(TEST.format(file="dense.py", test=test, module="dense", name="dense"), "test_dense.py", "exec")


def test_a_file_on_a_drive_is_told_from_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "load_file", lambda path, run: SimpleNamespace(Mine=str(path)))
    assert loading.load_object(r"C:\x\own.py:Mine") == r"C:\x\own.py"
    with pytest.raises(ArgumentError, match=r"own.py' names nothing to check; write .*file.py:NAME"):
        loading.load_object(r"C:\x\own.py")


def test_a_checkpoint_that_somebody_reads_is_removed_by_the_next_save(tmp_path, monkeypatch):
    real, busy = Path.unlink, {"epoch-0000.safetensors"}

    def unlink(path, **options):
        if path.name in busy:
            busy.remove(path.name)
            raise PermissionError(13, "it is being used by a process", str(path))
        real(path, **options)

    monkeypatch.setattr(Path, "unlink", unlink)
    run = start(tmp_path / "run", epochs=3, keep=1)
    assert not busy
    assert [path.stem for path in checkpoints(run.folder)] == ["epoch-0003"]
