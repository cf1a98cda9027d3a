"""Whether two commits train to the same bits: what a change of the code that should change nothing is held against.

    python benchmarks/same_bits.py OLD            OLD and the working tree
    python benchmarks/same_bits.py OLD NEW        two commits

Every recipe, at its smoke size, by the one and by the other in turn; each run is a process of its own and ends in the
digests of its metrics and of every array in its newest checkpoint. Bits depend on the BLAS and its kernel, so they are
compared on one machine, and no digest is kept.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN = """
import hashlib, sys
from safetensors.numpy import load_file
from minigan.runs import start
run = start({recipe!r}, dataset="glyphs", device="cpu", out=sys.argv[1], say=None, seed=3, **{fields!r})
arrays = load_file(run.checkpoint)
digest = hashlib.sha256((run.folder / "metrics.jsonl").read_bytes())
for name in sorted(arrays):
    digest.update(name.encode() + arrays[name].tobytes())
print(len(arrays), digest.hexdigest()[:16])
"""
RECIPES = """
from dataclasses import asdict
from minigan.recipes import RECIPES
print({name: dict(asdict(r.smoke()), epochs=2, average=0.99, log_every=3) for name, r in RECIPES.items()})
"""


def python(tree: Path, code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env={"PYTHONPATH": str(tree)}, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{tree}: {done.stderr}")
    return done.stdout.strip()


def main() -> None:
    commits = sys.argv[1:]
    if len(commits) not in (1, 2) or any(word.startswith("-") for word in commits):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as work:
        trees = {commit: Path(work, f"tree-{i}") for i, commit in enumerate(commits)}
        try:
            for commit, tree in trees.items():
                subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
            if len(commits) == 1:
                trees["the working tree"] = ROOT
            recipes = ast.literal_eval(python(trees[commits[0]], RECIPES))
            other = []
            for name, fields in recipes.items():
                code = RUN.format(recipe=name, fields=fields)
                found = {c: python(tree, code, f"{work}/{name}-{i}") for i, (c, tree) in enumerate(trees.items())}
                same = len(set(found.values())) == 1
                print(f"{name:<14}", "the same" if same else found, next(iter(found.values())), flush=True)
                other += [] if same else [name]
        finally:
            for commit in commits:
                subprocess.run(["git", "worktree", "remove", "--force", trees[commit]], cwd=ROOT, check=False)
    if other:
        sys.exit(f"other bits: {', '.join(other)}")


if __name__ == "__main__":
    main()
