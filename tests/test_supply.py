"""What comes from outside: downloads are encrypted and hashed, and nothing that lies in a run's folder is executed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minigan

PACKAGE = Path(minigan.__file__).parent


def test_every_address_in_the_package_is_https_and_every_download_has_a_size_and_a_hash():
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert not re.findall(r"http://[^\s\"']+", source)
    published = (PACKAGE / "data" / "mnist.py").read_text().partition("SETS = {")[2]
    files = re.findall(r"File\(\s*\w+,\s*([\d_]+),\s*\"([0-9a-f]*)\"", published)
    assert len(files) == 8
    assert all(int(size) > 0 and len(sha256) == 64 for size, sha256 in files)


#: What runs in a process of its own, since a hook cannot be taken away again: every execution, import and unpickling is
#: noted that has to do with a file of the run's folder.
WATCHED = """
import os, sys
folder, seen = os.path.realpath(sys.argv[1]), []

def note(event, args):
    if event in ("exec", "import", "compile", "subprocess.Popen", "os.system", "ctypes.dlopen", "pickle.find_class"):
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
