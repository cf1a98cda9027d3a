"""Which names of the standard library a system lacks: names.json, from typeshed's branches on `sys.platform`.

    python tests/platforms/make_names.py STDLIB    STDLIB: typeshed's folder of that name, such as the one in pyright:
                                                   site-packages/pyright/dist/dist/typeshed-fallback/stdlib

For "win32" and "darwin": {module: the public names that Linux has there and this system has not, in the oldest Python
that minigan runs on or in a newer one; null if nothing is left of the module}.
"""

import ast
import json
import sys
from functools import cache
from pathlib import Path

VERSIONS = ((3, 11), (3, 14))
FOR_TYPES = ("typing", "typing_extensions", "types", "collections.abc", "_typeshed")  # not names of the module


class Stubs:
    """The names that each module of the stubs has, for one system and version of Python."""

    def __init__(self, folder, platform, version):
        self.folder, self.platform, self.version = folder, platform, version
        self.names = cache(self._names)

    def _names(self, module):
        path = self.folder.joinpath(*module.split("."))
        path = path / "__init__.pyi" if path.is_dir() else path.with_suffix(".pyi")
        if not path.exists():
            return frozenset()
        return frozenset(name for name in self.walk(ast.parse(path.read_text("utf-8")).body) if name[0] != "_")

    def walk(self, body):
        for node in body:
            if isinstance(node, ast.If):
                yield from self.walk(node.body if self.holds(node.test) else node.orelse)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module not in FOR_TYPES:
                for alias in node.names:  # what socket has is in _socket, and so on
                    yield from self.names(node.module) if alias.name == "*" else [alias.asname or alias.name]

    def holds(self, test):
        """Whether a condition on the system or the version is true."""
        if isinstance(test, ast.BoolOp):
            results = [self.holds(value) for value in test.values]
            return all(results) if isinstance(test.op, ast.And) else any(results)
        known = {"sys.platform": self.platform, "sys.version_info": self.version, "sys.byteorder": "little"}
        return bool(eval(ast.unparse(test), {"sys": Known(known), "TYPE_CHECKING": True}))


class Known:
    def __init__(self, values):
        self.values = values

    def __getattr__(self, name):
        return self.values[f"sys.{name}"]


def lacking(folder, system):
    found = {}
    for path in sorted(folder.rglob("*.pyi")):
        parts = path.relative_to(folder).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for version in VERSIONS:
            here, linux = (Stubs(folder, name, version).names(module) for name in (system, "linux"))
            if parts[0][0] != "_" and (lost := linux - here):
                found.setdefault(module, set()).update(lost if here else {"*"})
    return {module: None if "*" in names else " ".join(sorted(names)) for module, names in found.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    commit = folder.parent / "commit.txt"
    result = {"typeshed": commit.read_text("utf-8").strip() if commit.exists() else "unknown"}
    result |= {system: lacking(folder, system) for system in ("win32", "darwin")}
    (Path(__file__).parent / "names.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
