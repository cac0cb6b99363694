"""An evolution on disk: one file of arrays and words. The objective and own operators are functions and not in it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.running.whole import whole

from ..archives import to_read, to_write
from .answer import Evolution
from .history import History
from .search import Plan
from .stopping import Stop

PLAIN = ("method", "names", "weights", "size", "initial", "seed")
ARRAYS = ("genes", "steps", "fitness", "generation", "parents")
OPERATORS = ("selection", "mate", "mutate")


def write(evolution: Evolution, path: Path) -> Path:
    """The path, which gets the ending .npz where it has another; it is there whole or not at all."""
    path = to_write(path)
    plan, history = evolution.plan, evolution.history
    told: dict[str, Any] = {name: getattr(plan, name) for name in PLAIN}
    told["stop"] = asdict(plan.stop) if plan.stop else None
    told["own"] = [name for name in OPERATORS if getattr(plan, name) is not None]
    told |= {"messages": evolution.messages, "seconds": evolution.seconds, "results": _single(evolution)}
    arrays = {name: getattr(history, name) for name in ARRAYS}
    arrays |= {f"population{k}": ids for k, ids in enumerate(history.populations)}
    with whole(path) as file:
        np.savez_compressed(file, told=json.dumps(told), bounds=plan.bounds, **arrays)
    return path


def _single(evolution: Evolution) -> dict[int, dict[str, Any]]:
    """Results that are numbers or words, or arrays of numbers; others are not kept."""
    found: dict[int, dict[str, Any]] = {}
    for number, results in evolution.results.items():
        held = {name: _jsonable(value) for name, value in results.items()}
        found[number] = {name: value for name, value in held.items() if value is not None}
    return found


def _jsonable(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist() if value.dtype.kind in "biufU" else None
    return value if isinstance(value, (int, float, str, bool)) else None


def load_evolution(path: str | Path) -> Evolution:
    """The evolution that .save(path) wrote; fn.evolve(objective, start=w, generations=...) goes on from it.

    Raises DataError, FileNotFoundError.
    """
    path = to_read(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        told = json.loads(str(held["told"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} holds no evolution ({error}); a file that Evolution.save wrote is expected") from None
    count = sum(name.startswith("population") for name in held)
    populations = tuple(held[f"population{k}"] for k in range(count))
    history = History(**{name: held[name] for name in ARRAYS}, populations=populations)
    stop = Stop(tuple(told["stop"]["fitness"]), told["stop"]["individuals"]) if told["stop"] else None
    plain = {name: told[name] for name in PLAIN}
    plain |= {name: tuple(plain[name]) for name in ("names", "weights") if plain[name] is not None}
    own = ", ".join(told["own"])
    lost = (
        (f"it was made with own operators ({own}), which a file cannot hold: give them again to go on",) if own else ()
    )
    return Evolution(
        Plan(bounds=held["bounds"], stop=stop, **plain),
        history,
        {int(number): results for number, results in told["results"].items()},
        (*(m for m in told["messages"] if m not in lost), *lost),
        told["seconds"],
    )
