"""Generated formulas have R's columns: names, terms, rows and values, from one run of R.

FN_FORMULAS=10 makes ten times as many of each kind; FN_FORMULAS_SEED others.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError

sys.path.insert(0, str(Path(__file__).parent))
from formula_generator import Case, cases, new_table, table

pytestmark = pytest.mark.r

TABLES = 6
COUNTS = {"fixed": 620, "random": 420, "new": 300}  # enough that at least 500, 300 and 200 are left to compare
WIDEST = 400  # columns; what is wider only takes time


@dataclass(frozen=True)
class FromR:
    """What R said about one case: its columns, or its error."""

    said: dict[str, Any]
    values: np.ndarray
    random: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]  # p, i, x of each term's Zt


def write_table(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """The columns as doubles, one after the other, with their names, kinds and levels in a JSON beside them."""
    told, values = [], []
    for column, series in frame.items():
        head: dict[str, Any] = {"name": column, "n": len(series), "kind": "number"}
        if isinstance(series.dtype, pd.CategoricalDtype):
            levels = [str(level) for level in series.cat.categories]
            head |= {"kind": "factor", "levels": levels, "ordered": bool(series.cat.ordered)}
            numbers = np.where(series.cat.codes < 0, np.nan, series.cat.codes + 1.0)
        else:
            head["kind"] = "logical" if series.dtype == bool else "number"
            numbers = series.to_numpy(float)
        told.append(head)
        values.append(numbers)
    (folder / f"{name}.json").write_text(json.dumps(told), encoding="utf-8")
    np.concatenate(values).astype(float).tofile(folder / f"{name}.bin")


def ask_r(asked: list[Case], folder: Path) -> list[FromR]:
    for i in range(TABLES):
        for name, frame in zip(("table", "new"), tables(i), strict=True):
            write_table(folder, f"{name}{i}", frame)
    (folder / "cases.json").write_text(json.dumps([asdict(case) for case in asked]), encoding="utf-8")
    script = Path(__file__).with_name("generated_formulas.R")
    surroundings = {**os.environ, "LC_ALL": "C.UTF-8"}  # else R prints names with accents as <U+00F6>
    subprocess.run(["Rscript", "--vanilla", script, folder], check=True, capture_output=True, env=surroundings)
    numbers = Numbers(np.fromfile(folder / "values.bin"))
    found = []
    for line in (folder / "said.json").read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        values = numbers.take(said.get("size", 0))
        random = tuple(tuple(map(numbers.take, term["size"])) for term in said.get("random", []))
        found.append(FromR(said, values, random))
    return found


class Numbers:
    """What R wrote, taken piece by piece."""

    def __init__(self, values: np.ndarray):
        self.values, self.start = values, 0

    def take(self, count: int) -> np.ndarray:
        self.start += count
        return self.values[self.start - count : self.start]


# ---- what is left out, and why -------------------------------------------------------------------
def excluded(case: Case, reference: FromR) -> str | None:
    """Why R is no reference for this case; None where it is."""
    error, warned = reference.said.get("error", ""), " ".join(reference.said["warned"])
    if "contrasts dropped from factor" in warned:
        return "model.frame drops the contrast of C() together with a level"
    if "the response appeared on the right-hand side" in warned:
        return "R leaves the response's own term out when it fills the columns, but still numbers and counts it"
    if "its contrast will be ignored" in warned:
        return "contrasts= names no factor of the formula: an error here, a warning in R"
    right = case.formula.partition("~")[2]
    if case.kind == "new" and ("center(" in right or "mean(" in right):
        return "R takes the mean of the new table, where we keep that of training"
    if case.kind == "new" and "log(k + 1)" in right and case.formula.startswith("log"):
        return "delete.response() loses the variable of a response that is named again"
    if "||" in case.formula and re.search("unexpected ('|'|symbol)", error):
        return "lme4 1.1 reads its own text of (1 || g) and of backticks beside || and fails"
    return None


@cache
def tables(number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    return table(number), new_table(table(number), number)


def difference(case: Case, reference: FromR) -> str | None:
    """What is not as in R; empty where all is, None where both or only we refuse, as meant."""
    trained, new = tables(case.table)
    try:
        ours = fn.model_matrix(case.formula, trained, contrasts=case.contrasts)
        ours = ours.apply(new) if case.kind == "new" else ours
    except (FormulaError, DataError) as error:
        meant = "one level only" in str(error)  # R lets a constant logical pass
        return None if meant or "error" in reference.said else f"refused here: {error}"
    if "error" in reference.said:
        return f"refused by R: {reference.said['error']}"
    said = reference.said
    if list(ours.names) != said["names"]:
        return f"names: {ours.names} != {said['names']}"
    if list(ours.rows + 1) != said["rows"]:
        return "rows"
    first = 0 if ours.terms and ours.terms[0].name == "(Intercept)" else 1
    assign = [i for i, term in enumerate(ours.terms, first) for _ in range(term.start, term.stop)]
    if assign != said["assign"]:
        return f"assign: {assign} != {said['assign']}"
    theirs = reference.values.reshape(-1, len(said["names"]), order="F") if said["names"] else ours.matrix
    return values_differ(ours.matrix, theirs) or random_differs(ours, reference)


def values_differ(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Products, polynomials and scales sum in another order than R's: a few units in the last place of each column.

    A column that cancels to 0 keeps the noise of its parts, about 1e-14 of numbers near 10.
    """
    if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        return "missing values stand elsewhere"
    ours, theirs = np.nan_to_num(ours), np.nan_to_num(theirs)
    scale = np.fmax(np.abs(theirs).max(axis=0, initial=0.0), 1e-2)
    apart = (np.abs(ours - theirs) / scale).max(initial=0.0)
    return f"values differ by {apart:.1e} of their column" if apart > 1e-11 else ""


def random_differs(ours: fn.Design, reference: FromR) -> str:
    theirs = reference.said.get("random", [])
    if [(t.group, list(t.columns)) for t in ours.random] != [(t["group"], t["columns"]) for t in theirs]:
        return f"random columns: {[(t.group, t.columns) for t in ours.random]} != {theirs}"
    for term, said, (p, i, x) in zip(ours.random, theirs, reference.random, strict=True):
        if list(term.levels) != said["levels"]:
            return f"levels of {term.group}: {term.levels} != {said['levels']}"
        Z = np.zeros(term.Z.shape)
        Z[np.repeat(np.arange(len(p) - 1), np.diff(p).astype(int)), i.astype(int)] = x
        if apart := values_differ(term.Z.toarray(), Z):
            return f"Z of {term.group}: {apart}"
    return ""


# ---- tests ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Case, FromR]]:
    times = int(os.environ.get("FN_FORMULAS", "1"))
    seed = int(os.environ.get("FN_FORMULAS_SEED", "1"))
    asked = cases(seed, {kind: count * times for kind, count in COUNTS.items()}, TABLES)
    answers = ask_r(asked, tmp_path_factory.mktemp("generated"))
    return [pair for pair in zip(asked, answers, strict=True) if not excluded(*pair)]


@pytest.mark.parametrize("kind", COUNTS)
def test_generated_formulas_have_rs_columns(compared, kind):
    own = [(case, reference) for case, reference in compared if case.kind == kind]
    found = [(case.formula, case.table, case.contrasts, difference(case, reference)) for case, reference in own]
    bad = [line for line in found if line[-1]]
    assert not bad, f"{len(bad)} of {len(own)} differ, first: " + "\n".join(map(str, bad[:5]))
    assert sum(line[-1] == "" for line in found) >= {"fixed": 500, "random": 300, "new": 200}[kind]
