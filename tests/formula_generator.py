"""Random formulas and tables, the same for the same seed: what R users write, and what the grammar allows beside."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

NUMBERS = ["x", "z", "k", "w.x", "`my var`", "größe", "gone", "log"]  # a column may bear a function's name
FACTORS = ["f", "s", "o", "wide", "flag", "`a b`", "lost", "B"]
GROUPS = ["g", "h", "f", "`a b`", "lost", "sparse", "g", "h"]
CALLS = [
    "I(x^2)", "I(x > 0)", "I(-x)", "I(x*(f == 'q'))", "I(`my var`/2 + 1)", "I(k %% 2)", "I(k%/%2)", "I(-x^2)",
    "I((x + z)*k)", "I(x > 0 & z < 9.5)", "I(!flag)", "I(f != \"p\")", "I(1e5*x)", "I(x - 0.00001)", "I(2L * k)",
    "log(k + 1)", "log(k+1, 2)", "log(k + 1, base = 10)", "log2(k + 1)", "log10(k+1)", "log1p(k)", "sqrt(abs(z))",
    "exp(-x/2)", "sin(2*pi*x/24)", "cos( 2 * pi * x / 24 )", "tan(x/9)", "floor(x)", "ceiling(z)", "sign(z)",
    "round(x)", "abs(x)", "expm1(x)", "pmin(x, 0)", "pmax(x, z)",
    "poly(x, 2)", "poly(z,3)", "poly(x, 2, raw=TRUE)", "poly(x, degree = 3, raw = TRUE)", "poly(k, 1)",
    "scale(x)", "scale(z, scale = FALSE)", "scale(gone)", "scale(x, center=FALSE, scale = 2)", "center(z)",
    "factor(k)", "as.factor(k)", "factor(s)", "factor(flag)", "factor(o)", "cbind(x, k)",
    "C(f, contr.sum)", "C(f, 'contr.helmert')", "C(s, contr.helmert)", "C(o, contr.treatment)", "C(`a b`, contr.SAS)",
    "C(wide, contr.poly)", "C(factor(k), contr.sum)", "relevel(f, ref = 'q')", "relevel(s, \"é\")",
    "relevel(factor(k), ref = '2')", "as.numeric(flag)",
    "ns(x, 3)", "ns(x, df = 2)", "bs(x)", "bs(x, df = 4)", "bs(z, df=5, degree = 2)", "ns(x, knots = c(-0.5, 0.5))",
    "cut(x, c(-9, -0.5, 0.5, 9))", "cut(z, c(-99, 10, 99), labels = c('low', 'high'))",
    "cut(x, c(-9, 0, 9), right=FALSE)", "ifelse(x > 0, x, 0)", "ifelse(f == 'p', 1, 2)", "interaction(f, `a b`)",
    "interaction(h, flag)", "ordered(k)", "is.na(gone)", "trunc(z)", "round(x, 1)", "atan(x)",
    "factor(f, levels = c('r', 'q', 'p'))", "factor(k, labels = c('a', 'b', 'c', 'd', 'e'))", "I(x - mean(x))",
    "C(f, c(1, 0, -1))", "C(f, cbind(a = c(2, -1, -1), b = c(0, 1, -1)))", "poly(x, deg = 2)", "ns(z, d = 3)",
    "scale(z, cen = FALSE)",
]  # fmt: skip
JOINTS = ["+", "+", "+", "+", "*", "*", ":", ":", "/", "-", "%in%"]


@dataclass(frozen=True)
class Case:
    """One formula on one table; `contrasts` as in R's contrasts.arg."""

    kind: str  # "fixed", "random", "new"
    table: int
    formula: str
    contrasts: dict[str, str] = field(default_factory=dict)


def table(seed: int, n: int = 60) -> pd.DataFrame:
    """Numbers, texts, ordered and unordered factors, logicals; missing values and levels that do not occur."""
    rng = np.random.default_rng(seed)
    draw = rng.choice
    normal = rng.standard_normal
    columns = {
        "y": normal(n),
        "x": normal(n).round(3),
        "z": normal(n) * 3 + 10,
        "k": np.append(rng.integers(0, 5, n - 5), range(5)),
        "w.x": normal(n),
        "my var": normal(n),
        "größe": normal(n) * 1e-3,
        "gone": np.where(rng.random(n) < 0.1, np.nan, normal(n)),
        "log": rng.random(n),
        "f": pd.Categorical(draw(list("pqr"), n), list("pqr")),
        "s": pd.Categorical(draw(["A b", 'c"d', "é"], n), ["A b", 'c"d', "é"]),
        "o": pd.Categorical(draw(["lo", "mid", "hi"], n), ["lo", "mid", "hi", "top"], ordered=True),
        "wide": pd.Categorical(draw(list("edcba"), n), list("edcba"), ordered=True),
        "flag": rng.random(n) < 0.5,
        "a b": pd.Categorical(draw(["i", "j"], n), ["i", "j"]),
        "lost": pd.Categorical(np.where(rng.random(n) < 0.1, None, draw(["u", "v", "w"], n)), ["t", "u", "v", "w"]),
        "B": pd.Categorical(draw(["a", "B", "A", "b"], n), ["A", "B", "a", "b"]),  # the order of code points
        "g": rng.integers(1, 12, n),
        "h": pd.Categorical(draw(list("mno"), n), list("mno")),
        "sparse": pd.Categorical(draw([f"s{i}" for i in range(20)], n), [f"s{i}" for i in range(25)]),
    }
    return pd.DataFrame(columns)


