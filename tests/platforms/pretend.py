"""Another system, as far as Linux can pretend to be one: what minigan's modules find when they are run on it.

    python tests/platforms/pretend.py win32|darwin|linux COMMANDS    a JSON list of lists of words for `minigan`
    python tests/platforms/pretend.py win32|darwin|linux --code CODE    a JSON list of programs; prints how each ended

From minigan's modules (and from CODE) all that names.json says the system lacks is taken away: whole modules, and names
of those that stay (on Linux nothing). Other libraries keep theirs, since they have a way of their own for each system.
For Windows, moreover, and for everybody: a file that is open or mapped can be neither replaced, renamed nor removed, a
name that is taken is not renamed over, no folder is opened, nothing is flushed that is not open for writing, and text
without an encoding is cp1252 with two characters at the end of a line.
"""

import builtins
import contextlib
import errno
import fcntl
import io
import json
import os
import signal
import stat
import sys
import types
from pathlib import Path

NAMES = json.loads((Path(__file__).parent / "names.json").read_text("utf-8"))
OURS = "minigan"


class View(types.ModuleType):
    """A module as minigan sees it there."""

    def __init__(self, module, lacks, has):
        super().__init__(module.__name__)
        self.__dict__.update(_module=module, _lacks=lacks, **has)

    def __getattr__(self, name):
        if name in self._lacks:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system", name=name)
        return getattr(self._module, name)

    def __dir__(self):
        return sorted(set(dir(self._module)) - self._lacks)


def pretend(system):
    """From now on minigan runs there."""
    lacking = NAMES.get(system, {})
    has = {"sys": {"platform": system}}
    if system == "win32":
        pretend_files()
        has |= {"os": {"name": "nt", "open": open_no_folder}, "signal": {"SIGBREAK": signal.Signals(21)}}
    views, real = {}, builtins.__import__

    def importing(name, variables=None, local=None, fromlist=(), level=0):
        """The statement `import`, in whatever module it stands."""
        if (variables or {}).get("__name__", "").partition(".")[0] != OURS or level:
            return real(name, variables, local, fromlist, level)
        if lacking.get(name, "") is None:
            raise ModuleNotFoundError(f"No module named {name!r} on this system", name=name)
        module = real(name, variables, local, fromlist, level)
        known = module.__name__
        if known not in lacking and known not in has:
            return module
        return views.setdefault(known, View(module, set((lacking.get(known) or "").split()), has.get(known, {})))

    builtins.__import__ = importing


# Files, as Windows has them ------------------------------------------------------------------------------------------

real_open, real_fsync, real_io_open = os.open, os.fsync, io.open
real_names = {name: getattr(os, name) for name in ("replace", "rename", "unlink", "remove")}


def open_no_folder(path, flags, *args, **options):
    if Path(path).is_dir():
        raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
    return real_open(path, flags, *args, **options)


def fsync(descriptor):
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    real_fsync(descriptor)


def in_use(path):
    """Whether this process has the file open, or mapped into its memory."""
    try:
        wanted = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(wanted.st_mode):
        return False
    for opened in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of the listing itself
            if os.path.samestat(opened.stat(), wanted):
                return True
    mapped = Path("/proc/self/maps").read_text("utf-8").splitlines()
    return any(line.endswith(os.path.realpath(path)) for line in mapped)


def guarded(name):
    def call(*paths, **options):
        if not options and any(in_use(path) for path in paths):  # with options it is shutil's, of a folder
            raise PermissionError(errno.EACCES, "it is being used by a process", *map(os.fspath, paths[:1]))
        if name == "rename" and os.path.lexists(paths[1]):
            raise FileExistsError(errno.EEXIST, "it exists", os.fspath(paths[1]))
        return real_names[name](*paths, **options)

    return call


def io_open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *args, **options):
    if "b" not in mode:
        encoding = encoding or "cp1252"
        newline = "\r\n" if newline is None and set(mode) & set("wax") else newline
    return real_io_open(file, mode, buffering, encoding, errors, newline, *args, **options)


def pretend_files():
    for name in real_names:
        setattr(os, name, guarded(name))
    os.fsync, io.open, builtins.open = fsync, io_open, io_open


# What to run ---------------------------------------------------------------------------------------------------------


def ended(code):
    """What a program of minigan's raises, or nothing."""
    try:
        exec(code, {"__name__": f"{OURS}.code"})
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    system, what, *code = sys.argv[1:]
    import filelock  # noqa: F401 # it has its own way to lock on each system, chosen now

    pretend(system)
    if code:
        print(json.dumps([ended(each) for each in json.loads(code[0])]))
    else:
        from minigan.cli.main import main

        for words in json.loads(what):
            print("$ minigan", *words)
            main(words)
