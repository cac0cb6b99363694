"""What is written here for the functions of other packages' formulas, and for names that only look like functions."""

from __future__ import annotations

from collections.abc import Iterable

from ..nearest import nearest
from ..syntax.expression import quoted

OFTEN = "log, exp, sqrt, I, factor, relevel, C, cut, ifelse, scale, center, poly, ns, bs, offset"
_FOR = {
    "Error": "a stratum of errors is a random term: (1 | subject)",
    "random re": "a random term is (1 | subject)",
    "Treatment": "another reference level is relevel(group, ref = 'b')",
    "Sum Deviation": "write C(group, contr.sum)",
    "Helmert": "write C(group, contr.helmert)",
    "Poly": "write C(group, contr.poly)",
    "Diff": "give a matrix, contrasts={'group': [[...], ...]}",
    "standardize standardise zscore z": "write scale(x)",
    "demean centre": "write center(x)",
    "cr cc te ti lo": "for smooth curves there are ns(x, df = 4) and bs(x, df = 4)",
    "Q": "a name with blanks stands in `backticks`",
    "pow power": "write I(x^2)",
    "ln": "write log(x)",
    "as.Date date days": "convert dates to a number, such as days, in the table",
    "rank lag diff cumsum": "make it a column of the table first",
}
ADVICE = {name: advice for names, advice in _FOR.items() for name in names.split()}


def about_function(name: str, known: Iterable[str], columns: Iterable[str]) -> str:
    """What to write in place of a function that there is not.

    >>> about_function("np.log", ["log"], []), about_function("Response", ["log"], ["Response (mV)"])
    ('did you mean log()?', 'the column is written in backticks: `Response (mV)`')
    """
    known = list(known)
    for column in columns:
        if column.startswith((f"{name}(", f"{name} (")):
            return f"the column is written in backticks: {quoted(column)}"
    if name in ADVICE:
        return ADVICE[name]
    last = name.rpartition(".")[2]
    near = last if last in known else nearest(name, known) if len(name) > 1 else None
    return f"did you mean {near}()?" if near else f"often used are {OFTEN}"
