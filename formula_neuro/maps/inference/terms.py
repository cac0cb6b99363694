"""anova() of a fit in every voxel: a map of the statistic of each term of the formula."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...design import Design, TermColumns
from ...errors import Unable
from ...estimator import BIAS_REDUCED
from ...family import Array
from ...inference.terms.sum_contrasts import in_sums
from .contrast import MapContrast
from .heights import Nested, check_ratio, penalised
from .held import estimable
from .multiplicity import discoveries
from .retested import joint_values
from .wald_terms import wald_values

if TYPE_CHECKING:
    from ..fit import MapFit

TYPES = ("I", "II", "III")
TESTS = ("F", "Chisq", "Rao", "Wald")
NAMES = ("statistic", "z", "p")


@dataclass(frozen=True, eq=False)
class MapAnova:
    """The terms of a formula tested in every voxel: `.maps["statistic", "group"]`, `.term("group").threshold()`.

    `values` holds, by term, "statistic" (F of linear models, else chi-squared), "z" and "p" (V,) of the upper tail;
    `df` the degrees of freedom of each term.
    """

    fit: MapFit
    test: str  # "F", "Chisq", "Rao", "Wald"
    type: str
    values: Mapping[str, Mapping[str, Array]]
    df: Mapping[str, int]
    columns: Mapping[str, tuple[str, ...]]
    messages: tuple[str, ...] = ()

    @cached_property
    def maps(self) -> Mapping[tuple[str, str], Any]:
        """Images by statistic and term: ("statistic" | "z" | "p", term)."""
        return {
            (name, term): self.fit.brain.image(found[name]) for term, found in self.values.items() for name in NAMES
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a term: df, voxels tested, discoveries (false discovery rate 0.05), the largest statistic, its p."""
        rows = [self._row(term) for term in self.values]
        return pd.DataFrame(rows, columns=["term", "df", "voxels", "discoveries", "largest", "p_value"])

    def _row(self, term: str) -> list[Any]:
        statistic, p = self.values[term]["statistic"], self.values[term]["p"]
        known = ~np.isnan(p)
        ends = (float(statistic[known].max()), float(p[known].min())) if known.any() else (float("nan"),) * 2
        return [term, self.df[term], int(known.sum()), int(discoveries(p).sum()), *ends]

    def term(self, name: str) -> MapContrast:
        """One term as a contrast, with .threshold(), .maps and .to_nifti()."""
        if name not in self.values:
            raise ValueError(f"{name!r} is not a term of the model; there are {', '.join(self.values)}")
        places = [self.fit.names.index(column) for column in self.columns[name]]
        L = np.eye(len(self.fit.names))[places]
        return MapContrast(
            self.fit, name, L, np.zeros(len(L)), self.values[name], self.columns[name], self.test, self.messages
        )

    def to_nifti(self, folder: Any) -> list[str]:
        """Write the maps of all terms with their sidecars; the paths written."""
        return [path for name in self.values for path in self.term(name).to_nifti(folder)]

    def __repr__(self) -> str:
        shown = self.to_frame().to_string(index=False, float_format=lambda value: f"{value:.3g}")
        head = f"Type {self.type}, {WORDS[self.test]} in every voxel"
        return "\n".join([head, shown, *self.messages])


WORDS = {"F": "F tests", "Chisq": "likelihood ratios", "Rao": "score tests", "Wald": "Wald tests"}


def anova_maps(fit: MapFit, test: str | None = None, type: str | None = None) -> MapAnova:
    """The terms of a fit in every voxel; see anova()."""
    word = _word(fit, test)
    kind = type or ("III" if word == "Wald" else "I")
    if kind not in TYPES:
        raise ValueError(f"type={kind!r} is not known; there are {', '.join(TYPES)}")
    terms = [term for term in fit.request.design.terms if term.variables]
    if not terms:
        raise Unable("the formula has no term but the intercept, so there is nothing to test")
    columns = {term.name: tuple(fit.names[term.start : term.stop]) for term in terms}
    if word == "Wald":
        values, df = wald_values(fit, kind)
        return MapAnova(fit, word, kind, values, df, columns, ())
    values, df = {}, {}
    nested, kept = _nested(fit, kind)
    for name, small, large in _pairs(fit, kind, nested[0], kept):
        q = len(large) - len(small)
        if q:
            values[name], df[name] = _tested(fit, nested[1], word, small, large), q
    note = () if word != "Rao" or fit.request.estimator.word not in BIAS_REDUCED else (
        "score tests are of maximum likelihood: the null models are fitted by it, whatever the maps",
    )  # fmt: skip
    return MapAnova(fit, word, kind, values, df, columns, note)


