"""R inside this process, by rpy2: no object of R or of rpy2 leaves this file, and what comes back is copied."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from formula_neuro.errors import RFailed

from .missing import missing_rpy2
from .sources import sources
from .wire import quiet

LIBRARIES = "LD_LIBRARY_PATH"


def ask(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The reply of R's answer(); one call at a time in this process, whatever the thread.

    Raises RMissing when rpy2 cannot start R, and KeyboardInterrupt when R was interrupted.
    """
    session = start()
    with session.openrlib.rlock:  # until R's objects are released
        ri = session.rinterface
        with _silent(session.callbacks):
            try:
                reply = session.answer(ri.StrSexpVector([function]), _to_r(ri, dict(arguments)))
            except ri.embedded.RRuntimeError as error:
                if not str(error).strip():  # how rpy2 reports Ctrl-C while R computes
                    raise KeyboardInterrupt from None
                raise RFailed(f"R stopped: {error}") from None
            values: dict[str, Any] = _from_r(ri, reply)
        return values


# ---- starting R ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Session:
    """R, started, with our files sourced into an environment of their own."""

    rinterface: Any
    openrlib: Any
    callbacks: Any
    answer: Any


@functools.cache
def start() -> Session:
    """R of this process, started once; raises RMissing with the reason where rpy2 cannot start it."""
    path = os.environ.get(LIBRARIES)
    ri, openrlib, callbacks = _rpy2()
    with openrlib.rlock:
        try:
            ri.initr()
        except Exception as error:  # rpy2 raises what its search for R happens to meet
            raise missing_rpy2(error) from error
        finally:
            _set_back(path)
        with _silent(callbacks):
            return Session(ri, openrlib, callbacks, _source(ri))


def _set_back(path: str | None) -> None:
    """rpy2 leaves R's library path to all children, whose Python may then load the system's libpython."""
    if path is None:
        os.environ.pop(LIBRARIES, None)
    else:
        os.environ[LIBRARIES] = path


def _rpy2() -> tuple[Any, Any, Any]:
    """rpy2's low-level modules; where only its ABI mode is built, that one is asked for, without its two warnings."""
    quiet = "RPY2_CFFI_MODE" not in os.environ and importlib.util.find_spec("_rinterface_cffi_api") is None
    if quiet:
        os.environ["RPY2_CFFI_MODE"] = "ABI"
    try:
        import rpy2.rinterface as rinterface
        from rpy2.rinterface_lib import callbacks, openrlib
    except Exception as error:  # ImportError, OSError of a wrong library, ValueError where R is not found
        raise missing_rpy2(error) from error
    finally:
        if quiet:
            del os.environ["RPY2_CFFI_MODE"]
    return rinterface, openrlib, callbacks


def _source(ri: Any) -> Any:
    base = ri.baseenv
    stats = base["as.environment"](ri.StrSexpVector(["package:stats"]))
    place = base["new.env"](parent=stats)
    for path in sources():
        base["sys.source"](ri.StrSexpVector([path]), envir=place)
    return place["answer"]


@contextmanager
def _silent(callbacks: Any) -> Iterator[None]:
    """Nothing is echoed while our own calls run; a user's own rpy2 session keeps its console."""
    names = ("consolewrite_print", "consolewrite_warnerror")
    before = {name: getattr(callbacks, name) for name in names}
    for name in names:
        setattr(callbacks, name, _ignore)
    try:
        yield
    finally:
        for name in names:
            setattr(callbacks, name, before[name])


def _ignore(text: str) -> None:
    """Take R's console output and do nothing: what matters is returned as messages."""


# ---- values --------------------------------------------------------------------------------------
def _to_r(ri: Any, value: Any) -> Any:
    if value is None:
        return ri.NULL
    if isinstance(value, np.ndarray):
        return _array_to_r(ri, value)
    if isinstance(value, str):
        return ri.StrSexpVector([value])
    if isinstance(value, bool):
        return ri.BoolSexpVector([value])
    if isinstance(value, int):
        return ri.IntSexpVector([value])
    if isinstance(value, float):
        return ri.FloatSexpVector([value])
    if isinstance(value, tuple):
        return ri.StrSexpVector(list(value))
    if isinstance(value, dict):
        items = ri.ListSexpVector([_to_r(ri, item) for item in value.values()])
        items.do_slot_assign("names", ri.StrSexpVector(list(value)))
        return items
    raise TypeError(f"{type(value).__name__} does not cross to R; arrays, text, numbers and dictionaries do")


def _array_to_r(ri: Any, array: np.ndarray[Any, Any]) -> Any:
    kinds = {"d": ri.FloatSexpVector, "i": ri.IntSexpVector}
    kind = kinds.get(array.dtype.char)
    if kind is None:
        raise TypeError(f"an array of {array.dtype} does not cross to R; float64 and int32 do")
    flat = np.ascontiguousarray(array.ravel(order="F"))  # rpy2 cuts a 2-D array silently
    vector = kind.from_object(flat.data) if len(flat) else kind([])
    if array.ndim > 1:
        vector.do_slot_assign("dim", ri.IntSexpVector(array.shape))
    return vector


def _from_r(ri: Any, value: Any) -> Any:
    kind = value.typeof
    if kind == ri.RTYPES.NILSXP:
        return None
    if kind == ri.RTYPES.STRSXP:
        return tuple(None if text is ri.NA_Character else str(text) for text in value)
    if kind == ri.RTYPES.VECSXP:
        items = [_from_r(ri, item) for item in value]
        names = value.names
        return dict(zip(map(str, names), items, strict=True)) if names.typeof == ri.RTYPES.STRSXP else tuple(items)
    dtypes = {ri.RTYPES.REALSXP: np.float64, ri.RTYPES.INTSXP: np.int32, ri.RTYPES.LGLSXP: np.int32}
    if kind not in dtypes:
        raise TypeError(f"an R value of type {value.rclass[0]} does not cross; numbers, text and lists do")
    # a copy: the view lives only as long as R's object
    flat = np.array(value.memoryview(), dtype=dtypes[kind]) if len(value) else np.empty(0, dtypes[kind])
    if kind == ri.RTYPES.LGLSXP:
        flat = flat.astype(bool)
    if kind == ri.RTYPES.REALSXP:
        flat = quiet(flat)
    if "dim" in tuple(value.list_attrs()):
        return flat.reshape(tuple(value.do_slot("dim")), order="F")
    return flat
