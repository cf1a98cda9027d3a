"""What comes from outside: downloads are encrypted and hashed, and nothing that lies in a run's folder is executed."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement  # pytest brings it along

import minigan

PACKAGE = Path(minigan.__file__).parent


def test_every_address_in_the_package_is_https_and_every_download_has_a_size_and_a_hash():
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert not re.findall(r"http://[^\s\"']+", source)
    published = (PACKAGE / "data" / "mnist.py").read_text().partition("SETS = {")[2]
    files = re.findall(r"File\(\s*\w+,\s*([\d_]+),\s*\"([0-9a-f]*)\"", published)
    assert len(files) == 8
    assert all(int(size) > 0 and len(sha256) == 64 for size, sha256 in files)


@pytest.mark.parametrize(
    ("python", "implementation", "system", "machine", "found"),
    [
        ("3.11", "CPython", "linux", "x86_64", 1),
        ("3.15", "CPython", "linux", "aarch64", 1),
        ("3.13", "CPython", "darwin", "arm64", 1),
        ("3.12", "CPython", "win32", "AMD64", 1),
        ("3.16", "CPython", "linux", "x86_64", 0),
        ("3.11", "PyPy", "linux", "x86_64", 0),
        ("3.11", "CPython", "linux", "armv7l", 0),
        ("3.13", "CPython", "darwin", "x86_64", 0),
        ("3.13", "CPython", "win32", "ARM64", 0),
    ],
)
def test_the_extra_fast_asks_for_numba_where_there_is_a_wheel_and_for_nothing_elsewhere(
    python, implementation, system, machine, found
):
    here = {"python_version": python, "platform_python_implementation": implementation, "sys_platform": system}
    here["platform_machine"] = machine
    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    asked = [Requirement(line) for line in extras["optional-dependencies"]["fast"]]
    assert [each.name for each in asked if each.marker.evaluate(here)] == ["numba"] * found


#: What runs in a process of its own, since a hook cannot be taken away again: every execution, import and unpickling is
#: noted that has to do with a file of the run's folder.
WATCHED = """
import os, sys
folder, seen = os.path.realpath(sys.argv[1]), []

def note(event, args):
    if event in ("exec", "import", "compile", "subprocess.Popen", "os.system", "ctypes.dlopen", "pickle.find_class"):
        if sys._getframe(1).f_globals.get("__name__", "").startswith("numba."):
            return  # it reads its loops out of the package's folder, or its user's cache
        text = repr([getattr(arg, "co_filename", arg) for arg in args])
        if folder in text or event in ("pickle.find_class", "subprocess.Popen", "os.system"):
            seen.append((event, text[:200]))

import matplotlib.font_manager  # on a machine's first use it asks fc-list for the fonts, which is no run's doing
from minigan.cli.main import main
sys.addaudithook(note)
for command in (["sample", folder, "--count", "3"], ["train", "--resume", folder, "--epochs", "4"]):
    main(command)
print("SEEN", seen)
"""


@pytest.mark.slow
def test_nothing_in_a_runs_folder_is_executed(whole, tmp_path):
    folder = shutil.copytree(whole.folder, tmp_path / "run")
    trap = "raise SystemExit('executed')"
    for name in ("sitecustomize", "conftest", "numpy", "minigan", "config", "checkpoints/__init__", "samples/real"):
        (folder / f"{name}.py").write_text(trap)
    done = subprocess.run([sys.executable, "-c", WATCHED, str(folder)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "SEEN []"
