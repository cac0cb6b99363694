"""What fit() was asked, and of a table the request that it makes: which model, the response on the family's scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .data.misread import remedy
from .data.values import LOGICAL
from .design import Design, model_matrix
from .errors import DataError, FormulaError
from .estimator import BIAS_REDUCED, GEE, Estimator, as_estimator
from .family import Array, Binomial, Family, FociFamily, as_family
from .inflation import inflation_design
from .request import Request
from .running.where import HERE, Running
from .syntax.expression import label


@dataclass(frozen=True, eq=False)
class Asked:
    """What fit() was asked of a table, of images or of foci, as it was given."""

    formula: str
    data: Any
    family: str | FociFamily | Family | None = None
    estimator: str | Estimator | None = None
    weights: Any = None
    offset: Any = None
    subset: Any = None
    contrasts: Mapping[str, Any] | None = None
    na_action: str = "omit"
    mask: Any = None
    backend: str | None = None
    running: Running = HERE

    @property
    def family_of_tables(self) -> Family:
        """The family of a table or of images; gaussian unless one was named."""
        return as_family("gaussian" if self.family is None else self.family)

    @property
    def how(self) -> Estimator | None:
        """The estimator that was named; None for the default of the model that the formula makes."""
        return None if self.estimator is None else as_estimator(self.estimator)


def table_request(asked: Asked) -> Request:
    """The request of a model of a table, the rows chosen and the response read."""
    how = asked.how
    design = model_matrix(
        asked.formula,
        asked.data,
        weights=asked.weights,
        offset=asked.offset,
        subset=asked.subset,
        contrasts=asked.contrasts,
        na_action=asked.na_action,
        beside=how.columns if how else (),
    )
    return as_request(design, asked.family_of_tables, how)


def as_request(design: Design, family: Family, estimator: str | Estimator | None = None) -> Request:
    """The request that a design and a family make, its response checked and on the family's scale."""
    if design.formula.response is None:
        raise FormulaError("the formula has no response; write it left of the '~'", design.formula.text, 0)
    given = None if estimator is None else as_estimator(estimator)
    model = model_of(design, family, given)
    how = as_estimator(given, model)
    y, weights, notes = _response(design, family)
    constant = _constant(design, y, weights, family, how)
    asked = getattr(how, "zero_inflation", None)
    zeros = None if asked is None else inflation_design(asked, design, family.name)
    return Request(model, family, how, design, y, weights, (*design.messages, *notes, *constant), inflation=zeros)


def model_of(design: Design, family: Family, estimator: Estimator | None = None) -> str:
    """ "lm", "glm", "lmm" or "glmm"; "gee" where that is the estimator."""
    if isinstance(estimator, GEE):
        if design.random:
            raise FormulaError(
                f"estimator=GEE(...) takes no random terms: the clusters are cluster={estimator.cluster!r}; leave "
                "the bars out of the formula, or the estimator",
                design.formula.text,
                0,
            )
        return "gee"
    linear = family.name == "gaussian" and family.link.name == "identity"
    return ("l" if linear else "gl") + ("mm" if design.random else "m")


def _response(design: Design, family: Family) -> tuple[Array, Array, tuple[str, ...]]:
    """y and weights (n,) on the family's scale, with notes; raises DataError outside the family's range."""
    assert design.y is not None and design.formula.response is not None
    name, y = label(design.formula.response), design.y
    weights = np.ones(len(y)) if design.weights is None else design.weights
    if y.ndim == 2:
        return _counts(y, weights, family, name)
    if design.y_levels is not None and design.y_levels != LOGICAL:
        if not isinstance(family, Binomial):
            shown = ", ".join(design.y_levels[:3])
            raise DataError(
                f"{name} is text or a factor ({shown}, ...), but family={family.name!r} needs numbers; "
                f"{remedy(name, design.y_levels)}"
            )
        if len(design.y_levels) == 1:
            raise DataError(
                f"{name} is {design.y_levels[0]!r} in all {len(y)} rows used, but family={family.name!r} takes two "
                "levels; look at which rows were dropped"
            )
        if len(design.y_levels) != 2:
            paths = "; of images, paths end in .nii or .nii.gz" if "/" in design.y_levels[0] else ""
            raise DataError(
                f"{name} has {len(design.y_levels)} levels ({', '.join(design.y_levels[:5])}), but "
                f"family={family.name!r} takes two (the first is failure); relevel or choose rows with subset={paths}"
            )
        note = (f"{name}: {design.y_levels[1]!r} counts as success, {design.y_levels[0]!r} as failure",)
        return y, weights, note
    family.check(y, name)
    successes = weights * y
    if family.name == "binomial" and (np.abs(successes - np.round(successes)) > 1e-3).any():  # R's own bound
        return y, weights, (f"{name}: shares times weights are not whole numbers of successes",)
    return y, weights, ()


def _counts(y: Array, weights: Array, family: Family, name: str) -> tuple[Array, Array, tuple[str, ...]]:
    """cbind(successes, failures) as shares and trials."""
    if not isinstance(family, Binomial) or y.shape[1] != 2:
        raise DataError(
            f"{name} is a response of {y.shape[1]} columns with family={family.name!r}; two are taken, as "
            "cbind(successes, failures), for family='binomial' only"
        )
    if (y < 0).any() or (y != np.round(y)).any():
        bad = y[((y < 0) | (y != np.round(y))).any(axis=1)][0]
        raise DataError(f"{name}: counts are whole and not negative, got ({bad[0]:g}, {bad[1]:g})")
    trials = y.sum(axis=1)
    if not (weights * trials > 0).any():
        raise DataError(f"{name}: no row has a trial with a weight above 0, so that nothing is left to fit")
    share = np.divide(y[:, 0], trials, out=np.zeros(len(y)), where=trials > 0)
    return share, weights * trials, ()


def _constant(design: Design, y: Array, weights: Array, family: Family, how: Estimator) -> tuple[str, ...]:
    """What there is to say of failures only, or successes only; an error under maximum likelihood.

    Nothing where the columns have no constant among their combinations, which would take all means to the limit.
    """
    if not isinstance(family, Binomial) or design.formula.response is None:
        return ()
    used = weights > 0
    seen = y[used]
    if not ((seen == 0).all() or ((seen == 1).all() and family.link.name != "log")):  # exp(0) is 1
        return ()
    if not _spans_a_constant(design.matrix[used]):
        return ()
    name = label(design.formula.response)
    what = f"{name} is {seen[0]:g} in all {len(seen)} rows used: the maximum-likelihood estimate is infinite"
    if how.word in BIAS_REDUCED:
        return (f"{what}; estimator={how.word!r} is finite, and owes that to the adjustment alone",)
    raise DataError(f"{what}; look at the coding of the response, or use a bias-reduced estimator")


def _spans_a_constant(X: Array) -> bool:
    """Whether some combination of the columns of X (n, p) is 1 in every row."""
    size = np.abs(X).max(axis=0, initial=0.0)
    X = X / np.where(size > 0, size, 1.0)
    return bool(np.abs(X @ np.linalg.lstsq(X, np.ones(len(X)), rcond=None)[0] - 1).max() < 1e-8)
