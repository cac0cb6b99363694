"""One function, `call`, through which everything that concerns R goes, and two engines behind it.

"rpy2" is R inside this process: the main thread of the main process uses it where rpy2 is installed and fits
this R. "worker" is Rscript in processes of its own, for all other threads and processes and wherever rpy2 does
not run; threads have several at once. Both run the same R files on the same numbers, so that their answers are
the same to the last bit. `using` and the environment variable FORMULA_NEURO_R_ENGINE choose otherwise.

What crosses: float64, int32 and bool arrays (1-D, or matrices column by column), text, tuples of text,
dictionaries and tuples of these.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from formula_neuro.errors import RFailed, RMissing

from . import embedded, worker
from .missing import missing_package

ENGINES = {"rpy2": embedded.ask, "worker": worker.ask}
VARIABLE = "FORMULA_NEURO_R_ENGINE"
PROCESS = os.getpid()  # a child that was forked since must leave its parent's R alone
_wish: ContextVar[str | None] = ContextVar("engine", default=None)


@dataclass(frozen=True)
class Answer:
    """What an R function returned, the warnings and messages that it gave on the way, and the engine that ran it."""

    value: dict[str, Any]
    messages: tuple[str, ...]
    engine: str


def call(function: str, arguments: Mapping[str, Any]) -> Answer:
    """Run a function of our R files.

    Raises RMissing when R or a package is missing, RFailed with R's own text when R stops or ends, and
    KeyboardInterrupt when R was interrupted.

    >>> call("load_packages", {"packages": ("stats",)}).messages
    ()
    """
    engine = chosen()
    reply = ENGINES[engine](function, arguments)
    status = reply["status"][0]
    if status == "ok":
        return Answer(reply["value"], tuple(reply["messages"]), engine)
    if status == "interrupt":
        raise KeyboardInterrupt
    if status == "missing":
        raise missing_package(reply["package"][0], reply["text"][0])
    heard = "".join(f"\n  before that: {message}" for message in reply["messages"])
    raise RFailed(f"R stopped: {reply['text'][0]}{heard}")


@contextmanager
def using(engine: str) -> Iterator[None]:
    """Inside the block, R is run by "rpy2" or by a "worker", in this thread.

    What was asked for is used or is an error, never replaced.

    >>> with using("worker"):
    ...     call("load_packages", {"packages": ("stats",)}).engine
    'worker'
    """
    before = _wish.set(_known(engine, "using()"))
    try:
        yield
    finally:
        _wish.reset(before)


def chosen() -> str:
    """The engine that a call made here and now would use."""
    wish = _wish.get()
    if wish is not None:
        return wish
    if os.environ.get(VARIABLE):
        return _known(os.environ[VARIABLE], VARIABLE)
    if sys.platform == "win32":  # no pipes with a name of their own, no signals to pass on
        return "rpy2"
    alone = threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None
    return "rpy2" if alone and os.getpid() == PROCESS and _rpy2_starts() else "worker"


def _known(engine: str, where: str) -> str:
    if engine not in ENGINES:
        raise ValueError(f"{where}: the R engine {engine!r} is not known; there are {', '.join(ENGINES)}")
    return engine


@functools.cache
def _rpy2_starts() -> bool:
    try:
        embedded.start()
    except RMissing:
        return False
    return True
