"""The design whose factors have contr.sum, by which hypotheses of type III are the usual ones."""

from __future__ import annotations

from ...design import Design, model_matrix
from ...errors import Unable


def in_sums(design: Design) -> Design:
    """The same model with all factors in contr.sum; its columns span the same space."""
    if design.given is None:
        raise Unable("an anova of type III makes the design again, and this fit does not keep the data it came from")
    factors = {piece.variable for block in design.recipe.fixed for piece in block.pieces if piece.coding is not None}
    given = design.given
    again = model_matrix(
        design.formula,
        given.table,
        weights=given.weights,
        offset=given.offset,
        subset=given.subset,
        contrasts=dict.fromkeys(sorted(factors), "contr.sum"),
        na_action=given.na_action,
        beside=given.beside,
    )
    if len(again.names) != len(design.names):
        raise Unable("an anova of type III is of the model with all contrasts of a factor, and C(...) kept only some")
    return again
