"""Work that threads share: after a fork, within itself, at the interpreter's end, and whenever Ctrl-C comes.

What would wait for ever if it were broken runs in a process of its own, which is killed then.
"""

import dis
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest

import minigan
from minigan import backend, store
from minigan.backend import loops, threads
from minigan.errors import StaleCacheError
from minigan.gan.averaging import average
from minigan.nn import BatchNorm, Dense, Sequential, network
from minigan.optim import SGD, Adam, Optimizer

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
with_numba = pytest.mark.skipif(not loops.FAST, reason="numba is not here, or MINIGAN_FAST=0")
kills = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="a signal cannot be sent to a thread here")

BEGIN = """
import atexit, multiprocessing, os, sys, threading, warnings
import numpy as np
from minigan.backend import elementwise, loops, share, threads
from minigan.nn import BatchNorm, Conv2d, ConvTranspose2d, Dense, Sequential
from minigan.optim import SGD, Adam

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork among threads, from Python 3.12 on
LOOPS = os.environ["LOOPS"] == "1"
dtype = np.float32 if LOOPS else np.float64  # of which loops are
x = np.random.default_rng(0).standard_normal((8, 4, 4, 2)).astype(dtype)


def cores(count):
    threads.CORES, threads.SHARE_FROM, elementwise.PART = count, 1, 16
    loops.FAST, loops.LEAST, loops.SHARE_FROM = LOOPS, 1, 1
    threads._pool.cache_clear()


def trained(seed=0):  # what a pool's worker does: passes and steps of its own
    layers = [Conv2d(3, 3, pad=1), BatchNorm(), ConvTranspose2d(2, 3)]
    net = Sequential(layers, (4, 4, 2), rng=np.random.default_rng(seed), dtype=dtype)
    for optimizer in (Adam(net, lr=0.1), SGD(net, lr=0.1)):
        y, cache = net.forward(x, train=True)
        net.backward(np.cos(y), cache)
        optimizer.step()
    return net.params.tobytes()


def in_a_fork(work):  # what it returns there
    there, here = os.pipe()
    if not (child := os.fork()):
        try:
            os.write(here, work())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return os.read(there, 100_000)


cores(1)
expected = trained()
"""


@pytest.fixture(params=[False, pytest.param(True, marks=with_numba)], ids=["numpy", "loops"])
def run(tmp_path, request):
    """`processed`, of a process whose elementwise work is NumPy's, or of loops that the cores share."""
    return lambda code: processed(tmp_path, code, LOOPS=str(int(request.param)))


def processed(tmp_path, code, **variables):
    """What a process prints that runs the code; it, and all that it has forked, is killed if it does not end."""
    script = tmp_path / "script.py"
    script.write_text(BEGIN + code)
    path = os.pathsep.join([str(Path(minigan.__file__).parents[1]), *sys.path])
    environment = os.environ | variables | {"PYTHONPATH": path}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": environment}
    with subprocess.Popen([sys.executable, script], start_new_session=True, **options) as process:
        try:
            said, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
            pytest.fail("the process did not end")
    return said


@forks
def test_a_forked_child_works_with_threads_of_its_own_and_so_does_its_child(run):
    code = """
cores(3)
assert trained() == expected
assert in_a_fork(trained) == expected
assert in_a_fork(lambda: in_a_fork(trained)) == expected
meeting = threading.Barrier(3, timeout=20)
assert in_a_fork(lambda: share(lambda part: meeting.wait(), np.zeros(3)) or b"met") == b"met"
assert trained() == expected
"""
    assert run(code) == ""


@forks
def test_a_pool_of_processes_works_whatever_way_they_are_started(run):
    code = """
if __name__ == "__main__":
    cores(3)
    assert trained() == expected
    for way in sorted({"fork", "forkserver", "spawn"} & set(multiprocessing.get_all_start_methods())):
        with multiprocessing.get_context(way).Pool(2, cores, (3,)) as pool:
            assert pool.map(trained, [0, 0, 0]) == [expected] * 3, way
"""
    assert run(code) == ""


@forks
def test_a_fork_while_another_thread_shares_work_leaves_a_child_that_works(run):
    code = """
cores(3)
over = threading.Event()


def busy():
    while not over.is_set():
        assert trained() == expected


others = [threading.Thread(target=busy) for _ in range(2)]
for other in others:
    other.start()
for _ in range(20):
    assert in_a_fork(trained) == expected
over.set()
for other in others:
    other.join()
"""
    assert run(code) == ""


