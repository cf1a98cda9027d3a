"""Do what the README says as its readers would, in the environments that it makes, and fail where it fails.

    python .ci/readme.py FOLDER

Commands are the lines of its blocks, and the code spans in its text and tables that begin with a program's name; the
Python in it is run, too, and what it prints compared. A block that makes an environment begins a new reader, who gets
a fresh clone in FOLDER, and nothing that the readers before have installed. What would take minutes, or a network, is
made small by the rules below, each of which must still be needed. Every command is printed, with its seconds.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = re.compile(r"(minigan|pip|pytest|python3?|sphinx-build)( |$)")
BLOCK_OR_LINE = re.compile(r"^```(\w*)\n(.*?)^```$|^([^\n]+)$", re.MULTILINE | re.DOTALL)
MAKES_ENVIRONMENT = "python3 -m venv"

#: (what a command looks like, what it becomes here)
RULES = (
    (r"^minigan train(?!.*--(help|resume)).*", r"\g<0> --smoke --offline"),
    (r"--dataset fashion-mnist", r"\g<0> --data-dir ../data"),
    (r"^(minigan train --resume \S+) --epochs 540", r"\1 --epochs 2 --offline"),
    (r"^minigan evaluate \S+", r"\g<0> --count 200 --offline"),
    (r"^sphinx-build ", r"\g<0>-W --keep-going -q "),
    (r"^pytest -n auto$", r'MINIGAN_DATA="${MINIGAN_TEST_DATA:-}" \g<0>'),  # whose content one test checks
    (r'start\("quick-mlp", epochs=3\)', r'start("quick-mlp", epochs=1, images=200, batch_size=32, offline=True)'),
)
#: Commands that are meant to fail, and how.
EXIT_CODES = {"minigan gradcheck docs/mycode.py:MyLayer --in-shape 4": 1}

NOT_RUN = ("bat", "bibtex")  # blocks of these languages: there is no Windows here

#: Fashion-MNIST's names, with a few glyphs behind them.
FASHION = """
import struct, pathlib
from minigan.data.glyphs import make_glyphs
images, labels = make_glyphs(300, seed=0)
folder = pathlib.Path("../data/fashion-mnist")
folder.mkdir(parents=True, exist_ok=True)
for split in ("train", "t10k"):
    head = struct.pack(">4B3I", 0, 0, 8, 3, *images.shape)
    (folder / f"{split}-images-idx3-ubyte").write_bytes(head + images.tobytes())
    head = struct.pack(">4BI", 0, 0, 8, 1, len(labels))
    (folder / f"{split}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
"""


def parts(text: str) -> list[tuple[str, str]]:
    """("shell" | "python" | "output", its text) for everything in a page that can be run, in reading order."""
    found: list[tuple[str, str]] = []
    for fence, block, prose in BLOCK_OR_LINE.findall(text):
        if prose:
            found += [("shell", span) for span in re.findall(r"`([^`]+)`", prose) if PROGRAMS.match(span)]
            if prose.count("`") % 2:
                sys.exit(f"a code span goes over the end of a line, and what it says would not be run: {prose}")
        elif fence == "python":
            found.append(("python", block))
        elif not fence and PROGRAMS.match(block):
            found += [("shell", line) for line in block.splitlines()]
        elif not fence and found and found[-1][0] == "python":
            found.append(("output", block))
        elif fence not in NOT_RUN:
            sys.exit(f"a block that is neither commands, nor Python, nor what that prints, would not be run:\n{block}")
    return found


def readers(found: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The parts by reader; what stands before the first environment is done once that is made. Nothing twice."""
    sessions: list[list[tuple[str, str]]] = []
    early: list[tuple[str, str]] = []
    for part in found:
        if MAKES_ENVIRONMENT in part[1]:
            sessions.append([part])
        elif not sessions:
            early.append(part)
        elif part not in sessions[-1]:
            sessions[-1].append(part)
    sessions[0][1:1] = early
    return sessions


def small(command: str, used: set[str]) -> str:
    """The command by the rules; notes which of them were."""
    for pattern, instead in RULES:
        command, count = re.subn(pattern, instead, command)
        used |= {pattern} if count else set()
    return command


PRELUDE = """\
set -euo pipefail
unset MINIGAN_DATA
asked() { printf '\\n$ %s\\n' "$1"; began=$SECONDS code=0; }
ended() {
  echo "  ($((SECONDS - began)) s)"
  [ $code = "$1" ] || { echo "exit code $code, expected $1" >&2; exit 1; }
}"""


def script(session: list[tuple[str, str]], used: set[str]) -> str:
    """One reader's session, for bash."""
    lines = [PRELUDE]
    for (kind, text), (next_kind, following) in zip(session, [*session[1:], ("", "")], strict=True):
        command = small(text, used)
        if kind == "python":
            lines += ["asked python", f"python - <<'END' >../printed || code=$?\n{command}END", "ended 0"]
            if next_kind == "output":
                lines.append(f"diff - ../printed <<'END'\n{following}END")
        elif kind == "shell":
            shown = text if command == text else f"{text}   (here: {command})"
            lines += [f"asked {shlex.quote(shown)}", f"{command} || code=$?", f"ended {EXIT_CODES.get(text, 0)}"]
        if MAKES_ENVIRONMENT in text:
            lines.append(f"python - <<'END'{FASHION}END")
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, check=True).stdout:
        sys.exit("the readers get clones of the last commit: commit first, or what differs would not be tried")
    used: set[str] = set()
    sessions = readers(parts((ROOT / "README.md").read_text(encoding="utf-8")))
    scripts = [script(session, used) for session in sessions]
    if stale := [pattern for pattern, _ in RULES if pattern not in used]:
        sys.exit(f"the README has no command any more for: {', '.join(stale)}")
    if stale := EXIT_CODES.keys() - {text for session in sessions for _, text in session}:
        sys.exit(f"the README no longer says: {', '.join(stale)}")
    for i, text in enumerate(scripts):
        clone = folder / f"reader-{i + 1}"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        if done := subprocess.run(["bash", "-c", text], cwd=clone, check=False).returncode:
            sys.exit(done)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