def _word(fit: MapFit, test: str | None) -> str:
    """The test asked for, or the default: F of linear models, likelihood ratios where there are, else scores."""
    model = fit.request.model
    if test is None:
        ratio = fit.request.estimator.word not in BIAS_REDUCED or penalised(fit)
        return "Wald" if fit.posterior else {"lm": "F", "glm": "Chisq" if ratio else "Rao"}.get(model, "Wald")
    word = {"LRT": "Chisq"}.get(test, test)
    if word not in TESTS:
        raise ValueError(f"test={test!r} is not known; there are {', '.join(TESTS)}")
    if word != "Wald" and model not in ("lm", "glm"):
        raise Unable(f"test={test!r} is for linear and generalized linear models; a {model} in voxels has test='Wald'")
    if word == "F" and model != "lm":
        raise ValueError(f"test='F' divides by an estimated dispersion, and {fit.family} has none; take test='Chisq'")
    if word in ("Chisq", "Rao") and model == "lm":
        raise ValueError(f"test={test!r}: linear models in voxels are tested by test='F'")
    if word == "Chisq":
        check_ratio(fit)
    return word


def _nested(fit: MapFit, kind: str) -> tuple[tuple[Design, Nested], list[int]]:
    """The design that is tested, in sum-to-zero contrasts for type III, its models, and its estimable columns."""
    design = fit.request.design
    kept = np.flatnonzero(estimable(fit)).tolist()
    if kind != "I" and len(kept) < len(design.names):
        lost = ", ".join(name for j, name in enumerate(design.names) if j not in kept)
        raise Unable(
            f"an anova of type {kind} needs every coefficient to be estimable, and {lost} is a combination of earlier "
            "columns (empty cells?); leave terms out, or take type='I'"
        )
    design = in_sums(design) if kind == "III" else design
    return (design, Nested(fit, design.matrix[:, kept], design.offset)), kept


Columns = tuple[int, ...]


def _pairs(fit: MapFit, kind: str, design: Design, kept: list[int]) -> Iterator[tuple[str, Columns, Columns]]:
    """Each term with the columns of the smaller and of the larger model, numbered among the estimable ones."""
    terms = [term for term in design.terms if term.variables]
    for k, term in enumerate(terms):
        if kind == "I":
            gone = terms[k + 1 :]
        elif kind == "II":
            gone = [other for other in terms if set(term.variables) < set(other.variables)]
        else:
            gone = []
        large = _left(kept, gone)
        yield term.name, tuple(j for j in large if not term.start <= kept[j] < term.stop), large


def _left(kept: list[int], gone: list[TermColumns]) -> Columns:
    return tuple(j for j, own in enumerate(kept) if not any(term.start <= own < term.stop for term in gone))


def _tested(fit: MapFit, nested: Nested, word: str, small: Columns, large: Columns) -> dict[str, Array]:
    """The maps of one term: what the larger model has more than the smaller."""
    q = len(large) - len(small)
    df = np.full(fit.n_voxels, float(q))
    if word == "Rao":
        among = Nested(fit, nested.X[:, large], nested.offset, {})
        place = {j: i for i, j in enumerate(large)}
        own = tuple(place[j] for j in small)
        if small in nested.known:
            among.known[own] = nested.known[small]
        score = among.scores(own, tuple(place[j] for j in large if j not in small))
        nested.known.setdefault(small, among.known[own])
        return joint_values(score**2 if q == 1 else score, df, np.inf)
    rise = np.maximum(nested.height(small) - nested.height(large), 0.0)
    if word == "F":
        with np.errstate(divide="ignore", invalid="ignore"):
            return joint_values(rise / q / fit.values["sigma"] ** 2, df, fit.df_resid)
    return joint_values(rise, df, np.inf)
