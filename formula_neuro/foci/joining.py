"""Analyses and the covariates that a second table has of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ..errors import DataError
from .found import Found
from .ids import KEY, as_text, pairs, some


def joined(analyses: pd.DataFrame, table: pd.DataFrame, source: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The analyses with the columns of a table that has a row a study, or a row an analysis; and what there is to say.

    Studies of the table without any analysis yet are added: that a study found nothing is information. Raises
    DataError for studies that the table has twice, or not at all.
    """
    table, said = unique(table, source)
    both = [name for name in analyses.columns if name in table.columns and name not in KEY]
    if both:
        said.append(f"{some(both)}: taken from {source}")
        analyses = analyses.drop(columns=both)
    if "analysis" not in table.columns:
        return _by_study(analyses, table, source, said)
    return _by_analysis(analyses, table, source, said)


def with_names(found: Found, table: pd.DataFrame) -> Found:
    """Analyses that the foci do not name ("1") under the name that the table has for the only one of their study."""
    if "analysis" not in table.columns or (found.foci["analysis"] != "1").any():
        return found
    only = table[~table["study"].duplicated(keep=False)].set_index("study")["analysis"]
    foci, studies = (part.assign(analysis=part["study"].map(only).fillna("1")) for part in (found.foci, found.studies))
    return replace(found, foci=foci, studies=studies)


def ordered(analyses: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The analyses in the order of a table that has all of their studies, or all of them."""
    keys = [name for name in KEY if name in table.columns]
    places = {key: i for i, key in reversed(list(enumerate(table[keys].itertuples(index=False, name=None))))}
    rank = [places[key] for key in analyses[keys].itertuples(index=False, name=None)]
    return analyses.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)


def with_spaces(found: Found) -> Found:
    """Foci that state no space have that of their study, where the studies have a column space (Neurosynth's do).

    The column becomes stated_space, so that foci which are written and read again are not brought to MNI twice.
    """
    name = next((name for name in found.studies.columns if str(name).strip().lower() == "space"), None)
    if name is None or "stated_space" in found.foci.columns:
        return found
    by_study = pd.Series(found.studies[name].to_numpy(), index=pairs(found.studies))
    theirs = by_study.reindex(pairs(found.foci)).to_list()
    own = found.foci["space"].to_list() if "space" in found.foci.columns else [None] * len(theirs)
    spaces = pd.Series([a if as_text(a) else b for a, b in zip(own, theirs, strict=True)], dtype=object)
    studies = found.studies.rename(columns={name: "stated_space"})
    return replace(found, foci=found.foci.assign(space=spaces.to_numpy()), studies=studies)


def unique(table: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[str]]:
    """The table with one row a key, equal rows dropped; raises DataError where rows of one key differ."""
    keys = [name for name in KEY if name in table.columns]
    empty = [i + 1 for i, row in enumerate(table[keys].to_numpy()) if not all(row)]
    if empty:
        raise DataError(f"{source}: no {' or '.join(keys)} in row {some(empty)}; every row names its study")
    first = table[~table.astype(str).duplicated()]
    said = [] if len(first) == len(table) else [f"{source}: {len(table) - len(first)} repeated rows are left out"]
    twice = first[first.duplicated(keys, keep=False)]
    if len(twice):
        names = [" / ".join(key) for key in twice[keys].drop_duplicates().to_numpy()]
        one = twice[(twice[keys] == twice[keys].iloc[0]).all(axis=1)].astype(str)
        differ = [str(name) for name in one.columns if one[name].nunique() > 1]
        raise DataError(
            f"{source} has several rows for {some(names)}, which differ in {some(differ)}; give each study one row, or "
            "each of its analyses one, told apart by a column analysis"
        )
    return first.reset_index(drop=True), said


def _by_study(
    analyses: pd.DataFrame, table: pd.DataFrame, source: str, said: list[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    listed, known = set(table["study"]), set(analyses["study"])
    _check_known([study for study in analyses["study"].unique() if study not in listed], table, source)
    out = analyses.merge(table, on="study", how="left", validate="many_to_one")
    new = table[~table["study"].isin(known)].assign(analysis="1")
    return _with_new(out, new, source, said)


def _by_analysis(
    analyses: pd.DataFrame, table: pd.DataFrame, source: str, said: list[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    listed, known = set(pairs(table)), set(pairs(analyses))
    unknown = [" / ".join(key) for key in pairs(analyses) if key not in listed]
    _check_known(unknown, table, source)
    out = analyses.merge(table, on=KEY, how="left", validate="one_to_one")
    new = table[[key not in known for key in pairs(table)]]
    return _with_new(out, new, source, said)


def _check_known(unknown: list[str], table: pd.DataFrame, source: str) -> None:
    """Raises DataError where studies with foci are not in the table."""
    if not unknown:
        return
    keys = [name for name in KEY if name in table.columns]
    names = [" / ".join(key) for key in table[keys].to_numpy()]
    match = next((name for name in names if _letters(name) == _letters(unknown[0])), None)
    hint = f" (is {unknown[0]!r} the table's {match!r}?)" if match else ""
    raise DataError(
        f"{source} lacks {len(unknown)} {'analyses' if len(keys) > 1 else 'studies'} that have foci: "
        f"{some(unknown)}{hint}; give them a row, whose covariates may be missing, or leave their foci out"
    )


def _with_new(
    out: pd.DataFrame, new: pd.DataFrame, source: str, said: list[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    if len(new):
        out = pd.concat([out, new], ignore_index=True)
    front = out[[*KEY, *(name for name in out.columns if name not in KEY)]]
    return front, tuple(said)


def _letters(name: str) -> str:
    """What two spellings of a name share."""
    return "".join(character for character in name.lower() if character.isalnum())
