"""The words of formulas: what they learn and give back for new data, and what they refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError, NewLevels

TABLE = pd.DataFrame(
    {
        "y": np.arange(8.0),
        "x": [1.0, 2, 3, 4, 5, 6, 7, 9],
        "gap": [1.0, np.nan, 3, 4, 5, 6, 7, 9],
        "few": [0.0] * 6 + [1, 2],
        "same": 1.0,
        "none": np.nan,
        "f": list("abcabcab"),
        "g": list("uvuvuvuv"),
        "flag": [True, False] * 4,
        "o": pd.Categorical(list("llmmhhll"), ["l", "m", "h"], ordered=True),
    }
)


def design(word: str, table: pd.DataFrame = TABLE):
    return fn.model_matrix(f"y ~ {word}", table)


def column(word: str, table: pd.DataFrame = TABLE, new: pd.DataFrame | None = None) -> list[float]:
    """The last column of the design, or what it is for new data."""
    D = design(word, table)
    return (D if new is None else D.apply(new)).matrix[:, -1].tolist()


# ---- what is learnt ------------------------------------------------------------------------------
NEW = pd.DataFrame({"x": [3.0, 11.0], "f": ["b", "b"], "g": ["u", "u"], "gap": [3.0, np.nan], "few": [9.0, 9.0]})


@pytest.mark.parametrize(
    ("word", "expected"),
    {
        "I(x - mean(x))": [3 - 4.625, 11 - 4.625],
        "I(x/max(x))": [3 / 9, 11 / 9],
        "I(x - min(x))": [2, 10],
        "I(x - median(x))": [-1.5, 6.5],
        "I(x/sum(x))": [3 / 37, 11 / 37],
        "I(x^2/var(x))": [9 / np.var(TABLE["x"], ddof=1), 121 / np.var(TABLE["x"], ddof=1)],
        "I(gap - mean(gap, na.rm = TRUE))": [-2, np.nan],
        "cut(x, 2, labels = FALSE)": [1, np.nan],  # 11 lies beyond the last interval of training
        "cut(x, c(-Inf, 4, Inf))": [0, 1],
        "I(x > quantile(x, 0.5))": [0, 1],
        "ifelse(x > mean(x), 'high', 'low')": [1, 0],
    }.items(),
)
def test_new_data_meets_the_constants_of_training(word, expected):
    np.testing.assert_allclose(column(word, new=NEW), expected, rtol=1e-14)


def test_labels_keep_the_levels_that_they_were_given_to():
    assert column("factor(f, labels = c('A', 'B', 'C'))", new=NEW) == [0, 0]
    assert design("factor(f, labels = c('A', 'B', 'C'))").apply(NEW).matrix[:, 1].tolist() == [1, 1]


def test_a_level_without_a_label_is_refused_in_new_data():
    with pytest.raises(NewLevels, match=r"factor\(f, labels = .*: z did not occur"):
        design("factor(f, labels = c('A', 'B', 'C'))").apply(NEW.assign(f="z"))


def test_a_combination_that_training_has_not_is_refused_in_new_data():
    D = design("interaction(f, g)", TABLE[(TABLE["f"] != "b") | (TABLE["g"] != "v")])
    with pytest.raises(NewLevels, match=r"interaction\(f, g\): b\.v did not occur"):
        D.apply(pd.DataFrame({"f": ["b"], "g": ["v"]}))


def test_new_data_may_lack_the_level_to_relevel_to():
    D = design("relevel(f, 'c')")
    assert D.names[1:] == ('relevel(f, "c")a', 'relevel(f, "c")b')
    assert D.apply(NEW).matrix.tolist() == [[1, 0, 1], [1, 0, 1]]


def test_a_natural_spline_is_straight_beyond_its_boundary():
    new = pd.DataFrame({"x": [9.0, 10, 11, 14]})
    beyond = design("ns(x, 3)").apply(new).matrix
    slope = beyond[1] - beyond[0]
    np.testing.assert_allclose(beyond[2:], beyond[0] + np.outer([2, 5], slope), atol=1e-12)


def test_b_splines_sum_to_one_inside_and_beyond():
    """Cox and de Boor's partition of unity, which the polynomials of the last pieces keep."""
    rows = design("0 + bs(x, 6, intercept = TRUE)").apply(pd.DataFrame({"x": [-1.0, 1, 3.3, 9, 12]})).matrix
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)


