"""Families of contrasts among k means by name: rows of weights, a label a row, and the usual adjustment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...family import Array
from ...nearest import not_known

DEGREES = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")
USUAL = {
    "pairwise": "tukey", "revpairwise": "tukey", "trt.vs.ctrl": "dunnettx", "trt.vs.ctrlk": "dunnettx",
    "consec": "mvt", "eff": "fdr", "poly": "none",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Family:
    """Weights (q, k), their labels, how they are adjusted unless asked otherwise, and whether they are all pairs."""

    weights: Array
    labels: tuple[str, ...]
    usual: str
    pairs: bool = False


def family(given: Any, labels: Sequence[str], ratio: bool = False) -> Family:
    """The contrasts that a word, a mapping from a label to k weights, or a matrix of weights (q, k) stands for.

    "trt.vs.ctrl(b)" compares with b, a label or a place counted from 1; a DataFrame's index has the labels of its rows.
    `ratio` writes "a / b" for "a - b". Raises ValueError for an unknown word or a wrong number of weights.

    >>> family("trt.vs.ctrl(b)", ["a", "b", "c"]).labels
    ('a - b', 'c - b')
    """
    k = len(labels)
    if not isinstance(given, str):
        return _own(given, labels)
    given, control = _reference(given, labels)
    if given not in USUAL:
        words = (*USUAL, "trt.vs.ctrl(level)", "mappings to weights", "matrices")
        raise ValueError(not_known("contrast", given, words, {"pairs": "pairwise", "dunnett": "trt.vs.ctrl"}))
    if k < 2:
        raise ValueError(f"contrast={given!r} needs two means or more; there is {', '.join(labels)}")
    if given == "poly":
        weights = polynomials(k)
        return Family(weights, DEGREES[: len(weights)], USUAL[given])
    if given == "eff":
        return Family(np.eye(k) - 1 / k, tuple(f"{name} effect" for name in labels), USUAL[given])
    pairs = {
        "pairwise": [(i, j) for i in range(k) for j in range(i + 1, k)],
        "revpairwise": [(j, i) for j in range(k) for i in range(j)],
        "trt.vs.ctrl": [(i, control) for i in range(k) if i != control],
        "trt.vs.ctrlk": [(i, k - 1) for i in range(k - 1)],
        "consec": [(i + 1, i) for i in range(k - 1)],
    }[given]
    weights = np.array([np.eye(k)[i] - np.eye(k)[j] for i, j in pairs])
    shown = [f"({name})" if re.search(r"^[^(].*[-+*/]|^[-+*/]", name) else name for name in labels]
    sign = " / " if ratio else " - "
    return Family(weights, tuple(shown[i] + sign + shown[j] for i, j in pairs), USUAL[given], "pairwise" in given)


def _own(given: Any, labels: Sequence[str]) -> Family:
    """Weights as they are given."""
    k = len(labels)
    if isinstance(given, Mapping):
        names, rows = tuple(map(str, given)), [np.asarray(row, dtype=float) for row in given.values()]
    else:
        rows = list(np.atleast_2d(np.asarray(given, dtype=float)))
        index = getattr(given, "index", None)
        names = tuple(map(str, range(1, len(rows) + 1) if index is None or callable(index) else index))
    if not rows or any(row.shape != (k,) for row in rows):
        raise ValueError(f"a contrast has one weight for each of the {k} means: {', '.join(labels)}")
    return Family(np.array(rows), names, "none")


def _reference(given: str, labels: Sequence[str]) -> tuple[str, int]:
    """The word, and the place of the control: "trt.vs.ctrl(low)", "trt.vs.ctrl(2)", "trt.vs.ctrl1"."""
    match = re.fullmatch(r"(trt\.vs\.ctrl)(?:\((.+)\)|1)", given)
    if match is None:
        return given, 0
    wanted = (match[2] or "1").strip().strip("'\"")
    if wanted in labels:
        return match[1], list(labels).index(wanted)
    if not wanted.isdecimal() or not 1 <= int(wanted) <= len(labels):
        raise ValueError(f"contrast={given!r}: {wanted} is none of the {len(labels)} means: {', '.join(labels)}")
    return match[1], int(wanted) - 1


def polynomials(k: int) -> Array:
    """Orthogonal polynomials at 1, ..., k up to degree 6, scaled to the smallest whole numbers.

    >>> polynomials(4).astype(int).tolist()
    [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]]
    """
    x = np.arange(k) - (k - 1) / 2
    Q, R = np.linalg.qr(np.vander(x, min(k, len(DEGREES) + 1), increasing=True))
    return np.array([_whole(row) for row in (Q * np.sign(np.diag(R))).T[1:]])


def _whole(row: Array) -> Array:
    row = row / np.abs(row[np.abs(row) > 1e-9]).min()
    for factor in range(1, 10_000):
        if np.allclose(row * factor, np.round(row * factor), rtol=0, atol=1e-6 * factor):
            return np.round(row * factor) + 0.0
    return row
