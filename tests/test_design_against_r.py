"""Designs equal R's model.matrix and lme4's Z: names, order, values and rows, from one run of R."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r

FIXED = [
    "y ~ 1",
    "y ~ 0 + x",
    "y ~ -1 + f",
    "y ~ x + f",
    "y ~ x*f",
    "y ~ f*x",
    "y ~ x + f:x",
    "y ~ f:s",
    "y ~ f + f:s",
    "y ~ 0 + f + s",
    "y ~ 0 + x + f*s",
    "y ~ f/s",
    "y ~ f/x",
    "y ~ (f + s)/x",
    "y ~ (f + s + x)^2",
    "y ~ (f + s + h)^3 - f:s:h",
    "y ~ f*s*h",
    "y ~ x*z - x",
    "y ~ o",
    "y ~ 0 + o",
    "y ~ o*x + flag",
    "y ~ flag*f",
    "y ~ 0 + flag",
    "y ~ I(x^2) + I(x > 0) + log(k + 1)",
    "y ~ log(k + 1, 2) + sqrt(abs(x)) + exp(-x/2)",
    "y ~ poly(x, 3)",
    "y ~ poly(x, 2, raw = TRUE) + f",
    "y ~ poly(x,2):f",
    "y ~ scale(x) + scale(z, scale = FALSE)",
    "y ~ factor(k)",
    "y ~ factor(g)*x",
    "y ~ C(f, contr.sum) + C(s, contr.helmert)",
    "y ~ C(f, contr.sum):x",
    "y ~ relevel(f, ref = 'q')",
    "y ~ `my var` + `a b`",
    "y ~ `my var`:`a b`",
    "y ~ x + `a b`*f",
    "y ~ sin(2*pi0*x/24) + cos(2 * pi0 * x / 24)",
    "y ~ s",
    "y ~ I(x*(f == 'q'))",
    "y ~ x %in% f",
    "y ~ x + gone",
    "log(k + 1) ~ x",
    "y ~ cbind(x, k)",
    "y ~ pmin(x, 0) + pmax(x, z)",
    "y ~ offset(log(k + 1)) + x",
    "y ~ 1 + x + x",
    "y ~ z:x + x",
    "y ~ f:x + x:f + f",
]
RANDOM = [
    "y ~ x + (1|g)",
    "y ~ x + (x|g)",
    "y ~ x + (0 + x|g)",
    "y ~ x + (f|g)",
    "y ~ x + (0 + f|g)",
    "y ~ x + (x||g)",
    "y ~ x + (1|h/f)",
    "y ~ x + (1|h:f)",
    "y ~ x + (1|f:h)",
    "y ~ x + (1|g) + (1|h)",
    "y ~ x + (1|h) + (1|g)",
    "y ~ x + (1|f) + (1|h) + (1|s)",
    "y ~ x + (x|f/h)",
    "y ~ x + (1|f/h/s)",
    "y ~ f + (x + z|h) + (1|g)",
    "y ~ x + (1 + o|h)",
    "y ~ x + (x*h|g)",
    "y ~ x + gone + (x|g)",
    "y ~ x + (poly(x, 2)|h)",
]


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 90
    draw = rng.choice
    table = pd.DataFrame(
        {
            "y": rng.standard_normal(n),
            "x": rng.standard_normal(n),
            "z": rng.standard_normal(n),
            "k": rng.integers(0, 4, n),
            "f": draw(list("pqr"), n),
            "s": draw(["A b", 'c"d', "é"], n),
            "o": pd.Categorical(draw(["lo", "mid", "hi"], n), ["lo", "mid", "hi", "top"], ordered=True),
            "g": rng.integers(1, 7, n),
            "h": draw(["u", "v"], n),
            "flag": rng.random(n) < 0.5,
            "my var": rng.standard_normal(n),
            "a b": draw(["i", "j"], n),
            "gone": np.where(rng.random(n) < 0.1, np.nan, rng.standard_normal(n)),
            "pi0": 3.0,
        }
    )
    return table


@dataclass(frozen=True)
class FromR:
    names: list[str]
    X: np.ndarray
    cnms: list[str]
    Z: np.ndarray | None


@pytest.fixture(scope="module")
def from_r(tmp_path_factory) -> dict[str, FromR]:
    folder = tmp_path_factory.mktemp("matrices")
    formulas = FIXED + RANDOM
    frame().to_csv(folder / "frame.csv", index=False, float_format="%.17g")
    (folder / "formulas.txt").write_text("\n".join(formulas) + "\n", encoding="utf-8")
    script = Path(__file__).with_name("model_matrices.R")
    subprocess.run(["Rscript", "--vanilla", script, folder], check=True, capture_output=True, timeout=120)
    return {formula: _read(folder / str(i + 1)) for i, formula in enumerate(formulas)}


def _read(stem: Path) -> FromR:
    names = stem.with_suffix(".names").read_text(encoding="utf-8").splitlines()
    X = np.fromfile(stem.with_suffix(".X"))
    X = X.reshape(-1, len(names), order="F")
    if not stem.with_suffix(".Z").exists():
        return FromR(names, X, [], None)
    cnms = stem.with_suffix(".cnms").read_text(encoding="utf-8").splitlines()
    return FromR(names, X, cnms, np.fromfile(stem.with_suffix(".Z")).reshape(len(X), -1, order="F"))


@pytest.mark.parametrize("formula", FIXED + RANDOM)
def test_fixed_columns_equal_model_matrix(from_r, formula):
    D, reference = fn.model_matrix(formula, frame()), from_r[formula]
    assert list(D.names) == reference.names
    # polynomials and scaling sum in another order than R: a few units in the last place of numbers near 1
    np.testing.assert_allclose(D.matrix, reference.X, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("formula", RANDOM)
def test_random_columns_equal_lme4s(from_r, formula):
    D, reference = fn.model_matrix(formula, frame()), from_r[formula]
    assert [f"{term.group} {column}" for term in D.random for column in term.columns] == reference.cnms
    Z = np.hstack([term.Z.toarray() for term in D.random])
    np.testing.assert_allclose(Z, reference.Z, rtol=1e-11, atol=1e-12)


def test_an_intercept_taken_away_after_a_bar_stays_away():
    """lme4 1.1-31 loses the sign when it removes the bar of `(1|g) - 1` and fits an intercept; we do as written."""
    assert fn.model_matrix("y ~ (1|g) - 1 + x", frame()).names == ("x",)


def test_new_data_gets_the_same_columns():
    formula = "y ~ poly(x, 2)*f + scale(z) + o + flag + (x|g) + (1|h/f)"
    table = frame()
    D = fn.model_matrix(formula, table)
    part = D.apply(table.iloc[40:55].drop(columns="y"))
    np.testing.assert_array_equal(part.matrix, D.matrix[40:55])
    for one, other in zip(part.random, D.random, strict=True):
        np.testing.assert_array_equal(one.codes, other.codes[40:55])
        np.testing.assert_array_equal(one.basis, other.basis[40:55])
