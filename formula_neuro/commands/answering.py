"""Errors as one line and an exit status; what is said to the person, not to the pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from .. import registry
from ..errors import FormulaError, NoBackend, RMissing

FAILED, USAGE, DISAGREES, R_MISSING = 1, 2, 3, 4
INTERRUPTED = 130  # as shells say of Ctrl-C


@contextmanager
def answering(context: typer.Context, backend: str | None = None) -> Iterator[None]:
    """Turn an error into its message on stderr and an exit status; --debug lets the traceback through."""
    try:
        yield
    except typer.Exit:
        raise
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        say("formula-neuro: interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if context.find_root().params.get("debug"):
            raise
        say(f"formula-neuro: {words(error, sys.stderr.isatty())}")
        raise typer.Exit(status(error, backend)) from None


def status(error: Exception, backend: str | None = None) -> int:
    """2 for what the user can type otherwise, 4 for a missing R, 1 for a fit that failed."""
    if isinstance(error, RMissing) or (isinstance(error, NoBackend) and _waits_for_r(backend)):
        return R_MISSING
    return USAGE if isinstance(error, (ValueError, NoBackend, OSError)) else FAILED


def _waits_for_r(backend: str | None) -> bool:
    """Whether the backend asked for is one of R's that is not ready here."""
    return any(b.name == backend and b.language == "R" and b.unready() for b in registry.installed().backends)


def words(error: Exception, terminal: bool) -> str:
    """The error in one line; on a terminal a formula's error keeps its caret.

    >>> words(FormulaError("a bar needs a group", "y ~ (1|)", 7), terminal=False)
    "a bar needs a group (at column 8 of 'y ~ (1|)')"
    """
    if terminal and isinstance(error, (FormulaError, NoBackend)):
        return str(error)
    if isinstance(error, FormulaError) and error.position is not None:
        return f"{error.message} (at column {error.position + 1} of {error.text!r})"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    known = isinstance(error, (ValueError, LookupError, ArithmeticError, OSError, ImportError, RuntimeError, TypeError))
    line = f"{first}: {'; '.join(rest)}" if rest else first
    return (
        line
        if known and type(error) not in (KeyError, IndexError, AttributeError)
        else f"{type(error).__name__}: {line}; --debug shows where"
    )


def check_folder(folder: Path) -> None:
    """Raise the fitting OSError where a folder cannot be written into, or made; nothing is created."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"--out {folder}: {there} is a file, and a folder is expected")
    if not os.access(there, os.W_OK):
        raise PermissionError(f"--out {folder}: {there} cannot be written into: no permission; choose another folder")


def say(text: str) -> None:
    """A line for the person, not for the pipe."""
    typer.echo(text, err=True)
