"""From a table to matrices: kinds of columns, rows, levels, and the same columns again for new data."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.columns.coding import contrasts
from formula_neuro.data.values import Categorical, Contrast
from formula_neuro.errors import DataError, FormulaError, NewLevels

N = 12


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": rng.normal(size=N),
            "k": np.arange(N) % 3,
            "f": list("abc") * 4,
            "g": np.repeat([30, 4, 100000], 4),
            "h": list("uv") * 6,
            "flag": [True, False, False] * 4,
        }
    )


def names(formula: str, table: pd.DataFrame, **options) -> list[str]:
    return list(fn.model_matrix(formula, table, **options).names)


# ---- what a column is ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("column", "columns"),
    [
        (pd.Series([1, 2, 3]), ["v"]),
        (pd.Series([1.5, 2, 3], dtype="float32"), ["v"]),
        (pd.Series([1, 2, 3], dtype="uint8"), ["v"]),
        (pd.Series([1, 2, 3], dtype="Int64"), ["v"]),
        (pd.Series([1.5, 2, 3], dtype="Float64"), ["v"]),
        (pd.Series([1, 2, 3], dtype=object), ["v"]),
        (pd.Series(["b", "a", "b"]), ["vb"]),
        (pd.Series(["b", "a", "b"], dtype=object), ["vb"]),
        (pd.Series(["b", "a", "b"], dtype="string"), ["vb"]),
        (pd.Series(["B", "a", "_"]), ["v_", "va"]),
        (pd.Series(["1", "2", "10"]), ["v10", "v2"]),
        (pd.Series(["z", "b", "z"], dtype=pd.CategoricalDtype(["z", "b"])), ["vb"]),
        (pd.Series([10, 9, 10], dtype=pd.CategoricalDtype([10, 9])), ["v9"]),
        (pd.Series([0.5, 2, 2], dtype="category"), ["v2"]),
        (pd.Series([True, False, True]), ["vTRUE"]),
        (pd.Series([True, False, True], dtype="boolean"), ["vTRUE"]),
        (pd.Series([True, False, True], dtype=object), ["vTRUE"]),
        (pd.Series([True, False, True], dtype="category"), ["vTRUE"]),
        (pd.Series(["lo", "hi", "lo"], dtype=pd.CategoricalDtype(["lo", "hi"], ordered=True)), ["v.L"]),
        (pd.Series(["a b", 'c"d', "ß:é"]), ['vc"d', "vß:é"]),
    ],
    ids=lambda value: f"{value.dtype} {value.tolist()}" if isinstance(value, pd.Series) else "",
)
def test_the_kind_of_a_column_decides_its_columns(column, columns):
    assert names("y ~ v", pd.DataFrame({"y": [1.0, 2, 4], "v": column})) == ["(Intercept)", *columns]


def test_decimals_are_numbers():
    from decimal import Decimal

    D = fn.model_matrix("y ~ x", {"y": [1.0, 2, 3], "x": [Decimal("0.5"), Decimal(2), Decimal(3)]})
    assert D.matrix[:, 1].tolist() == [0.5, 2, 3]


def test_the_matrix_is_of_doubles_whatever_the_columns(table):
    D = fn.model_matrix("y ~ k + flag + f", table.astype({"k": "int8"}))
    assert D.matrix.dtype == float
    assert D.y.dtype == float


def test_numbers_group_in_numeric_order_and_keep_their_digits(table):
    assert fn.model_matrix("y ~ x + (1|g)", table).random[0].levels == ("4", "30", "100000")


def test_whole_numbers_read_as_floats_are_named_as_integers(table):
    table["g"] = table["g"].astype(float).where(table.index > 0)
    assert fn.model_matrix("y ~ x + (1|g)", table).random[0].levels == ("4", "30", "100000")


def test_fractions_are_named_as_r_prints_doubles():
    D = fn.model_matrix("y ~ factor(v)", {"y": [1.0, 2, 3], "v": [0.1 + 0.2, 0.5, 1e-5]})
    assert D.names == ("(Intercept)", "factor(v)0.3", "factor(v)0.5")


# ---- rows and levels -------------------------------------------------------------------------------
def gap(table: pd.DataFrame, column: str, row: int) -> pd.DataFrame:
    return table.assign(**{column: table[column].astype(object).where(np.arange(len(table)) != row)})


@pytest.mark.parametrize(
    ("column", "formula", "named"),
    [
        ("y", "y ~ x", "y"),
        ("x", "y ~ x", "x"),
        ("f", "y ~ x + f", "f"),
        ("flag", "y ~ x*flag", "flag"),
        ("g", "y ~ x + (1|g)", "g"),
        ("x", "y ~ f + (x|g)", "x"),
        ("h", "y ~ x + (1|g/h)", "h"),
        ("k", "y ~ x + offset(k)", "k"),
        ("x", "y ~ poly(x, 2)", "poly(x, 2)"),
        ("x", "log(x + 9) ~ f", "log(x + 9)"),
        ("x", "y ~ scale(x)", "scale(x)"),
        ("f", "y ~ relevel(f, ref = 'b')", 'relevel(f, ref = "b")'),
    ],
)
def test_a_row_without_a_value_in_any_variable_goes_and_is_told(table, column, formula, named):
    D = fn.model_matrix(formula, gap(table, column, 3))
    assert D.rows.tolist() == [i for i in range(N) if i != 3]
    assert D.dropped == ((named, 1),)
    assert f"1 of {N} rows dropped for missing values ({named}: 1)" in D.messages


@pytest.mark.parametrize(("option", "value"), [("weights", "k2"), ("offset", "k2"), ("offset", "log(k2)")])
def test_a_row_without_weight_or_offset_goes_too(table, option, value):
    D = fn.model_matrix("y ~ x", gap(table.assign(k2=1.0), "k2", 5), **{option: value})
    assert D.rows.tolist() == [i for i in range(N) if i != 5]
    assert D.dropped == ((f"{option}=", 1),)


def test_each_column_is_counted_and_each_row_once(table):
    D = fn.model_matrix("y ~ x + k", gap(gap(gap(table, "x", 1), "k", 1), "k", 2))
    assert D.dropped == (("x", 1), ("k", 2))
    assert D.messages[0] == "2 of 12 rows dropped for missing values (x: 1, k: 2)"


def test_missing_values_of_other_columns_do_not_matter(table):
    assert len(fn.model_matrix("y ~ x", gap(table, "k", 1)).rows) == N


def test_the_logarithm_of_a_negative_number_is_missing(table):
    D = fn.model_matrix("y ~ log(x)", table)
    assert D.rows.tolist() == np.flatnonzero(table["x"] > 0).tolist()


def test_levels_are_those_of_the_rows_left(table):
    table["f"] = ["z", *table["f"][1:]]
    assert names("y ~ f + x", table) == ["(Intercept)", "fb", "fc", "fz", "x"]
    assert names("y ~ f + x", gap(table, "x", 0)) == ["(Intercept)", "fb", "fc", "x"]


def test_declared_levels_that_do_not_occur_are_dropped_and_told(table):
    table["f"] = pd.Categorical(table["f"], ["c", "none", "a", "b"])
    D = fn.model_matrix("y ~ f", table)
    assert D.names == ("(Intercept)", "fa", "fb")
    assert "f: levels that do not occur in the rows used are dropped (none)" in D.messages


def test_constants_are_learnt_from_the_whole_table(table):
    """As in R, where scale(x) is computed before rows are dropped for another column."""
    D = fn.model_matrix("y ~ scale(x) + k", gap(table, "k", 0))
    expected = (table["x"] - table["x"].mean()) / table["x"].std()
    np.testing.assert_allclose(D.X["scale(x)"], expected[1:], rtol=1e-13)


def test_a_scaled_column_skips_its_missing_values(table):
    D = fn.model_matrix("y ~ scale(x)", gap(table, "x", 0))
    np.testing.assert_allclose([D.matrix[:, 1].mean(), D.matrix[:, 1].std(ddof=1)], [0, 1], atol=1e-14)


def test_na_action_fail_refuses_missing_values(table):
    with pytest.raises(DataError, match=r"na_action='fail': values are missing in 1 rows \(x: 1\)"):
        fn.model_matrix("y ~ x", gap(table, "x", 0), na_action="fail")
    assert len(fn.model_matrix("y ~ x", table, na_action="fail").rows) == N


def test_a_repeated_row_index_is_kept_as_labels(table):
    table.index = ["a", "b"] * 6
    D = fn.model_matrix("y ~ x + f", gap(table, "x", 0))
    assert D.X.index.tolist() == table.index[1:].tolist()
    assert D.rows.tolist() == list(range(1, N))


@pytest.mark.parametrize("subset", ["x > 0", "x > 0 & x > -1", "!(x <= 0)"])
def test_a_subset_is_an_expression(table, subset):
    assert fn.model_matrix("y ~ f", table, subset=subset).rows.tolist() == np.flatnonzero(table["x"] > 0).tolist()


def test_a_subset_compares_levels(table):
    assert fn.model_matrix("y ~ x", table, subset="f == 'b'").rows.tolist() == [1, 4, 7, 10]
    assert fn.model_matrix("y ~ x", table, subset="f %in% c('a', 'c')").rows.tolist() == [0, 2, 3, 5, 6, 8, 9, 11]
    assert fn.model_matrix("y ~ x", table, subset="flag").rows.tolist() == [0, 3, 6, 9]


def test_a_subset_is_an_array(table):
    chosen = np.arange(N) % 2 == 0
    for given in (chosen, chosen.tolist(), pd.Series(chosen)):
        assert fn.model_matrix("y ~ x", table, subset=given).rows.tolist() == [0, 2, 4, 6, 8, 10]


def test_a_missing_subset_leaves_the_row_out(table):
    D = fn.model_matrix("y ~ f", gap(table, "x", 0), subset="x > -100")
    assert D.rows.tolist() == list(range(1, N))


def test_missing_values_inside_a_subset_are_told(table):
    D = fn.model_matrix("y ~ x", gap(gap(table, "x", 0), "x", 11), subset="k == 0")
    assert D.messages == ("1 of 4 rows dropped for missing values (x: 1)",)


def test_levels_outside_the_subset_are_gone(table):
    assert names("y ~ f", table, subset="f != 'a'") == ["(Intercept)", "fc"]


# ---- weights, offsets, contrasts -------------------------------------------------------------------
@pytest.mark.parametrize("option", ["weights", "offset"])
def test_weights_and_offset_are_a_column_an_expression_or_an_array(table, option):
    w = table["x"].abs().to_numpy()
    for given in ("a", "abs(x)", "a + 0*k", w, w.tolist(), pd.Series(w)):
        D = fn.model_matrix("y ~ f", table.assign(a=w), **{option: given})
        np.testing.assert_allclose(getattr(D, option), w, rtol=1e-15)


def test_a_column_with_a_strange_name_is_a_weight(table):
    D = fn.model_matrix("y ~ f", table.assign(**{"my w": 2.0, "x*k": 3.0}), weights="my w", offset="x*k")
    assert D.weights.tolist() == [2.0] * N
    assert D.offset.tolist() == [3.0] * N


def test_offsets_of_formula_and_argument_add_up(table):
    D = fn.model_matrix("y ~ f + offset(k) + offset(2*k)", table, offset="x")
    np.testing.assert_allclose(D.offset, 3 * table["k"] + table["x"], rtol=1e-15)


def test_weights_follow_the_rows_kept(table):
    D = fn.model_matrix("y ~ x", gap(table, "x", 0), weights=np.arange(N))
    assert D.weights.tolist() == list(range(1, N))


def test_a_series_with_other_row_labels_is_refused(table):
    w = pd.Series(np.ones(N), index=range(1, N + 1))
    for option in ("weights", "offset"):
        with pytest.raises(DataError, match="other row labels than the data"):
            fn.model_matrix("y ~ x", table, **{option: w})
    with pytest.raises(DataError, match="other row labels than the data"):
        fn.model_matrix("y ~ x", table, subset=w > 0)


def test_a_series_with_the_datas_row_labels_is_taken(table):
    part = table.iloc[3:]
    assert fn.model_matrix("y ~ x", part, weights=part["x"].abs()).weights.tolist() == part["x"].abs().tolist()


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("contr.treatment", ["fb", "fc"]),
        ("contr.SAS", ["fa", "fb"]),
        ("contr.sum", ["f1", "f2"]),
        ("contr.helmert", ["f1", "f2"]),
        ("contr.poly", ["f.L", "f.Q"]),
    ],
)
def test_contrasts_are_asked_for_by_name(table, kind, columns):
    D = fn.model_matrix("y ~ f", table, contrasts={"f": kind})
    assert D.names == ("(Intercept)", *columns)
    np.testing.assert_array_equal(
        D.matrix[:3, 1:], contrasts(Categorical(np.arange(3), tuple("abc")), Contrast(kind)).matrix
    )


@pytest.mark.parametrize("kind", ["contr.sum", "contr.helmert", "contr.poly"])
def test_other_contrasts_sum_to_zero(kind):
    matrix = contrasts(Categorical(np.arange(5), tuple("abcde")), Contrast(kind)).matrix
    np.testing.assert_allclose(matrix.sum(axis=0), 0, atol=1e-15)


def test_contrasts_reach_interactions_and_random_terms(table):
    D = fn.model_matrix("y ~ f:x + f + (f|h)", table, contrasts={"f": "contr.sum"})
    assert D.names == ("(Intercept)", "f1", "f2", "fa:x", "fb:x", "fc:x")
    assert D.random[0].columns == ("(Intercept)", "f1", "f2")


def test_contrasts_name_a_call_by_its_label(table):
    assert names("y ~ factor(k)", table, contrasts={"factor(k)": "contr.sum"}) == [
        "(Intercept)", "factor(k)1", "factor(k)2",
    ]  # fmt: skip


# ---- names -----------------------------------------------------------------------------------------
def test_columns_may_have_the_names_of_functions(table):
    table = table.assign(log=np.arange(1.0, N + 1), C=1.0, I=table["x"], factor=table["f"], c=2.0, offset=3.0)
    assert names("y ~ log(log) + I(I^2) + C(factor, contr.sum) + offset(offset)", table) == [
        "(Intercept)", "log(log)", "I(I^2)", "C(factor, contr.sum)1", "C(factor, contr.sum)2",
    ]  # fmt: skip


def test_columns_may_have_the_names_of_constants(table):
    table = table.assign(**{"TRUE": table["x"], "pi": table["x"], "1": table["x"]})
    assert names("y ~ `TRUE`", table) == ["(Intercept)", "`TRUE`"]
    assert names("y ~ `1`", table) == ["(Intercept)", "`1`"]
    assert fn.model_matrix("y ~ pi", table).matrix[:, 1].tolist() == table["x"].tolist()


def test_pi_is_known_where_no_column_is_called_so(table):
    D = fn.model_matrix("y ~ I(pi*x)", table)
    np.testing.assert_allclose(D.matrix[:, 1], np.pi * table["x"], rtol=1e-15)


def test_names_with_blanks_umlauts_and_operators(table):
    table = table.assign(**{"my x": table["x"], "größe": table["x"], "a+b": table["f"]})
    assert names("y ~ `my x` + größe + `a+b`", table) == ["(Intercept)", "`my x`", "größe", "`a+b`b", "`a+b`c"]


def test_numbers_may_be_column_names(table):
    assert names("y ~ `7`", table.rename(columns={"x": 7})) == ["(Intercept)", "`7`"]


def test_a_dot_leaves_out_response_and_groups(table):
    assert names("y ~ . + (1|g)", table.drop(columns=["flag", "h"])) == ["(Intercept)", "x", "k", "fb", "fc"]


def test_a_column_taken_out_again_needs_no_levels(table):
    assert names("y ~ . - one", table[["y", "x"]].assign(one="a")) == ["(Intercept)", "x"]


# ---- random terms ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("formula", "groups"),
    [
        ("y ~ (1|h) + (1|g)", ["g", "h"]),
        ("y ~ (1|g) + (1|h)", ["g", "h"]),
        ("y ~ (1|h) + (1|f) + (1|g)", ["g", "f", "h"]),  # f and g tie: the order is reversed
        ("y ~ (1|f) + (1|g)", ["f", "g"]),  # they never increase: as written
        ("y ~ (1|g/h)", ["h:g", "g"]),
        ("y ~ (x||g)", ["g", "g"]),
    ],
)
def test_random_terms_stand_in_lme4s_order(table, formula, groups):
    assert [term.group for term in fn.model_matrix(formula, table).random] == groups


def test_crossed_levels_are_those_observed(table):
    table["h"] = np.where(table["g"] == 4, "u", table["h"])
    term = fn.model_matrix("y ~ (1|h:g)", table).random[0]
    assert term.levels == ("u:4", "u:30", "u:100000", "v:30", "v:100000")
    assert [term.levels[c] for c in term.codes] == [f"{h}:{g}" for h, g in zip(table["h"], table["g"], strict=True)]


def test_z_has_a_column_for_each_level_and_effect(table):
    term = fn.model_matrix("y ~ (x|f)", table).random[0]
    Z = term.Z.toarray()
    assert Z.shape == (N, 6)
    for row, (level, x) in enumerate(zip(table["f"], table["x"], strict=True)):
        expected = np.zeros(6)
        expected[2 * "abc".index(level) : 2 * "abc".index(level) + 2] = [1, x]
        assert Z[row].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("y ~ g + (1|g)", "g enters the fixed part as a number and groups a random term as a factor"),
        ("y ~ (1|x)", "x: fractional numbers are used as the levels of a group"),
        ("y ~ (f||g)", r"\(f \|\| g\) does not split a factor's columns"),
        ("y ~ (1|g) + (x|g)", r"\(Intercept\) varies by g in more than one random term"),
        ("y ~ (0 + x|g)", "the slope of x varies by g, but the intercept does not"),
        ("y ~ x + (y|g)", "y stands on both sides of the '~'"),
        ("y ~ x + log(y + 9)", "y stands on both sides of the '~'"),
        ("log(y + 9) ~ x + offset(y)", "y stands on both sides of the '~'"),
        ("y ~ (1|h)", "h has 2 levels: a variance between fewer than 5 is poorly known"),
        ("y ~ y + x", "y is the response, so it was left out right of the '~', as in R"),
    ],
)
def test_what_is_odd_about_a_formula_is_told(table, formula, says):
    assert any(re.search(says, message) for message in fn.model_matrix(formula, table).messages)


def test_a_response_in_an_interaction_is_not_said_to_be_left_out(table):
    messages = fn.model_matrix("y ~ x + x:y", table).messages
    assert messages == ("y stands on both sides of the '~', so it explains itself",)


@pytest.mark.parametrize(
    "formula",
    ["y ~ x*f", "y - x ~ x", "y ~ (x|g)", "y ~ (1|g) + (0 + x|g)", "y ~ (0 + f|g)", "y ~ (1|g/h)"],
)
def test_what_is_common_is_not_remarked_on(table, formula):
    assert [
        message for message in fn.model_matrix(formula, table).messages if "levels: a variance" not in message
    ] == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["1.5", "2", "3e4", "x"], "look like numbers"),
        (["1,5", "2,5", "3,5", "4,5"], "look like numbers"),
        (["2020-01-02", "2020-01-03", "2020-02-01", "2021-01-01"], "look like dates"),
        (["1/2/2020", "2/2/2020", "3/2/2020", "4/2/2020"], "look like dates"),
    ],
)
def test_texts_that_look_misread_are_told(values, says):
    data = {"y": np.arange(8.0), "v": values * 2}
    assert any(says in message for message in fn.model_matrix("y ~ v", data).messages)
    assert not any(says in message for message in fn.model_matrix("y ~ (1|v)", data).messages)


# ---- the value -------------------------------------------------------------------------------------
def test_a_design_holds_the_raw_columns_of_its_rows(table):
    D = fn.model_matrix("log(x + 9) ~ f + (1|g)", gap(table, "f", 0))
    assert list(D.data.columns) == ["x", "f", "g"]
    assert D.data["g"].tolist() == table["g"].tolist()[1:]


def test_terms_know_their_columns(table):
    D = fn.model_matrix("y ~ x*f + poly(k, 2)", table)
    assert [(t.name, t.variables, t.stop - t.start) for t in D.terms] == [
        ("(Intercept)", (), 1),
        ("x", ("x",), 1),
        ("f", ("f",), 2),
        ("poly(k, 2)", ("poly(k, 2)",), 2),
        ("x:f", ("x", "f"), 2),
    ]
    assert D.terms[-1].stop == len(D.names)


def test_a_response_may_be_a_factor(table):
    D = fn.model_matrix("h ~ x", table)
    assert D.y_levels == ("u", "v")
    assert D.y.tolist() == [0.0, 1.0] * 6


def test_a_response_may_have_two_columns(table):
    assert fn.model_matrix("cbind(k, 3 - k) ~ x", table).y.tolist() == [[0, 3], [1, 2], [2, 1]] * 4


def test_inputs_are_not_changed(table):
    before, weights = table.copy(deep=True), np.ones(N)
    D = fn.model_matrix("y ~ scale(x)*f + (x|g)", table, weights=weights, offset="k", subset="x > -10")
    weights[:] = 7
    pd.testing.assert_frame_equal(table, before)
    assert D.weights.tolist() == [1.0] * N


def test_a_design_is_not_changed_with_the_table(table):
    D = fn.model_matrix("y ~ x + (x|g)", table)
    y, x = D.y.copy(), D.matrix[:, 1].copy()
    table.loc[:, ["y", "x"]] = 0.0
    assert D.y.tolist() == y.tolist()
    assert D.matrix[:, 1].tolist() == x.tolist()
    assert D.data["x"].tolist() == x.tolist()


def test_a_design_survives_pickling(table):
    D = fn.model_matrix("y ~ poly(x, 2)*f + offset(k) + (x|g/h)", table, weights="k + 1", contrasts={"f": "contr.sum"})
    again = pickle.loads(pickle.dumps(D))
    np.testing.assert_array_equal(again.matrix, D.matrix)
    np.testing.assert_array_equal(again.apply(table).matrix, D.matrix)
    assert (again.names, again.formula, again.random[0].levels) == (D.names, D.formula, D.random[0].levels)


# ---- new data --------------------------------------------------------------------------------------
ROUND_TRIPS = [
    "y ~ x*f + flag",
    "y ~ 0 + f:h + I(x^2) + log(k + 1)",
    "y ~ poly(x, 3) + scale(k) + center(x):f",
    "y ~ C(f, contr.helmert)*x + relevel(h, ref = 'v')",
    "y ~ factor(k) + pmax(x, 0) + offset(x)",
    "y ~ o*x + (1|g)",
    "y ~ x + (x*f|g) + (0 + scale(x)|h) + (1|f:h)",
    "scale(y) ~ x",
    "y ~ I(f == 'b') + I(h != 'u')*x + I(f %in% c('a', 'b'))",
    "y ~ relevel(factor(k), ref = 2)",
]


@pytest.mark.parametrize("formula", ROUND_TRIPS)
def test_single_rows_get_the_columns_of_training(table, formula):
    table["o"] = pd.Categorical(table["f"], ["c", "a", "b"], ordered=True)
    D = fn.model_matrix(formula, table, contrasts={"o": "contr.SAS"} if "o*" in formula else None)
    for row in range(N):
        part = D.apply(table.iloc[[row]].astype({"o": str}).drop(columns="y"))
        np.testing.assert_array_equal(part.matrix[0], D.matrix[row])
        assert part.offset[0] == D.offset[row]
        for new, old in zip(part.random, D.random, strict=True):
            assert new.codes[0] == old.codes[row]
            np.testing.assert_array_equal(new.basis[0], old.basis[row])


def test_new_data_keeps_all_its_rows_and_labels(table):
    new = gap(table, "x", 1).set_axis(list("abcdefghijkl"))
    part = fn.model_matrix("y ~ x + f", table).apply(new)
    assert part.X.index.tolist() == list("abcdefghijkl")
    assert np.isnan(part.X["x"]).tolist() == [i == 1 for i in range(N)]


@pytest.mark.parametrize("column", ["x", "f", "flag"])
def test_a_missing_covariate_makes_its_row_nan(table, column):
    D = fn.model_matrix("y ~ x + f + flag", table)
    part = D.apply(gap(table, column, 2))
    assert np.isnan(part.matrix).any(axis=1).tolist() == [i == 2 for i in range(N)]


def test_a_factor_without_any_value_makes_all_rows_nan(table):
    D = fn.model_matrix("y ~ x + f", table)
    assert np.isnan(D.apply(table.assign(f=None)).matrix[:, 2:]).all()


def test_a_new_level_of_a_fixed_factor_is_refused(table):
    D = fn.model_matrix("y ~ x + f", table)
    with pytest.raises(NewLevels, match=r"f: q did not occur when the model was fitted \(known: a, b, c\); drop"):
        D.apply(table.assign(f="q"))


def test_a_new_level_of_a_random_slope_is_refused(table):
    D = fn.model_matrix("y ~ x + (f|g)", table)
    with pytest.raises(NewLevels, match="f: q did not occur"):
        D.apply(table.assign(f="q"))


def test_a_new_missing_or_unobserved_group_has_code_minus_1(table):
    table["h"] = np.where(table["g"] == 4, "u", table["h"])
    D = fn.model_matrix("y ~ x + (1|h:g) + (1|g)", table)
    new = pd.DataFrame({"x": 0.0, "h": ["u", "v", "u", None, "z", "u"], "g": [4, 4, 5, 4, 4, None]})
    crossed, plain = D.apply(new).random
    assert [crossed.group, plain.group] == ["h:g", "g"]
    assert crossed.codes.tolist() == [crossed.levels.index("u:4"), -1, -1, -1, -1, -1]
    assert plain.codes.tolist() == [0, 0, -1, 0, 0, -1]
    assert D.apply(new).random[0].Z.toarray().sum(axis=1).tolist() == [1, 0, 0, 0, 0, 0]


def test_groups_read_as_text_are_the_same_groups(table):
    D = fn.model_matrix("y ~ x + (1|g)", table)
    assert D.apply(table.astype({"g": str})).random[0].codes.tolist() == D.random[0].codes.tolist()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x": "a"}, "x was numbers when the model was fitted and is a factor now"),
        ({"f": 1.0}, "f was a factor when the model was fitted and is numbers now"),
        ({"flag": 1}, "flag was a factor when the model was fitted and is numbers now"),
    ],
)
def test_a_column_of_another_kind_is_refused(table, change, says):
    D = fn.model_matrix("y ~ x + f + flag", table)
    with pytest.raises(DataError, match=says):
        D.apply(table.assign(**change))


def test_a_missing_column_is_named(table):
    D = fn.model_matrix("y ~ x + f", table)
    with pytest.raises(FormulaError, match="f is not a column of the data"):
        D.apply(table.drop(columns="f"))


def test_without_random_terms_their_columns_are_not_needed(table):
    D = fn.model_matrix("y ~ x + (k|g)", table)
    assert D.apply(table[["x"]], random=False).random == ()
    with pytest.raises(FormulaError, match="is not a column of the data"):
        D.apply(table[["x"]])


def test_an_offset_by_name_is_made_again(table):
    D = fn.model_matrix("y ~ x + offset(k)", table, offset="2*x")
    assert D.apply(table).offset.tolist() == D.offset.tolist()


def test_an_offset_given_as_an_array_cannot_be_made_again(table):
    D = fn.model_matrix("y ~ x", table, offset=np.ones(N))
    with pytest.raises(DataError, match="offset given as an array; refit with the offset as a column"):
        D.apply(table)


def test_applying_changes_nothing(table):
    D = fn.model_matrix("y ~ poly(x, 2) + scale(k)", table)
    before = D.apply(table).matrix
    D.apply(table.assign(x=table["x"] * 7, k=table["k"] * 7))
    np.testing.assert_array_equal(D.apply(table).matrix, before)
