"""Mutate formulas and look for anything but a design or one of our errors: python tests/fuzz_formulas.py 600

The argument is the number of seconds; a second one is the seed. Findings are printed, one a kind, and the exit
status says whether there were any. What is also looked for: texts that take longer than 2 s, designs with missing
values or other row counts than the rows kept, and labels that do not read back as they were.
"""

from __future__ import annotations

import random
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from formula_generator import fixed, mixed, table

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError
from formula_neuro.formula import all_variables
from formula_neuro.syntax.expression import label, read

TOKENS = [
    "+", "-", "*", "/", ":", "^", "%in%", "|", "||", "~", "(", ")", ",", "=", "==", "!=", "<", ">=", "&", "!", "%%",
    "%/%", "0", "1", "2", "-1", "1e5", "1e308", "1e-320", "2L", ".5", "99999", "TRUE", "FALSE", "NA", "NaN", "Inf",
    "pi", ".", "y", "x", "z", "k", "f", "s", "o", "g", "h", "flag", "gone", "lost", "`a b`", "`my var`", "größe",
    "'q'", '"é"', "I(", "log(", "sqrt(", "poly(x, 2)", "poly(", "ns(x, 3)", "ns(", "bs(", "scale(", "factor(", "cut(",
    "C(", "relevel(", "ifelse(", "interaction(", "cbind(", "offset(", "c(", "seq(", "quantile(", "mean(x)", "I(x^2)",
    "is.na(", "round(", "contr.sum", "contr.poly", "levels=", "labels=", "df =", "knots =", "degree=", "raw = TRUE",
    "ref=", "breaks=", "(1|g)", "(x||h)", "diag(", "us(", "cs(", "ar1(", "(1|f/h)", "\\", "`", "'", '"', "#", "$",
    "@", "[", "]", "{", ";", "\n", "\t", "\0", "\u2212", "\u00a0", "\ud800", "é", "<-", "->", "|>", "::",
    "function(x) ", "\\(x)", "system(", "C(f, c(1, 0, -1))", "C(f, cbind(a = c(1, 0, -1), 1:3))", "deg = 2", "lab=",
]  # fmt: skip
WORST = 2.0  # seconds that one text may take on a table of 60 rows


def mutated(rng: random.Random, text: str) -> str:
    """The text with some of its pieces or characters left out, doubled, moved or replaced."""
    for _ in range(rng.choice([0, 1, 1, 2, 3, 6])):
        at = rng.randint(0, len(text))
        end = min(len(text), at + rng.randint(0, rng.choice([1, 3, 12])))
        change = rng.randrange(6)
        if change == 0:
            text = text[:at] + text[end:]
        elif change == 1:
            text = text[:at] + rng.choice(TOKENS) + text[at:]
        elif change == 2:
            text = text[:at] + rng.choice(TOKENS) + text[end:]
        elif change == 3:
            text = text[:at] + text[at:end] * rng.choice([2, 3, 50]) + text[end:]
        elif change == 4:
            other = rng.randint(0, len(text))
            text = text[:other] + text[at:end] + text[other:]
        else:
            text = (
                text[:at]
                + chr(rng.choice([rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x11000)]))
                + text[at:]
            )
    return text


def texts(seed: int) -> Iterator[str]:
    """Without an end: formulas of the generator and heaps of tokens, mutated."""
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        if kind < 0.4:
            yield mutated(rng, fixed(rng))
        elif kind < 0.7:
            yield mutated(rng, mixed(rng))
        else:
            heap = rng.choice(["", " "]).join(rng.choice(TOKENS) for _ in range(rng.randint(1, 14)))
            yield mutated(rng, rng.choice(["y ~ ", "y ~ x + ", "", "y ~ I("]) + heap)


def finding(text: str, data: pd.DataFrame, new: pd.DataFrame) -> str | None:
    """What is wrong with what happens to this text."""
    began = time.process_time()
    try:
        D = fn.model_matrix(text, data)
        problem = wrong(D) or wrong_again(D, new)
    except (FormulaError, DataError) as error:
        problem = None if str(error).strip() else "an error without a word"
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - began
    return f"took {seconds:.1f} s" if seconds > WORST else problem


def wrong(D: fn.Design) -> str | None:
    for node in all_variables(D.formula):
        if label(read(label(node))) != label(node):
            return f"a label changes when it is read: {label(node)}"
    if not np.isfinite(D.matrix).all() or not all(np.isfinite(term.basis).all() for term in D.random):
        return "a design holds what is no number"
    if D.matrix.shape != (len(D.rows), len(D.names)) or any(len(t.codes) != len(D.rows) for t in D.random):
        return "a design has another shape than its names and rows"
    return None


def wrong_again(D: fn.Design, new: pd.DataFrame) -> str | None:
    """The rows of training, as new data, must give their columns again."""
    try:
        again = D.apply(new.iloc[D.rows])
    except DataError:
        return None
    if again.matrix.shape != D.matrix.shape or not np.array_equal(again.matrix, D.matrix):
        return "other columns when it is applied to its own rows"
    if any(not np.array_equal(a.Z.toarray(), b.Z.toarray()) for a, b in zip(again.random, D.random, strict=True)):
        return "other random columns when it is applied to its own rows"
    return None


def main(seconds: float, seed: int) -> int:
    warnings.simplefilter("ignore")
    data = table(0)
    end, tried, found = time.monotonic() + seconds, 0, {}
    for text in texts(seed):
        if time.monotonic() > end:
            break
        tried += 1
        problem = finding(text, data, data)
        if problem and problem[:40] not in found:
            found[problem[:40]] = text
            print(f"{text!r}\n    {problem}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{tried} texts, {len(found)} kinds of findings, peak memory {peak:.0f} MB")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
