"""Numbers as R prints them: as few digits as tell the values apart, aligned in columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

EPS = 2.2e-16


def aligned(values: Iterable[float], digits: int = 7) -> list[str]:
    """The values with common decimals, so that each shows at least `digits` significant ones (R's format()).

    Zeros that no value needs are left out; scientific notation is used where it is shorter.

    >>> aligned([251.40510, 10.46729], 4)
    ['251.41', ' 10.47']
    >>> aligned([1.5e-9, 3.0e5], 3)
    ['1.5e-09', '3.0e+05']
    """
    numbers = [float(v) for v in values]
    parts = [_parts(v, digits) for v in numbers if math.isfinite(v)] or [(1, 0)]
    decimals = max(max(0, significant - 1 - exponent) for significant, exponent in parts)
    mantissa = max(significant for significant, _ in parts)
    fixed = max(max(exponent, 0) + 1 for _, exponent in parts) + (decimals + 1 if decimals else 0)
    scientific = (mantissa + 1 if mantissa > 1 else 1) + max(4 if abs(e) < 100 else 5 for _, e in parts)
    style = f".{decimals}f" if fixed <= scientific else f".{mantissa - 1}e"
    return padded([_word(v, style) for v in numbers])


def _parts(value: float, digits: int) -> tuple[int, int]:
    """How many significant digits the value needs, at most `digits`, and its power of ten."""
    if value == 0:
        return 1, 0
    mantissa, exponent = f"{abs(value):.{digits - 1}e}".split("e")
    return max(1, len(mantissa.replace(".", "").rstrip("0"))), int(exponent)


def _word(value: float, style: str) -> str:
    if math.isnan(value):
        return "NA"
    return format(value, style) if math.isfinite(value) else ("Inf" if value > 0 else "-Inf")


def padded(words: Sequence[str]) -> list[str]:
    """The words filled with blanks on the left to one width."""
    width = max(map(len, words), default=0)
    return [word.rjust(width) for word in words]


def estimates(columns: Sequence[Sequence[float]], digits: int = 4) -> list[list[str]]:
    """Columns of estimates and standard errors with one number of decimals and one width, as R's coefficient tables.

    The smallest value in magnitude shows `digits` significant digits.

    >>> estimates([[251.4051, 10.46729], [6.610154, 1.238195]])
    [['251.405', ' 10.467'], ['  6.610', '  1.238']]
    """
    values = [float(v) for column in columns for v in column]
    sizes = [abs(v) for v in values if math.isfinite(v) and v != 0]
    places = max(1, digits - 1 - math.floor(math.log10(min(sizes)))) if sizes else 1
    words = [word.strip() for word in aligned([round(v, places) for v in values], digits)]
    # What would print as 0 but is not keeps its own digits.
    words = [f"{v:.3g}" if w.strip("-0.") == "" and v != 0 else w for w, v in zip(words, values, strict=True)]
    words = padded(words)
    starts = [sum(len(c) for c in columns[:i]) for i in range(len(columns))]
    return [words[at : at + len(column)] for at, column in zip(starts, columns, strict=True)]


def statistics(values: Sequence[float], digits: int = 4) -> list[str]:
    """t, z or F values, to at most three decimals."""
    return aligned([round(float(v), 3) if math.isfinite(v) else float(v) for v in values], digits)


def p_values(values: Sequence[float], digits: int = 3) -> list[str]:
    """p values, those below 2.2e-16 as "<2e-16".

    >>> p_values([0.0010684, 0.00047421, 1.47e-9, 1e-20])
    ['0.001068', '0.000474', '1.47e-09', ' < 2e-16']
    """
    numbers = [float(v) for v in values]
    words = {i: "NA" for i, p in enumerate(numbers) if math.isnan(p)}
    shown = [i for i, p in enumerate(numbers) if p >= EPS]
    for group in ([i for i in shown if numbers[i] >= 1e-4], [i for i in shown if numbers[i] < 1e-4]):
        if group:
            words |= dict(zip(group, aligned([numbers[i] for i in group], digits), strict=True))
    wide = max((len(words[i]) for i in shown), default=0) > 6
    return padded([words.get(i, "< 2e-16" if wide else "<2e-16") for i in range(len(numbers))])


def p_value(p: float) -> str:
    """One p value in running text: "p = .0016" or "p < 2e-16".

    >>> p_value(0.00161), p_value(1e-20)
    ('p = 0.00161', 'p < 2e-16')
    """
    word = p_values([p])[0].strip()
    return f"p {word[0]} {word[1:].strip()}" if word.startswith("<") else f"p = {word}"


def stars(values: Sequence[float]) -> list[str]:
    """R's marks of significance: *** below .001, ** below .01, * below .05, . below .1."""
    return [next((mark for limit, mark in _MARKS if p <= limit), "") for p in values]


_MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
LEGEND = "Signif. codes:  0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1"


def named(names: Sequence[str], words: Sequence[str]) -> str:
    """Words under their names, all of one width, as R prints a vector with names.

    >>> print(named(["Min", "Max"], ["-1.25", "3.00"]))
      Min   Max
    -1.25  3.00
    """
    width = max(map(len, (*names, *words)))
    return "\n".join(" ".join(word.rjust(width) for word in row) for row in (names, words))


def columns(heads: Sequence[str], body: Sequence[Sequence[str]], names: Sequence[str] = (), left: int = 0) -> str:
    """A text table: `names` on the left, then the columns, right-aligned but for the first `left` ones.

    >>> print(columns(["x", "mean"], [["1", "20"], ["0.5", "0.25"]], names=["a", "b"]))
       x mean
    a  1  0.5
    b 20 0.25
    """
    named = [names] if names else []
    whole = [[head, *column] for head, column in zip(["", *heads] if names else heads, [*named, *body], strict=True)]
    first = left + len(named)
    lines = []
    widths = [max(map(len, column)) for column in whole]
    for row in zip(*whole, strict=True):
        words = [w.ljust(n) if i < first else w.rjust(n) for i, (w, n) in enumerate(zip(row, widths, strict=True))]
        lines.append(" ".join(words).rstrip())
    return "\n".join(lines)