@forks
@with_numba
def test_a_fork_while_another_thread_compiles_a_loop_leaves_a_child_that_can_compile(tmp_path):
    code = """
from numba.core import event
from minigan.nn.activations import leaky_relu, relu

x, begun = np.ones((50, 100), np.float32), threading.Event()


class Listener(event.Listener):
    def on_start(self, event):
        begun.set()

    def on_end(self, event):
        pass


event.register("numba:compile", Listener())
other = threading.Thread(target=lambda: leaky_relu(x, 0.5))
other.start()
assert begun.wait(20)
assert in_a_fork(lambda: relu(x).tobytes()[:99]) == x.tobytes()[:99]
other.join()
"""
    assert processed(tmp_path, code, LOOPS="1", NUMBA_CACHE_DIR=str(tmp_path / "none")) == ""


def test_work_within_shared_work_is_done_and_changes_no_bit(run):
    code = """
def fill(out, depth):
    if depth == 0:
        np.tanh(out, out=out)
    else:
        share(lambda part: fill(out[part], depth - 1), out)


for count in (1, 2, 3, 4):
    cores(count)
    for depth in (1, 2, 3):
        out = x.copy()
        fill(out, depth)
        assert out.tobytes() == np.tanh(x).tobytes()
    found = [None] * 6
    share(lambda part: found.__setitem__(part, [trained() for _ in found[part]]), np.zeros(6))
    assert found == [expected] * 6
"""
    assert run(code) == ""


def test_several_threads_may_share_work_at_once(run):
    code = """
cores(3)
found = []
threads = [threading.Thread(target=lambda: found.extend(trained() for _ in range(10))) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert found == [expected] * 50
"""
    assert run(code) == ""


def test_work_that_is_shared_while_the_interpreter_ends_is_done(run):
    code = """
cores(3)
trained()  # its threads have begun


class AtLast:
    def __init__(self, name, work=trained, expected=expected, write=os.write):
        self.name, self.work, self.expected, self.write = name, work, expected, write

    def __call__(self):
        self.write(1, b"%s %d " % (self.name, self.work() == self.expected))


atexit.register(AtLast(b"atexit"))
main = threading.main_thread()
threading.Thread(target=lambda: (main.join(), AtLast(b"thread")())).start()
"""
    assert sorted(run(code).split()) == ["1", "1", "atexit", "thread"]


def test_work_is_done_where_no_thread_can_be_started(share_among, monkeypatch):
    share_among(3)
    monkeypatch.setattr(threads, "start_new_thread", lambda *args: (_ for _ in ()).throw(RuntimeError("no thread")))
    out = np.zeros(6)
    backend.share(lambda part: out[part].fill(part.start + 1), out)
    assert out.tolist() == [1, 1, 3, 3, 5, 5]
    with pytest.raises(ZeroDivisionError):
        backend.share(lambda part: 1 / part.start, out)


# Ctrl-C --------------------------------------------------------------------------------------------------------------


class Watched:
    """Work whose parts in other threads write only when the caller has gone on, or after a moment for it to do so."""

    def __init__(self, out, moment):
        self.out, self.moment = out, moment
        self.gone, self.late, self.helped = threading.Event(), False, False
        self.begun = SimpleQueue()  # whose get is one instruction

    def __call__(self, part):
        if threading.current_thread() is not threading.main_thread():
            self.helped = True
            self.begun.put(True)
            self.late |= self.gone.wait(self.moment)
        elif part.start == 0:
            assert self.begun.get(timeout=20)
        self.out[part] += 1

    def share(self):
        """What was raised, if nothing is written afterwards."""
        raised = None
        try:
            backend.share(self, self.out)
        except BaseException as error:
            raised = error
        self.gone.set()
        kept = self.out.copy()
        met = threading.Barrier(threads.CORES, timeout=20)
        for _ in range(threads.CORES - 1):
            threads._pool().put(SimpleNamespace(do=met.wait))
        met.wait()  # whoever was still to write has written
        assert not self.late
        np.testing.assert_array_equal(self.out, kept)
        return raised


