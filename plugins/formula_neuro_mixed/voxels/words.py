"""Maps of one word on the random effects: standard deviations, correlations, and shares of the variance.

"sd_site" of an intercept and "sd_subject_t" of a slope; "cor_subject_(Intercept)_t"; "icc_site", the share that varies
by the levels of a factor of the variance that the fixed effects leave, averaged over rows (Nakagawa et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from formula_neuro.design import RandomTerm
from formula_neuro.family import Array

INTERCEPT = "(Intercept)"


def words_of(random: Sequence[RandomTerm], covariances: Sequence[Array], residual: Array) -> dict[str, Array]:
    """The maps (C,) of terms with covariances (C, K, K) beside the residual variance (C,), or what stands for it."""
    found, shares = {}, dict[str, Array]()
    for term, covariance in zip(random, covariances, strict=True):
        sds = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        for k in range(len(term.columns)):
            found[f"sd_{effect(term, k)}"] = sds[:, k].copy()
        for i, j in combinations(range(len(term.columns)), 2):
            with np.errstate(divide="ignore", invalid="ignore"):
                found[f"cor_{term.group}_{term.columns[i]}_{term.columns[j]}"] = covariance[:, i, j] / (
                    sds[:, i] * sds[:, j]
                )
        own = np.einsum("cij,ij->c", covariance, term.basis.T @ term.basis / len(term.basis))
        shares[term.group] = shares.get(term.group, 0.0) + own
    total = residual + sum(shares.values())
    return found | {f"icc_{group}": own / total for group, own in shares.items()}


def effect(term: RandomTerm, k: int) -> str:
    """The name of one effect of a term: "site", "subject_t"."""
    return term.group if term.columns[k] == INTERCEPT else f"{term.group}_{term.columns[k]}"
