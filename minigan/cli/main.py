"""The command line: what `minigan COMMAND` does. A user's mistake ends in one line and exit code 2."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import NoReturn

from minigan import __version__
from minigan.cli.usage import NO_COMMANDS, USAGE, ask_plainly
from minigan.errors import ArgumentError, MiniganError, RecipeMissingError, known_name

#: Each is the `command` of the module of its name, which is imported when it is asked for.
COMMANDS = (
    *("train", "sample", "evaluate", "inspect", "report", "export"),
    *("gradcheck", "exercise", "bench", "recipes", "info"),
)


def command_named(name: str) -> Callable[[list[str]], None]:
    """What does the command's work, given the words behind it."""
    return import_module(f"minigan.cli.{name}").command


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; exits with 2 and one line on a user's mistake, 130 on Ctrl-C, 143 on SIGTERM."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows "?", rather than a traceback
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its remarks on its own cache are nobody's business here
    try:
        args = ask_plainly(args)
        with flushed():
            if not args or args == ["--help"]:
                print(USAGE, end="")
            elif args[0] == "--version":
                print(f"minigan {__version__}")
            elif args[0] in NO_COMMANDS:
                raise ArgumentError(f"unknown command {args[0]!r}; {NO_COMMANDS[args[0]]}")
            else:
                command_named(known_name("command", args[0], COMMANDS))(args[1:])
    except RecipeMissingError as error:
        from minigan.cli.named import in_a_command

        fail(in_a_command(error, args))
    except MiniganError as error:
        fail(str(error))
    except BrokenPipeError:  # whoever read our output has had enough (… | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that flushing at exit does not fail once more
        sys.exit(1)
    except OSError as error:  # a full or read-only disk, a folder without permission
        fail(f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error))
    except MemoryError as error:
        fail(f"not enough memory: {error}; a smaller batch, network or count needs less")
    except KeyboardInterrupt as stop:
        print("minigan: interrupted", file=sys.stderr)
        sys.exit(128 + getattr(stop, "number", 2))  # 130 after Ctrl-C, 143 after SIGTERM


@contextmanager
def flushed() -> Iterator[None]:
    """What was printed is on its way when this ends, also by an exit, as after --help: or BrokenPipeError is raised."""
    try:
        yield
    except SystemExit:
        flush()
        raise
    flush()


def flush() -> None:
    if sys.stdout is not None:  # it is None where the shell has closed it
        sys.stdout.flush()


def fail(message: str) -> NoReturn:
    print(f"minigan: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
