"""Runs as files: one .npz of arrays, and a JSON text in it for everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from formula_neuro import __version__
from formula_neuro.dynamics.connectome import Connectome
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.running.whole import whole

from .archives import to_read, to_write
from .asking import Asked
from .models import find
from .problem import Balloon, Start
from .simulation import Simulation

FORMAT = 1
WORDS = ("dt", "steps", "every", "sampling", "skip", "keep", "seed", "noise", "exact", "tables", "device", "dtype")
OTHER = "{} is no simulation that was saved by .save(), or a part of one"
ASIDE = "the run had a stimulus, which files do not hold: to continue it, give stimulus="


def save(n: Simulation, path: str | Path) -> Path:
    """Write a run to path, which gets the ending .npz where it has another."""
    target = to_write(path)
    arrays: dict[str, Any] = {"t": n.t, "bold_t": n.bold_t}
    arrays |= _under("output", n.outputs) | _under("state", n.end.states) | _under("past", n.end.past)
    arrays |= _under("ou", n.end.ou) | _under("param", n.params) | _under("given", n.asked.params)
    arrays |= {"bold": n.bold} if n.bold is not None else {}
    arrays |= {"end_bold": n.end.bold} if n.end.bold is not None else {}
    if n.asked.bold is not None:
        arrays |= _under("balloon", {k: v for k, v in asdict(n.asked.bold).items() if k != "start"})
    c = n.connectome
    if c is not None:
        known = {
            "weights": c.weights,
            "lengths_mm": c.lengths_mm,
            "delays_ms": c.delays_ms,
            "coordinates": c.coordinates,
        }
        arrays |= _under("connectome", {name: value for name, value in known.items() if value is not None})
    with whole(target) as file:
        np.savez_compressed(file, about=np.array(json.dumps(_about(n))), **arrays)
    return target


def _about(n: Simulation) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "formula_neuro": __version__,
        "model": n.model,
        "nodes": list(n.nodes),
        "messages": list(n.messages),
        "failed": _number(n.failed),
        "clamped": _number(n.clamped),
        "engine": n.engine,
        "seconds": _number(n.seconds),
        "key": n.key,
        "end_step": n.end.step,
        "asked": {word: getattr(n.asked, word) for word in WORDS},
        "bold_start": n.asked.bold.start if n.asked.bold else None,
        "connectome": n.connectome is not None,
        "stimulus": {name: repr(course) for name, course in n.asked.stimulus.items()},
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else float(value)


def _under(kind: str, values: Mapping[str, Any]) -> dict[str, Array]:
    return {f"{kind}/{name}": np.asarray(value) for name, value in values.items()}


def load_simulation(path: str | Path) -> Simulation:
    """A run that n.save(path) wrote. A model of your own must be registered before. Raises DataError, OSError."""
    arrays = _read(path)
    if "about" not in arrays:
        raise DataError(OTHER.format(path))
    about = json.loads(str(arrays["about"]))
    if about["format"] != FORMAT:
        raise DataError(f"{path} is of format {about['format']}; this version reads {FORMAT}; update formula_neuro")
    asked = _asked(about, arrays)
    nan = float("nan")
    return Simulation(
        model=about["model"],
        t=arrays["t"],
        outputs=_kind("output", arrays),
        nodes=asked.nodes,
        params=_values("param", arrays),
        seed=asked.seed,
        messages=tuple(about["messages"]) + ((ASIDE,) if about["stimulus"] and ASIDE not in about["messages"] else ()),
        bold_t=arrays["bold_t"],
        bold=arrays.get("bold"),
        failed=nan if about["failed"] is None else about["failed"],
        clamped=nan if about["clamped"] is None else about["clamped"],
        engine=about["engine"],
        seconds=nan if about["seconds"] is None else about["seconds"],
        end=Start(
            _kind("state", arrays),
            _kind("past", arrays),
            _kind("ou", arrays),
            about["end_step"],
            arrays.get("end_bold"),
        ),
        asked=asked,
        key=about["key"],
    )


def _read(path: str | Path) -> dict[str, Array]:
    target = to_read(path)
    try:
        with np.load(target, allow_pickle=False) as held:
            return dict(held)
    except (ValueError, TypeError, BadZipFile, EOFError):  # what numpy says of a file that is no archive, or a cut one
        raise DataError(OTHER.format(path)) from None


def _asked(about: Mapping[str, Any], arrays: Mapping[str, Array]) -> Asked:
    words, given = dict(about["asked"]), _values("given", arrays)
    words["keep"] = tuple(words["keep"])
    network: dict[str, Any] = _kind("connectome", arrays)
    connectome = Connectome(network.pop("weights"), names=about["nodes"], **network) if about["connectome"] else None
    balloon = _values("balloon", arrays)
    return Asked(
        model=find(about["model"], given, words["tables"]),
        connectome=connectome,
        nodes=tuple(about["nodes"]),
        params=given,
        bold=Balloon(**balloon, start=about["bold_start"]) if balloon else None,
        **words,
    )


def _kind(kind: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name.split("/", 1)[1]: value for name, value in arrays.items() if name.startswith(f"{kind}/")}


def _values(kind: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: float(value) if value.ndim == 0 else value for name, value in _kind(kind, arrays).items()}