def test_missing_values_do_not_move_the_knots():
    with_gap, without = design("ns(gap, 3)"), design("ns(gap, 3)", TABLE[TABLE["gap"].notna()])
    np.testing.assert_array_equal(with_gap.matrix, without.matrix)


def test_what_is_learnt_survives_pickling():
    D = design("ns(x, 3) + cut(x, 3) + I(x - mean(x))")
    again = pickle.loads(pickle.dumps(D))
    np.testing.assert_array_equal(again.apply(TABLE).matrix, D.matrix)


def test_words_work_on_both_sides_of_a_bar_in_the_response_and_in_the_offset():
    D = fn.model_matrix(
        "log(y + 1) ~ x + offset(ifelse(flag, 1, 0)) + (ns(x, 2)|cut(x, 3)) + (1|interaction(f, g))", TABLE
    )
    assert [term.columns for term in D.random] == [("(Intercept)",), ("(Intercept)", "ns(x, 2)1", "ns(x, 2)2")]
    assert D.random[1].levels == ("(0.992,3.67]", "(3.67,6.33]", "(6.33,9.01]")
    assert D.offset.tolist() == [1, 0] * 4
    assert D.apply(NEW.assign(flag=True)).random[1].codes.tolist() == [0, -1]


# ---- what is missing -----------------------------------------------------------------------------
def test_a_test_for_missing_values_keeps_their_rows():
    D = design("is.na(gap)")
    assert len(D.rows) == 8 and D.matrix[:, -1].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


def test_a_missing_value_that_is_not_chosen_does_no_harm():
    assert len(design("ifelse(is.na(gap), 0, gap)").rows) == 8
    assert len(design("ifelse(x > 3, NA, gap)").rows) == 2


# ---- which form a value takes ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("word", "names"),
    {
        "ifelse(x > 3, 'many', 'few')": ['ifelse(x > 3, "many", "few")many'],
        "ifelse(flag, f, 'z')": ['ifelse(flag, f, "z")b', 'ifelse(flag, f, "z")c', 'ifelse(flag, f, "z")z'],
        "ifelse(x > 3, TRUE, flag)": ["ifelse(x > 3, TRUE, flag)TRUE"],
        "ifelse(x > 3, 1, flag)": ["ifelse(x > 3, 1, flag)"],
        "poly(x, 2, raw = T)": ["poly(x, 2, raw = T)1", "poly(x, 2, raw = T)2"],
        "cut(x, seq(0, 10, by = 5))": ["cut(x, seq(0, 10, by = 5))(5,10]"],
        "factor(f, c('c', 'a', 'b'), c('C', 'A', 'B'))": [
            'factor(f, c("c", "a", "b"), c("C", "A", "B"))A',
            'factor(f, c("c", "a", "b"), c("C", "A", "B"))B',
        ],
    }.items(),
)  # fmt: skip
def test_columns_are_named_as_r_names_them(word, names):
    assert list(design(word).names[1:]) == names


def test_a_column_named_as_a_constant_is_the_column():
    table = TABLE.rename(columns={"x": "T"})
    assert column("T", table) == column("x")
    with pytest.raises(FormulaError, match="T is a constant"):
        design("T")


def test_a_contrast_stays_when_a_level_is_lost_and_one_for_a_number_of_levels_is_refused():
    table = TABLE.assign(y=TABLE["y"].where(TABLE["f"] != "c"))
    assert design("C(f, contr.sum)", table).names[1:] == ("C(f, contr.sum)1",)
    with pytest.raises(DataError, match="made for 3 levels does not fit the rows used, where c does not occur"):
        design("C(f, contr.treatment, base = 2)", table)