def new_table(trained: pd.DataFrame, seed: int, n: int = 12) -> pd.DataFrame:
    """Other rows for the columns of a table: numbers outside its range, missing values, subsets of the levels."""
    rng = np.random.default_rng(seed)
    found = table(seed + 1000, n)
    for name, column in found.items():
        if isinstance(trained[name].dtype, pd.CategoricalDtype):
            levels = [level for level in trained[name].cat.categories if (trained[name] == level).any()]
            some = rng.choice(levels, max(1, int(rng.integers(1, len(levels) + 1))), replace=False)
            found[name] = pd.Categorical(
                rng.choice(some, n), trained[name].cat.categories, ordered=trained[name].cat.ordered
            )
            found.loc[rng.random(n) < 0.08, name] = None
        elif column.dtype == float:
            found.loc[rng.random(n) < 0.08, name] = np.nan
    return found.drop(columns="y")


# ---- formulas ------------------------------------------------------------------------------------
def variable(rng: random.Random, calls: list[str]) -> str:
    kind = rng.random()
    return rng.choice(NUMBERS if kind < 0.3 else FACTORS if kind < 0.7 else calls)


def terms(rng: random.Random, depth: int, calls: list[str]) -> str:
    """A sum of terms, with brackets where a tighter operator needs them or at random."""
    if depth == 0 or rng.random() < 0.25:
        return variable(rng, calls)
    if rng.random() < 0.1:
        return f"({' + '.join(variable(rng, calls) for _ in range(rng.randint(2, 3)))})^{rng.randint(2, 3)}"
    joint = rng.choice(JOINTS)
    left, right = terms(rng, depth - 1, calls), terms(rng, depth - 1, calls)
    if joint not in "+-":
        left, right = (bracketed(side) if rng.random() < 0.7 else side for side in (left, right))
    return f"{left}{blank(rng)}{joint}{blank(rng) or ' '}{right}"


def bracketed(text: str) -> str:
    return f"({text})" if any(sign in text for sign in "+-*/:^% ") else text


def blank(rng: random.Random) -> str:
    return rng.choice(["", " ", " ", "  "])


def fixed(rng: random.Random, calls: list[str] | None = None) -> str:
    """A whole formula without bars."""
    known = CALLS if calls is None else calls
    right = terms(rng, rng.randint(0, 3), known)
    chance = rng.random()
    if chance < 0.12:
        right = f"0 + {right}"
    elif chance < 0.2:
        right = f"{right} - 1"
    elif chance < 0.25:
        right = f"-1 + {right}"
    elif chance < 0.3:
        right = f"1 + {right}"
    elif chance < 0.33:
        return f"{rng.choice(['y', 'I(y^2)'])} ~ . - {variable(rng, NUMBERS + FACTORS)}"  # log(k) ~ . loses column log
    if rng.random() < 0.08:
        right += f" + offset({rng.choice(['x', 'log(k + 1)', '2*z', 'gone'])})"
    if rng.random() < 0.02:
        right = rng.choice(["1", "0", "x - x", "0 + x - x", "f - 1", "1 + 1", "x + x"])
    return f"{rng.choice(['y', 'y', 'y', 'log(k + 1)', 'I(y^2)'])}{blank(rng)}~{blank(rng)}{right}"


def bar(rng: random.Random) -> str:
    """One random term."""
    chance = rng.random()
    if chance < 0.35:
        left = "1"
    elif chance < 0.6:
        left = variable(rng, ["I(x^2)", "poly(x, 2)", "scale(z)", "log(k + 1)", "C(f, contr.sum)"])
    elif chance < 0.7:
        left = "0 + " + variable(rng, ["factor(k)", "I(x > 0)"])
    elif chance < 0.75:
        left = variable(rng, ["x"]) + " - 1"
    else:
        left = f"{variable(rng, ['x'])} {rng.choice('+*:/')} {variable(rng, ['z'])}"
    first, second, third = rng.sample(GROUPS[:6], 3)
    group = rng.choice([first] * 4 + [f"{first}:{second}", f"{first}/{second}", f"{first}/{second}/{third}"])
    return f"({left}{blank(rng)}{'||' if rng.random() < 0.15 else '|'}{blank(rng)}{group})"


def mixed(rng: random.Random) -> str:
    """A whole formula with one to three random terms, in front of the fixed part, within or behind it."""
    bars = [bar(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    sums = [terms(rng, rng.randint(0, 2), CALLS) for _ in range(rng.randint(0, 2))]
    if rng.random() < 0.15:
        sums.insert(0, "0")
    pieces = sums + bars
    if rng.random() < 0.3:
        rng.shuffle(pieces)
    return "y ~ " + " + ".join(pieces)


def contrasts(rng: random.Random, formula: str) -> dict[str, str]:
    """contrasts= for one of the factors that the formula names, now and then."""
    named = [name for name in ("f", "wide", "B") if name in formula.partition("~")[2].replace("(", " ").split()]
    if not named or rng.random() < 0.5:
        return {}
    return {rng.choice(named): rng.choice(["contr.sum", "contr.helmert", "contr.treatment", "contr.poly"])}


def cases(seed: int, counts: dict[str, int], tables: int) -> list[Case]:
    """`counts` formulas of each kind on tables 0, 1, ..."""
    rng = random.Random(seed)
    found = []
    for kind, count in counts.items():
        for _ in range(count):
            formula = mixed(rng) if kind == "random" else fixed(rng)
            asked = {} if kind == "random" else contrasts(rng, formula)
            found.append(Case(kind, rng.randrange(tables), formula, asked))
    return found
