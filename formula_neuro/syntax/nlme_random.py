"""The way back: random terms of a formula as nlme's random=, where they nest."""

from __future__ import annotations

from ..formula import Bar, Formula
from .expression import label


def random_in_nlme(formula: Formula) -> str | None:
    """The text of random= that says the same to lme(); None where grouping factors are crossed or it has no such word.

    >>> from formula_neuro.formula import parse
    >>> random_in_nlme(parse("y ~ x + (1 | midx) + (x | midx:cidx)"))
    'list(midx = ~1, cidx = ~1 + x)'
    >>> random_in_nlme(parse("y ~ x + (1 | a) + (1 | b)")) is None
    True
    """
    groups: dict[frozenset[str], list[Bar]] = {}
    for bar in formula.bars:
        groups.setdefault(frozenset(label(node) for node in bar.group), []).append(bar)
    items, outer = [], frozenset[str]()
    for group in sorted(groups, key=len):
        new = group - outer
        blocks = [_block(bar) for bar in groups[group]]
        if not outer < group or len(new) != 1 or None in blocks:
            return None
        items.append((next(iter(new)), [block for block in blocks if block]))
        outer = group
    if len(items) == 1 and len(items[0][1]) == 1 and items[0][1][0].startswith("~"):
        return f"{items[0][1][0]} | {items[0][0]}"
    return f"list({', '.join(f'{name} = {_together(blocks)}' for name, blocks in items)})"


def _block(bar: Bar) -> str | None:
    terms = [":".join(label(bar.part.variables[i]) for i in term) for term in bar.part.terms]
    columns = " + ".join(["1" if bar.part.intercept else "0", *terms]) if terms else "1"
    if bar.structure == "us":
        return f"~{columns}"
    if bar.structure == "diag":
        return f"pdIdent(~{columns})" if bar.hom else f"pdDiag(~{columns})"
    return f"pdCompSymm(~{columns})" if bar.structure == "cs" and bar.hom else None


def _together(blocks: list[str]) -> str:
    if len(blocks) == 1:
        return blocks[0]
    return f"pdBlocked(list({', '.join(f'pdSymm({b})' if b.startswith('~') else b for b in blocks)}))"