# ---- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("ns()", "ns() does not fit ns(x, df, knots, intercept = FALSE, Boundary.knots)"),
        ("ns(x, Boundary_knots = 2)", "does not fit ns("),
        ("cut(x)", "does not fit cut(x, breaks, labels, include.lowest = FALSE, right = TRUE, dig.lab = 3, ordered_"),
        ("interaction(f, by = 2)", 'does not fit interaction(..., drop = FALSE, sep = ".", lex.order = FALSE)'),
        ("ifelse(x > 3, 1)", "does not fit ifelse(test, yes, no)"),
        ("ns(x, s = 2)", "ns(x, s = 2) does not fit ns(x, df"),
        ("factor(f, l = c('a', 'b'))", "does not fit factor(x, levels, labels, ordered)"),
        ("I(x - max(x, na = TRUE))", "max(x, na = TRUE) does not fit max(x, na.rm = FALSE)"),
        ("C(f, c(1, 0, -1), 1)", "a contrast given as a matrix takes no other arguments"),
        ("I(x - max(x, 3))", "max(x, 3) does not fit max(x, na.rm = FALSE)"),
        ("mean(x)", "mean(x) is a constant, not a column"),
        ("c(1, 2)", "c(1, 2) is a constant, not a column"),
        ("C(f, contr.treatment(base = 2))", "write C(f, contr.treatment, ...) with its arguments behind it"),
        ("C(f, contr.sum(4))", "contr.sum(4) is not a contrast for the 3 levels"),
        ("C(f, contr.sum(x))", "contr.sum(x) is not a contrast for the 3 levels"),
        ("C(f, contr.treatment, base = 5)", "base= is a whole number from 1 to 3"),
        ("C(f, contr.poly, scores = c(1, 2))", "scores= are 3 different numbers"),
        ("C(f, contr.sum, 5)", "how.many= is a whole number from 1 to 2"),
        ("C(f, x)", "C() takes a factor and one of contr.treatment"),
        ("C(f, contr.sum, x = 2)", "C() takes object, contr, how.many, base, scores"),
        ("I(x:2)", ": has no value; it is an operator among terms"),
        ("I(f %in% x)", "right of %in% stand constants"),
        ("nchar(f)", "nchar() is not a function of formulas; often used are log, exp"),
        ("log(s(x))", "s() is not a function of formulas; s(...) stands alone among the terms"),
    ],
)
def test_calls_that_no_function_takes(word, says):
    with pytest.raises(FormulaError) as caught:
        design(word)
    assert says in str(caught.value) and f"\n  y ~ {word}\n" in str(caught.value)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("ns(x, 0)", "df= is the number of columns, here a whole number of 1 or more"),
        ("ns(x, 1, intercept = TRUE)", "a whole number of 2 or more"),
        ("bs(x, 2)", "a whole number of 3 or more"),
        ("bs(x, degree = 0)", "degree= is a whole number from 1 to 20"),
        ("ns(x, knots = c(0, 5))", "the knots (0, 5) do not all lie between the boundary knots 1 and 9: give others"),
        ("ns(few, 3)", "the knots (0, 0) do not all lie between the boundary knots 0 and 2: many values are equal"),
        ("ns(same)", "the column is 1 throughout, so no spline runs through it"),
        ("ns(none, 2)", "no row is complete"),
        ("bs(log(few), 4)", "the column has infinite values"),
        ("ns(f, 2)", "ns needs numbers, but got texts or factor levels (a, b, c, ...)"),
        ("ns(x, 3, Boundary.knots = 1)", "Boundary.knots= are two different numbers"),
        ("ns(x, 3, Boundary.knots = c(20, 30))", "no value lies between the boundary knots"),
        ("cut(x, 1)", "breaks=1 is a number of intervals: 2 or more; or give the ends"),
        ("cut(x, c(1, 1, 3))", "two breaks are equal"),
        ("cut(x, 'a')", "breaks= is a number, or several as in c(1, 2.5)"),
        ("cut(few, quantile(few))", "two breaks are equal"),
        ("cut(x, c(20, 30))", "no row is complete: of 8 rows, values are missing in cut(x, c(20, 30)): 8"),
        ("cut(x, 3, labels = c('a', 'b'))", "labels= has 2 texts, but there are 3 intervals"),
        ("cut(x, 3, labels = TRUE)", "labels= takes texts, or FALSE"),
        ("cut(x, 3, right = 1)", "right= is TRUE or FALSE"),
        ("cut(0*x, 3)", "the column is 0 throughout"),
        ("cut(log(few), 3)", "give the breaks, as c(-Inf, 0, Inf)"),
        ("ifelse(x > 3, 'a', 1)", "yes and no are both numbers or both texts"),
        ("ifelse(TRUE, 1, 2)", "the test is a column of TRUE and FALSE"),
        ("ifelse(f, 1, 2)", "ifelse needs numbers"),
        ("interaction(f, 'a')", "a factor is made of a column"),
        ("interaction()", "interaction takes columns"),
        ("interaction(f, g, sep = 2)", "sep= is a text"),
        ("factor(f, levels = c('x', 'z'))", "none of levels= (x, z) occurs in the column (it has a, b, c)"),
        ("factor(f, levels = c('a', 'a'))", "levels= names a level twice"),
        ("factor(f, labels = c('p', 'q'))", "labels= has 2 texts, but there are 3 levels (a, b, c)"),
        ("factor(f, levels = g)", "levels= takes constants, as c('a', 'b')"),
        ("relevel(f, 7)", "ref=7 is a place among 3 levels, counted from 1; the name of a level stands in quotes"),
        ("C(f, c(1, 1))", "c(1, 1) is no contrast for a factor with 3 levels: it takes a finite number for each"),
        ("C(f, cbind())", "cbind() is no contrast for a factor with 3 levels"),
        ("C(f, cbind(x))", "cbind(x) is no contrast for a factor with 3 levels"),
        ("C(f, c(1, 0, Inf))", "c(1, 0, Inf) is no contrast for a factor with 3 levels"),
        ("C(f, c(1, 1, 1))", "the columns of the matrix, and a constant one, depend on one another"),
        ("C(f, cbind(1:3, 3:1, c(1, 2, 1)))", "a factor with 3 levels has 2 contrasts, but its matrix has 3 columns"),
        ("relevel(o, 'm')", "the levels of an ordered factor have their order"),
        ("I(x - mean(gap))", "mean(gap): 1 of 8 values are missing, so R's mean() would be missing too"),
        ("I(x - mean(none))", "the column has no values to take the mean of"),
        ("I(x - sd(f))", "sd needs numbers"),
        ("I(x - quantile(x))", "takes a column or one number, not the 5 constants of a vector"),
        ("I(x > quantile(x, 2))", "probs= are numbers from 0 to 1"),
        ("c(x, 2)", "c() takes constants, as c(0, 1, 2); columns are bound by cbind()"),
        ("I(x %in% 1:1000000000)", "counts from one number to another, up to 1000 of them"),
        ("I(x %in% seq(3, 1))", "by= leads from 3 to 1"),
        ("round(x, 1.5)", "digits= is a whole number from -300 to 300"),
        ("poly(x, few, 2)", "poly takes a column, not a constant"),
        ("poly(x, few, y, gap, degree = 99)", "4 columns to degree 99 make 4421274 products; ask for a lower degree"),
        ("as.integer(f)", "as.integer needs numbers"),
    ],
)
def test_values_that_a_function_does_not_take(word, says):
    with pytest.raises(DataError) as caught:
        design(word)
    assert says in str(caught.value)


def test_two_combinations_that_would_print_alike_are_refused():
    table = TABLE.assign(f=["a", "a.b"] * 4, g=["b.c", "c"] * 4)
    with pytest.raises(DataError, match="two combinations print alike"):
        design("interaction(f, g)", table)
