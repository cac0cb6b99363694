"""contrasts= may be matrices: what they mean, what is refused, and R's columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.display.recipes import python_code, r_code
from formula_neuro.errors import DataError

SUMS = [[1, 0], [0, 1], [-1, -1]]
NAMED = {"ends": [1, 0, -1], "middle": [1, -2, 1]}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 40
    frame = {"y": rng.normal(size=n), "x": rng.normal(size=n), "f": rng.choice(list("abc"), n)}
    return pd.DataFrame(frame | {"b": rng.integers(0, 2, n), "g": rng.integers(0, 5, n)})


def test_a_matrix_has_a_row_for_each_level(table):
    by_matrix = fn.model_matrix("y ~ x*f", table, contrasts={"f": SUMS})
    by_name = fn.model_matrix("y ~ x*f", table, contrasts={"f": "contr.sum"})
    assert by_matrix.names == by_name.names
    np.testing.assert_array_equal(by_matrix.matrix, by_name.matrix)


def test_a_matrix_with_few_columns_is_taken_as_it_is(table):
    assert fn.model_matrix("y ~ f", table, contrasts={"f": [[1], [0], [-1]]}).names == ("(Intercept)", "f1")


def test_a_list_of_numbers_is_completed_by_columns_at_right_angles(table):
    D = fn.model_matrix("~ f", table, contrasts={"f": [2, -1, -1]})
    levels = D.X.drop_duplicates().to_numpy()
    np.testing.assert_allclose(levels.T @ levels, np.diag([3, 6, 1]), atol=1e-14)  # rounding of three products


@pytest.mark.parametrize("given", [NAMED, pd.DataFrame(NAMED), pd.DataFrame(NAMED, index=list("abc"))])
def test_columns_with_names_name_the_coefficients(table, given):
    assert fn.model_matrix("y ~ f", table, contrasts={"f": given}).names == ("(Intercept)", "fends", "fmiddle")


def test_rows_named_by_levels_may_stand_in_any_order(table):
    shuffled = pd.DataFrame(NAMED, index=list("abc")).loc[["c", "a", "b"]]
    D, E = (fn.model_matrix("y ~ f", table, contrasts={"f": given}) for given in (shuffled, NAMED))
    np.testing.assert_array_equal(D.matrix, E.matrix)


def test_new_data_is_coded_by_the_matrix_of_training(table):
    m = fn.fit("y ~ x*f", table, contrasts={"f": SUMS})
    np.testing.assert_allclose(m.predict(table.iloc[[3, 1]]), m.predict().iloc[[3, 1]], rtol=1e-14)


def test_a_refit_keeps_the_matrix(table):
    m = fn.refit(fn.fit("y ~ f", table, contrasts={"f": NAMED}), ". ~ . + x")
    assert list(m.coef.index) == ["(Intercept)", "fends", "fmiddle", "x"]


def test_the_code_that_makes_a_fit_again_has_the_matrix(table, tmp_path):
    table.to_csv(tmp_path / "data.csv", index=False)
    for given in (SUMS, NAMED, [2, -1, -1]):
        m = fn.fit("y ~ f", table, contrasts={"f": given})
        names: dict = {}
        exec(python_code(m, str(tmp_path / "data.csv")), names)
        pd.testing.assert_series_equal(names["m"].coef, m.coef)
    assert "contrasts = list(f = cbind(ends = c(1, 0, -1), middle = c(1, -2, 1)))" in r_code(
        fn.fit("y ~ f", table, contrasts={"f": NAMED})
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("sum", "'sum' is not known; did you mean contr.sum?"),
        ([1, 0], r"f has 3 levels in the rows used \(a, b, c\), but its matrix has 2 rows"),
        ([[1, 0], [0, 1]], "its matrix has 2 rows"),
        ([1, "a", 2], "takes the name of a contrast, such as 'contr.sum', or finite numbers"),
        ([[1, 2], [3], [4]], "or finite numbers"),
        ([1, 0, np.inf], "or finite numbers"),
        (None, "got None"),
        (3, "got 3"),
        ({"u": [1, 2, 3], "v": [1, 2]}, "or finite numbers"),
        (pd.Series([1, 0, -1], index=list("abx")), "the rows of its matrix are named a, b, x"),
        ([1, 1, 1], "and a constant one, depend on one another"),
    ],
)
def test_what_is_no_contrast_is_refused(table, given, says):
    with pytest.raises(DataError, match=says):
        fn.model_matrix("y ~ f", table, contrasts={"f": given})


@pytest.mark.r
@pytest.mark.parametrize("given", [SUMS, NAMED, [[1], [0], [-1]], [2, -1, -1]])
@pytest.mark.parametrize(
    ("formula", "how"),
    [
        ("y ~ x*f", {}),
        ("b ~ f", {"family": "binomial", "estimator": "mean_br"}),
        ("y ~ f + (1 | g)", {}),
    ],
)
def test_fits_agree_with_r(table, given, formula, how):
    check = fn.crosscheck(fn.fit(formula, table, contrasts={"f": given}, **how))
    assert check.ok, str(check)
