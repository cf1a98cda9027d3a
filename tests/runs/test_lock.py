"""RUN/.lock: who has it, who is refused, and what becomes of it."""

import errno
import os
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager

import filelock
import pytest
from runfolder import contents, resume, start

from minigan.errors import RunBusyError
from minigan.runs.folder import locked
from minigan.train import Trainer
from minigan.watch.logs import MetricsLog

pytestmark = pytest.mark.usefixtures("elsewhere")

HOLD = """
import sys
from pathlib import Path
from minigan.runs.folder import locked
with locked(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(folder):
    """Another process has the lock; it gives it back when its input ends."""
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"mine\n"
        yield
        other.stdin.close()


def busy(folder):
    try:
        with locked(folder):
            return False
    except RunBusyError:
        return True


def test_a_folder_is_locked_for_this_process_and_its_threads_too_and_free_afterwards(tmp_path):
    found = []
    with locked(tmp_path):
        thread = threading.Thread(target=lambda: found.append(busy(tmp_path)))
        thread.start()
        thread.join()
        assert [busy(tmp_path), *found] == [True, True]
    assert not busy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert (tmp_path / ".lock").read_bytes() == b""


def test_a_run_of_an_older_version_without_a_lock_file_is_gone_on_with(copy):
    (copy.folder / ".lock").unlink()
    assert resume(copy.folder, epochs=4).epoch == 4
    assert (copy.folder / ".lock").exists()


def test_where_the_file_system_has_no_locks_one_trains_without(tmp_path, whole, monkeypatch):
    def refuse(descriptor, **options):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    monkeypatch.setattr(filelock, "unlock_descriptor", refuse)
    assert contents(start(tmp_path / "run")) == contents(whole)


def at_row(patch, number, act):
    """Let something happen just before a row of metrics is due."""
    real = Trainer.row

    def row(trainer, means):
        if len(trainer.history) == number:
            act()
        return real(trainer, means)

    patch.setattr(Trainer, "row", row)


def test_a_lock_file_that_is_deleted_while_a_run_trains_is_made_and_locked_anew(copy, whole, monkeypatch):
    rows = len(copy.metrics())
    at_row(monkeypatch, rows + 1, (copy.folder / ".lock").unlink)
    taken = []
    real = MetricsLog.logged
    monkeypatch.setattr(MetricsLog, "logged", lambda *a: (taken.append(busy(copy.folder)), real(*a)))
    assert resume(copy.folder, epochs=4).epoch == 4
    assert len(taken) > 2
    assert all(taken), "somebody else could have locked the folder"


def test_a_run_whose_lock_file_was_deleted_ends_before_it_writes_into_what_another_process_trains(copy, monkeypatch):
    before, rows = contents(copy), len(copy.metrics())
    with ExitStack() as stack:

        def come():
            (copy.folder / ".lock").unlink()
            stack.enter_context(held(copy.folder))

        at_row(monkeypatch, rows, come)
        with pytest.raises(RunBusyError, match="another process, or this one, is training"):
            resume(copy.folder, epochs=4)
        after = contents(copy)
    assert {name for name in before if before[name] != after[name]} == {"config.json"}  # written before the first step
    monkeypatch.undo()
    assert resume(copy.folder, epochs=4).epoch == 4


FORK = """
import os, sys
from pathlib import Path
from minigan.errors import RunBusyError
from minigan.runs.folder import locked

def busy():
    try:
        with locked(Path(sys.argv[1])):
            return False
    except RunBusyError:
        return True

r, w = os.pipe()
with locked(Path(sys.argv[1])):
    if (child := os.fork()) == 0:
        CHILD
    PARENT
    during = busy()
print(during, busy())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize(
    ("child", "parent"),
    [("sys.exit()", "os.waitpid(child, 0)"), ("os.close(w); os.read(r, 1); os._exit(0)", "pass")],
    ids=["that ends", "that stays"],
)
def test_a_fork_neither_ends_the_lock_nor_keeps_it(tmp_path, child, parent):
    code = FORK.replace("CHILD", child).replace("PARENT", parent)
    assert subprocess.check_output([sys.executable, "-c", code, tmp_path], stdin=subprocess.DEVNULL) == b"True False\n"