@pytest.mark.parametrize("cores", [2, 4])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interrupt_in_the_callers_part_is_raised_when_nobody_writes_any_more(cores, error, share_among):
    share_among(cores)

    class Interrupted(Watched):
        def __call__(self, part):
            super().__call__(part)
            if part.start == 0:
                raise error

    assert isinstance(Interrupted(np.zeros(8), moment=0.02).share(), error)


@kills
@pytest.mark.parametrize("signals", [1, 2, 5])
@pytest.mark.parametrize("at_once", [False, True])
def test_interrupts_while_the_caller_waits_are_raised_when_nobody_writes_any_more(
    signals, at_once, share_among, monkeypatch
):
    share_among(2)
    numbers, main = [signal.SIGINT, signal.SIGTERM], threading.main_thread().ident

    def interrupt(number, frame):  # one that comes when another has just been raised is the test's to bear
        while frame and frame.f_code.co_filename != threads.__file__:
            frame = frame.f_back
        if frame:
            raise KeyboardInterrupt

    class Interrupting(Watched):
        def __call__(self, part):
            if part.start:
                for i in range(signals):
                    signal.pthread_kill(main, numbers[i % 2])
                    if not at_once:
                        self.late |= self.gone.wait(0.01)
            super().__call__(part)

    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        watched = Interrupting(np.zeros(8), moment=0.02)
        assert isinstance(watched.share(), KeyboardInterrupt)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_wherever_an_interrupt_comes_nobody_writes_behind_the_callers_back(share_among):
    share_among(2)
    ours, place = Path(threads.__file__), 0

    def trace(frame, event, argument):  # raises at each instruction of the module in turn
        nonlocal left
        if Path(frame.f_code.co_filename) != ours:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and dis.opname[frame.f_code.co_code[frame.f_lasti]] != "NOP":  # where no signal is seen
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
        return trace

    before, raised, begun = sys.gettrace(), KeyboardInterrupt(), 0
    while raised:
        left, watched = place, Watched(np.zeros(4), moment=0.001)
        sys.settrace(trace)
        try:
            raised = watched.share()
        finally:
            sys.settrace(before)
        begun += watched.helped
        place += 1
    assert watched.out.tolist() == [1] * 4
    assert place > 100
    assert begun > 0  # a part of the pool's when the interrupt came


# What an interrupt leaves half done ----------------------------------------------------------------------------------


def passed(layers=None):
    """A network and the cache of a pass through it."""
    net = Sequential(layers or [Dense(3), BatchNorm()], (3,), rng=np.random.default_rng(0))
    return net, net.forward(np.eye(3, dtype=np.float32), train=True)[1]


def is_stale(net, cache):
    with pytest.raises(StaleCacheError):
        net.backward(np.ones((3, 3), np.float32), cache)
    return True


class Own(Optimizer):
    def _update(self, theta, g):
        theta -= self.lr * g


@pytest.mark.parametrize("make", [SGD, Adam, Own])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_step_that_is_interrupted_counts_and_leaves_no_cache_that_passes_for_fresh(make, error, monkeypatch):
    net, cache = passed()
    optimizer = make(net, lr=0.1)
    update = make._update

    def interrupted(self, theta, g):
        update(self, theta, g)
        raise error

    monkeypatch.setattr(make, "_update", interrupted)
    with pytest.raises(error):
        optimizer.step()
    assert is_stale(net, cache)
    assert optimizer.steps == 1


def test_a_load_that_is_interrupted_leaves_no_cache_that_passes_for_fresh(monkeypatch, tmp_path):
    net, cache = passed()
    store.save(net, tmp_path / "net.safetensors")
    to_device, arrays = backend.to_device, []

    def interrupted(array, device):
        arrays.append(array)
        if len(arrays) == 3:
            raise KeyboardInterrupt
        return to_device(array, device)

    monkeypatch.setattr(backend, "to_device", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.load(net, tmp_path / "net.safetensors")
    assert is_stale(net, cache)


def test_a_move_that_is_interrupted_leaves_no_cache_that_passes_for_fresh(monkeypatch):
    net, cache = passed()
    monkeypatch.setattr(network, "cut", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        net.to("cpu")
    assert is_stale(net, cache)


def test_an_average_that_is_interrupted_leaves_no_cache_that_passes_for_fresh():
    averaged, cache = passed()

    class Interrupted:
        params = averaged.params + 1

        @property
        def buffers(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        average(averaged, Interrupted(), 0.9, 1)
    assert is_stale(averaged, cache)
