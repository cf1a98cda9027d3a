"""Shared by all tests, those on a GPU machine included: so NumPy, pytest and minigan only."""

import gc
import inspect
import os
import shutil
import sys
from functools import cache
from pathlib import Path

# The tests' matrix products are small: a second BLAS thread gains nothing, and waits for the first by spinning, which
# on a busy machine makes them ten times slower. The variable must be set before NumPy is imported, and then holds for
# processes that a test starts too; pytest-randomly has imported NumPy by now, so this process is told as well.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
try:
    from threadpoolctl import threadpool_limits
except ImportError:  # a GPU machine may lack it
    pass
else:
    threadpool_limits(1, user_api="blas")

import pytest
import standin as standin_for_cupy
from curves import curves_as_text

import minigan
from minigan import backend, plot
from minigan.backend import threads
from minigan.data import glyphs, mnist

CURVES = plot.save_curves

try:
    from hypothesis import settings
except ImportError:  # a GPU machine may lack it; the tests that run there do not use it
    pass
else:
    settings.register_profile("minigan", derandomize=True, deadline=None, database=None)
    settings.load_profile("minigan")


def pytest_report_header():
    return f"minigan {minigan.__version__} from {minigan.__path__[0]}"


def pytest_addoption(parser):
    parser.addoption("--require-gpu", action="store_true", help="fail, rather than skip, the tests that need a GPU")
    parser.addoption("--require-extra", action="store_true", help="… and those that need packages which are not here")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--require-gpu") or not any(item.get_closest_marker("gpu") for item in items):
        return
    reason = backend.why_no_gpu()
    if reason:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish():
    """What is here now, the tests themselves above all, stays to the end: the garbage collector need not go through it.

    That takes a tenth of the time. What the tests leave behind is collected as ever.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.skipped and item.get_closest_marker("extra") and item.config.getoption("--require-extra"):
        report.outcome, report.longrepr = "failed", f"--require-extra, and skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def cheaply():
    """What runs spend most of their time with, and few tests look at: they have the real thing (or start a process)."""
    source, sources = inspect.getsource, {}

    def kept_source(thing):  # of the dataclasses, whose docstrings are the command line's help
        if isinstance(thing, type) and thing.__module__.startswith("minigan."):
            return sources[thing] if thing in sources else sources.setdefault(thing, source(thing))
        return source(thing)

    bend, bent = glyphs.bend, {}

    def kept_glyphs(originals, rng):  # 2000 at once, however few are asked for
        key = f"{originals.shape} {rng.bit_generator.state}"
        if key not in bent:
            bent[key] = bend(originals, rng)
        return bent[key]

    kept_glyphs.real = bend
    png, save_gif, pngs, gifs = plot.png, plot.save_gif, {}, {}

    def kept_png(image):  # many runs are the same at first, or wholly
        key = image.shape, str(image.dtype), image.tobytes()
        if key not in pngs:
            pngs[key] = png(image)
        return pngs[key]

    def kept_gif(sheets, path, **options):
        key = *(Path(sheet).read_bytes() for sheet in sheets if Path(sheet).exists()), len(sheets), str(options)
        if key in gifs:
            plot.write_atomically(Path(path), gifs[key])
        else:
            save_gif(sheets, path, **options)
            gifs[key] = Path(path).read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plot, "save_curves", curves_as_text)
        patch.setattr(plot, "png", kept_png)
        patch.setattr(plot, "save_gif", kept_gif)
        patch.setattr(glyphs, "bend", kept_glyphs)
        patch.setattr(glyphs, "render_digits", cache(glyphs.render_digits))
        patch.setattr(os, "fsync", lambda descriptor: None)  # no test cuts the power
        patch.setattr(inspect, "getsource", kept_source)
        yield


@pytest.fixture
def real_curves(monkeypatch):
    """The curves of this test's runs are the picture that users get."""
    monkeypatch.setattr(plot, "save_curves", CURVES)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No test asks the real mirrors: whoever tries finds a port of this machine at which nobody listens."""
    for name, published in mnist.SETS.items():
        monkeypatch.setitem(mnist.SETS, name, published._replace(mirrors=("http://127.0.0.1:9/",) * 2))


@pytest.fixture(autouse=True)
def own_import_path(monkeypatch):
    """The folder of a user's file, which a test lets minigan import, is looked into by that test alone."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def own_recipes(monkeypatch, tmp_path_factory):
    """The recipes and layers of one's own that a test defines, or lets minigan import, are known to that test alone."""
    from minigan.export import onnx, torch_code
    from minigan.recipes import own, recipe

    known = [(d, dict(d)) for d in (recipe.CLASSES, onnx.EXPORTS, torch_code.COUNTERPARTS)]
    modules = set(sys.modules)
    monkeypatch.setattr(own, "TYPED", {})
    yield
    for registry, before in known:
        registry.clear()
        registry.update(before)
    written = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(written):
            del sys.modules[name]


@pytest.fixture
def elsewhere(tmp_path_factory, monkeypatch):
    """A cache and a working folder of the test's own, and no MNIST."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="module")
def browser():
    """Chromium, for the tests of pages; closed after each module, as nothing else can use asyncio while it is open."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which tests pages, is not here")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("Chromium, in which pages are tested, is not here")
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-quic"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A run of three epochs that was never stopped (runfolder.py); not to be written into."""
    from runfolder import start

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("MINIGAN_DATA", raising=False)
        return start(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it that may be spoilt."""
    return type(whole)(shutil.copytree(whole.folder, tmp_path / "copy"))


@pytest.fixture
def standin(monkeypatch):
    """Device "gpu" is CuPy's stand-in (standin.py) while the test runs; the fixture is the module in CuPy's place."""
    standin_for_cupy.install(monkeypatch)
    return standin_for_cupy.cupy


@pytest.fixture
def share_among(monkeypatch):
    """A function: from now on so many cores share even the smallest array (on one core too, since they are threads)."""

    def end():  # the threads, which are as many as the last number asked for
        if threads._pool.cache_info().currsize:
            for _ in range(threads.CORES - 1):
                threads._pool().put(None)
        threads._pool.cache_clear()

    def share(cores):
        end()
        monkeypatch.setattr(threads, "CORES", cores)
        monkeypatch.setattr(threads, "SHARE_FROM", 1)

    yield share
    end()
