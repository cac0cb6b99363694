"""What nlme does with its random effects, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .nlme import Block

FREEDOM = "nlme's degrees of freedom are those of tidy(df='containment'); the default here is Satterthwaite's"


def explanation(blocks: Sequence[Block], listed: bool, data: Any = None) -> tuple[str, ...]:
    """The sentences that apply to these blocks."""
    found = [*_nesting(blocks, listed), *_structures(blocks), *_identified(blocks, data)]
    return (*found, FREEDOM)


def _nesting(blocks: Sequence[Block], listed: bool) -> list[str]:
    deep = [block for block in blocks if len(block.group) > 1]
    if not deep:
        return []
    inner = deep[-1].group
    order = "in the order of the list" if listed else "from left to right"
    return [
        f"nlme nests groups {order}: a {inner[-1]} counts within its {':'.join(inner[:-1])}, whether or not its "
        f"numbers start anew there, so its bar is (... | {':'.join(inner)}); (... | {inner[-1]}) alone means the same "
        f"only where each {inner[-1]} has a number of its own"
    ]


def _structures(blocks: Sequence[Block]) -> list[str]:
    found = []
    kinds = {block.structure for block in blocks if block.columns != "1"}
    if "pdDiag" in kinds:
        found.append(
            "pdDiag has no correlations, which is diag(x | g); lme4's (x || g) is the same for numbers, but does not "
            "split the columns of a factor"
        )
    if "pdIdent" in kinds:
        found.append("pdIdent has one variance for all columns and no correlations: diag(x | g, hom = TRUE)")
    if "pdCompSymm" in kinds:
        found.append("pdCompSymm has one variance and one correlation for all columns: cs(x | g, hom = TRUE)")
    return found


def _identified(blocks: Sequence[Block], data: Any) -> list[str]:
    """Whether the innermost groups have more rows than effects; with data, counted for intercepts and factors."""
    innermost = blocks[-1]
    if innermost.columns == "1":
        return []
    group = ":".join(innermost.group)
    general = (
        "the residual variance cannot be told from the effects' (it is not identified): nlme fits all the same and "
        "splits the sum anyhow; the log-likelihood and the fixed effects are right, the single variances are not"
    )
    if data is None:
        return [f"where no {group} has more rows than effects ({innermost.columns}), {general}"]
    counted = _count(innermost, data)
    if counted is None:
        return []
    rows, effects = counted
    return [f"no {group} has more rows ({rows}) than effects ({effects}), so {general}"] if effects >= rows else []


def _count(block: Block, data: Any) -> tuple[int, int] | None:
    """The most rows of a group, and the effects that it has; None where a column is missing."""
    from ..data.table import as_table
    from ..design import model_matrix  # the design reads formulas: imported where it is wanted
    from ..errors import DataError, FormulaError

    table = as_table(data)
    names = [name.strip("`") for name in block.group]
    try:
        effects = len(model_matrix(f"~ {block.columns}", table).names)
    except (DataError, FormulaError):
        return None
    if any(name not in table.columns for name in names):
        return None
    return int(table.groupby(names, observed=True).size().max()), effects
