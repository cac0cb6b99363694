"""Zero inflation: the formula of the probability that a count is 0 for another reason than the family's.

With probability p, logit p = Z gamma, a row is 0 whatever its mean, else it has the family's distribution
(Lambert 1992); glmmTMB's `ziformula`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from .design import Design, model_matrix
from .errors import DataError, FormulaError
from .family import Array
from .formula import Formula, all_variables, parse
from .syntax.expression import names

FAMILIES = ("poisson", "nbinom1", "nbinom2", "binomial", "betabinomial")  # that give 0 a probability


@dataclass(frozen=True, eq=False)
class ZeroInflation:
    """What was estimated of p: gamma (k,) for the columns of the request's `inflation`, NaN where aliased."""

    gamma: Array
    covariance: Array  # (k, k)
    joint: Array | None = None  # (p, k) covariance with the coefficients of the mean, where the backend gives it
    infinite: bool = False  # p went to 0 or 1 in some rows, so that some of gamma has no finite estimate

    @property
    def se(self) -> Array:
        """Standard errors (k,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    def probability(self, design: Design) -> Array:
        """p (n,) in the rows of a design."""
        return np.asarray(special.expit(design.matrix @ np.nan_to_num(self.gamma) + design.offset))


def inflation_formula(text: str) -> Formula:
    """The formula read; FormulaError where it has a response, bars or a dot.

    >>> inflation_formula("~ dose").fixed.intercept
    True
    """
    if not isinstance(text, str) or "~" not in text:
        raise FormulaError(f"zero_inflation= is a formula such as '~ 1' or '~ dose', got {text!r}")
    formula = parse(text)
    if formula.response is not None:
        raise FormulaError("zero_inflation= has no response: write '~ dose'; the zeros are the response's", text, 0)
    if formula.bars or formula.spatial:
        where = text.find("|") if formula.bars else text.find("s(")
        raise FormulaError("zero_inflation= takes fixed terms only", text, where)
    return formula


def inflation_columns(text: str) -> tuple[str, ...]:
    """The columns that the formula names.

    >>> inflation_columns("~ log(dose) * sex")
    ('dose', 'sex')
    """
    nodes = all_variables(inflation_formula(text))
    return tuple(dict.fromkeys(name.text for node in nodes for name in names(node)))


def inflation_design(text: str, design: Design, family: str) -> Design:
    """The columns of the formula on the rows of a design; FormulaError and DataError where that cannot be.

    >>> from formula_neuro.design import model_matrix
    >>> D = model_matrix("y ~ 1 + (1|g)", {"y": [0.0, 1, 2, 0], "x": [1.0, 2, 3, 4], "g": list("aabb")})
    >>> inflation_design("~ x", D, "poisson").names
    ('(Intercept)', 'x')
    """
    if family not in FAMILIES:
        raise DataError(
            f"zero_inflation= is for {', '.join(FAMILIES[:-1])} and {FAMILIES[-1]}; family={family!r} has no zeros "
            "with a probability of their own"
        )
    if not design.random:
        raise FormulaError(
            "zero_inflation= goes with random terms, as in 'cells ~ dose + (1 | mouse)', and this formula has none; "
            "without them R's pscl::zeroinfl() or glmmTMB() fit such a model",
            design.formula.text,
            0,
        )
    if design.given is None:
        raise DataError("zero_inflation= needs the data that the design was made from, and this design has none")
    asked = {k: v for k, v in (design.given.contrasts or {}).items() if k in inflation_columns(text)}
    table = design.given.table.iloc[design.rows]
    try:
        found = model_matrix(text, table, contrasts=asked or None, na_action="fail")
    except DataError as error:
        raise DataError(f"zero_inflation={text!r}: {error}") from None
    if not found.names:
        raise FormulaError("zero_inflation= has no column; '~ 1' is one probability for all rows", text, 0)
    return replace(found, rows=design.rows, index=design.index)
