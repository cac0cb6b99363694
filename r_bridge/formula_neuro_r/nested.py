"""Random terms as nlme's lme takes them: grouping factors nested in one another, the outermost first."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from formula_neuro.design import RandomTerm
from formula_neuro.request import Request


def nested_groups(request: Request) -> dict[str, Any]:
    """What fit_nlme() takes beside the model: its random terms by grouping factor, as columns and codes."""
    groups = {}
    for g, terms in enumerate(by_group(request.design.random), 1):
        items = {
            f"t{t}": {
                "label": f".fn_z{g}_{t}",
                "name": term.group,
                "columns": term.columns,
                "basis": np.ascontiguousarray(term.basis, dtype=np.float64),
                "structure": _class(term),
            }
            for t, term in enumerate(terms, 1)
        }
        groups[f".fn_g{g}"] = {"codes": (terms[0].codes + 1).astype(np.int32), "terms": items}
    return groups


def _class(term: RandomTerm) -> str:
    """The class of nlme's that has the term's structure."""
    if term.structure == "diag":
        return "pdIdent" if term.hom and len(term.columns) > 1 else "pdDiag"
    return "pdCompSymm" if term.structure == "cs" else "pdLogChol"


def by_group(random: tuple[RandomTerm, ...]) -> list[list[RandomTerm]]:
    """The terms of each grouping of the rows, the coarsest grouping first."""
    groups: list[list[RandomTerm]] = []
    for term in random:
        same = next((g for g in groups if np.array_equal(g[0].codes, term.codes)), None)
        if same is None:
            groups.append([term])
        else:
            same.append(term)
    return sorted(groups, key=lambda g: len(g[0].levels))


def crossed(random: tuple[RandomTerm, ...]) -> tuple[str, str] | None:
    """Two grouping factors of which neither is nested in the other, or None."""
    groups = by_group(random)
    for outer, inner in itertools.pairwise(groups):
        pairs = len(np.unique(np.stack([outer[0].codes, inner[0].codes]), axis=1).T)
        if pairs > len(inner[0].levels):
            return outer[0].group, inner[0].group
    return None
