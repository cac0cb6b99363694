"""Bad input, through fn.fit and the command line: its own error each, with what was seen and what to do, or R's way."""

from __future__ import annotations

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import formula_neuro as fn
from formula_neuro.cli import app
from formula_neuro.data.table import as_table
from formula_neuro.errors import DataError, FormulaError, NoBackend

N = 24
rng = np.random.default_rng(0)
BASE = pd.DataFrame(
    {
        "y": rng.normal(size=N),
        "x": rng.normal(size=N),
        "k": rng.poisson(3, N) + 1,
        "b": [0, 1] * (N // 2),
        "f": list("abc") * (N // 3),
        "g": np.repeat(np.arange(6), 4),
    }
)
BINOMIAL, POISSON = {"family": "binomial"}, {"family": "poisson"}


def at(column: str, value, row: int = 0) -> list:
    values = BASE[column].tolist()
    values[row] = value
    return values


def refused(kind: type[Exception], formula: str, *says: str, data=None, **options) -> None:
    """The fit is refused by this kind of error, in these words, and without a warning on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(kind) as caught:
            fn.fit(formula, BASE if data is None else data, **options)
    assert type(caught.value) is kind
    for words in says:
        assert words in str(caught.value)


# ---- files -----------------------------------------------------------------------------------------
@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "data.csv", encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


GOOD = "y,x,g\n1,2,a\n2,3,b\n4,1,a\n3,5,b\n"


def test_a_missing_file(tmp_path):
    refused(FileNotFoundError, "y ~ x", "there is no such file", f"looked in {tmp_path}", data=tmp_path / "no.csv")


def test_a_folder(tmp_path):
    refused(FileNotFoundError, "y ~ x", "is a folder; give the path of a csv", "participants.tsv", data=tmp_path)


def test_an_address():
    refused(DataError, "y ~ x", "addresses are not read; download", data="https://example.org/a.csv")


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_file(file, text):
    refused(DataError, "y ~ x", "data.csv: the file is empty", data=file(text))


def test_a_file_without_rows(file):
    refused(DataError, "y ~ x", "data.csv: the data has no rows", data=file("y,x\n"))


@pytest.mark.parametrize("name", ["data.xlsx", "data", "data.csv.gz"])
def test_a_file_of_another_kind(file, name):
    refused(DataError, "y ~ x", "files may end in .csv, .tsv, .txt or .parquet", data=file(GOOD, name))


@pytest.mark.parametrize(
    ("name", "separator", "shown"), [("a.csv", ";", "';'"), ("a.csv", "\t", r"'\t'"), ("a.tsv", ",", "','")]
)
def test_another_separator(file, name, separator, shown):
    data = file(GOOD.replace(",", separator), name)
    refused(DataError, "y ~ x", f"one column only ('y{repr(separator)[1:-1]}x", f"is the separator {shown}", data=data)


@pytest.mark.parametrize(("encoding", "how"), [("latin-1", "encoding='latin-1'"), ("utf-16", "encoding='utf-16'")])
def test_another_encoding(file, encoding, how):
    data = file(GOOD.replace("x", "größe"), encoding=encoding)
    refused(DataError, "y ~ größe", "is not written in UTF-8; save it as UTF-8", how, data=data)


def test_rows_of_different_lengths(file):
    refused(
        DataError, "y ~ x", "cannot be read as a table (Expected 2 fields in line 3", data=file("y,x\n1,2\n2,3,4\n")
    )


def test_rows_longer_than_the_header_are_refused(file):
    """pandas would take the first column for names, and every value for the next one's."""
    longer = "its rows have more values than the header has names (2), so that the first"
    refused(DataError, "y ~ x", longer, data=file("y,x\n1,2,\n2,3,\n"))
    refused(DataError, "y ~ x", longer, data=file("y,x\nSmith, 2010,2\nLee, 2010,3\n"))
    refused(DataError, "y ~ x", longer, data=file("name x\nSmith 2010 1\nLee 2010 2\n", "a.txt"))


@pytest.mark.parametrize("text", ['"y" "x"\n"a b" 1 2\n"c" 2 4\n"d" 3 7\n', "y x\n1 1 2\n2 2 4\n3 3 7\n"])
def test_row_names_as_r_writes_them_are_no_column(file, text):
    table = as_table(file(text, "a.txt"))
    assert table["y"].tolist() == [1, 2, 3] and table["x"].tolist() == [2, 4, 7]


def test_values_between_tabs_may_hold_blanks(file):
    table = as_table(file("study\tn\nSmith 2010\t12\nLee 2010\t13\n", "a.txt"))
    assert table["study"].tolist() == ["Smith 2010", "Lee 2010"]


@pytest.mark.parametrize("text", ["y\tx\n1 2\n3 4\n", "y \t x\n1 \t 2\n3 \t 4\n"])
def test_tabs_among_blanks_part_values_as_blanks_do(file, text):
    assert as_table(file(text, "a.txt")).to_dict("list") == {"y": [1, 3], "x": [2, 4]}


def test_repeated_names_in_a_header(file):
    """pandas would read the second as x.1 in silence."""
    refused(DataError, "y ~ x", "the column name x occurs more than once", data=file("y,x,x\n1,2,3\n"))
    refused(DataError, "y ~ x", "the column name x occurs more than once", data=file('"y","x","x"\n1,2,3\n'))
    refused(DataError, "y ~ x", "the column name x occurs more than once", data=file("y x x\n1 2 3\n", "a.txt"))


def test_blanks_around_a_name_are_shown(file):
    refused(FormulaError, "y ~ x", "x is not a column of the data; did you mean ` x`?", data=file("y, x\n1, 2\n2, 3\n"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (GOOD, "a.csv"),
        ("\ufeff" + GOOD, "a.csv"),
        (GOOD.replace("\n", "\r\n"), "a.csv"),
        ("\n" + GOOD, "a.csv"),
        (GOOD, "A.CSV"),
        (GOOD.replace(",", "\t"), "a.tsv"),
        (GOOD.replace(",", "  "), "a.txt"),
        (GOOD.replace("y,x,g", '"y","x","a, b"'), "a.csv"),
        ("id," + GOOD.replace("\n", "\n7,")[:-2], "a.csv"),
    ],
    ids=["csv", "mark", "crlf", "blank line", "capitals", "tsv", "txt", "quoted names", "more columns"],
)
def test_files_that_are_read(file, text, name):
    fit = fn.fit("y ~ x", file(text, name))
    np.testing.assert_array_equal(fit.request.y, [1, 2, 4, 3])


def test_missing_values_in_a_file_are_rs_and_the_usual_ones(file):
    rows = "".join(f"{i},{word}\n" for i, word in enumerate(["NA", "", "nan", "NaN", "N/A", "null", "1", "3", "2"]))
    fit = fn.fit("y ~ x", file("y,x\n" + rows))
    assert fit.nobs == 3
    assert "6 of 9 rows dropped for missing values (x: 6)" in fit.messages


def test_none_is_a_level(file):
    """As in R; pandas alone would drop the rows of a drug called None."""
    D = fn.model_matrix("y ~ drug", file("y,drug\n1,None\n2,low\n3,None\n4,high\n"))
    assert D.names == ("(Intercept)", "drughigh", "druglow")


def test_truth_values_in_a_file_are_logical(file):
    assert fn.model_matrix("y ~ x", file("y,x\n1,TRUE\n2,FALSE\n3,TRUE\n")).names == ("(Intercept)", "xTRUE")


# ---- tables ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("data", [None, 5, 1.5, b"y"])
def test_what_is_no_table(data):
    with pytest.raises(DataError, match=f"data is of type {type(data).__name__}; a DataFrame, a dict of columns"):
        fn.fit("y ~ x", data)


def test_a_table_without_columns_or_rows():
    refused(DataError, "y ~ x", "the data has no columns", data=pd.DataFrame())
    refused(DataError, "y ~ x", "the data has no rows", data=BASE.iloc[:0])


def test_columns_of_different_lengths():
    refused(DataError, "y ~ x", "different lengths (y: 3, x: 2)", data={"y": [1, 2, 3], "x": [1, 2]})


def test_a_dict_of_single_values():
    refused(DataError, "y ~ x", "a dict without columns of values", data={"y": 1, "x": "a"})


def test_repeated_column_names():
    table = pd.DataFrame(np.eye(3), columns=["y", "x", "x"])
    refused(DataError, "y ~ x", "the column name x occurs more than once; rename or drop one", data=table)
    refused(DataError, "y ~ 1", "the column name 1 occurs more than once", data=table.set_axis(["y", 1, "1"], axis=1))


@pytest.mark.parametrize(
    "data",
    [
        {"y": [1.0, 2, 4], "x": [1, 2, 3]},
        [{"y": 1.0, "x": 1}, {"y": 2.0, "x": 2}, {"y": 4.0, "x": 3}],
        np.rec.fromarrays([[1.0, 2, 4], [1, 2, 3]], names="y,x"),
    ],
    ids=["dict", "records", "record array"],
)
def test_what_is_a_table(data):
    assert fn.fit("y ~ x", data).coef["x"] == pytest.approx(1.5, rel=1e-12)


def test_an_all_missing_column():
    for column in ([np.nan] * N, [None] * N, pd.Categorical([None] * N, ["a", "b"]), pd.array([pd.NA] * N, "Int64")):
        data = BASE.assign(x=column)
        for formula in ("y ~ x", "x ~ y", "y ~ f + (1|x)", "y ~ f + offset(x)"):
            refused(DataError, formula, f"of {N} rows, values are missing in", f": {N}; fill them in", data=data)


@pytest.mark.parametrize("call", ["scale(x)", "center(x)", "poly(x, 2)", "log(x)", "factor(x)"])
def test_an_all_missing_column_in_a_call(call):
    refused(DataError, f"y ~ {call}", f"values are missing in {call}: {N}", data=BASE.assign(x=np.nan))


def test_missing_values_that_empty_the_table_together():
    data = BASE.assign(x=[np.nan] * 12 + [1.0] * 12, k=[1.0] * 12 + [np.nan] * 12)
    refused(DataError, "y ~ x + k", "no row is complete", "x: 12, k: 12", data=data)


# ---- kinds of values -------------------------------------------------------------------------------
def test_text_where_numbers_are_needed():
    refused(DataError, "f ~ x", "f is text or a factor (a, b, c, ...), but family='gaussian' needs numbers; convert")
    refused(DataError, "y ~ log(f)", "log(f): log needs numbers, but got texts or factor levels (a, b, c, ...)")
    refused(DataError, "y ~ I(f + 1)", "f + 1 needs numbers")
    refused(DataError, "y ~ poly(f, 2)", "poly needs numbers")
    refused(DataError, "y ~ x + offset(f)", "offset(f) needs numbers")
    refused(DataError, "y ~ x", "offset needs numbers", offset="f")
    refused(DataError, "y ~ x", "weights needs numbers", weights="f")
    refused(DataError, "cbind(k, f) ~ x", "cbind needs numbers", **BINOMIAL)


def test_numbers_with_a_word_among_them():
    data = BASE.assign(x=at("x", "n/a", 5))
    says = ("x holds", "numbers in 23 rows", "texts in 1 rows", "'n/a' in row 6", "set the strange cells to missing")
    refused(DataError, "y ~ x", *says, data=data)
    refused(DataError, "x ~ y", *says, data=data)


@pytest.mark.parametrize(
    ("value", "says"), [([1, 2], "type list"), ({}, "type dict"), ((1, 2), "type tuple"), (1j, "type complex")]
)
def test_cells_that_are_no_values(value, says):
    column = pd.Series([value] * N, dtype=object)
    refused(DataError, "y ~ x", f"values of {says} in {N} rows", "in row 1", data=BASE.assign(x=column))
    refused(DataError, "y ~ f + (1|x)", f"values of {says}", data=BASE.assign(x=column))


def test_complex_numbers():
    refused(DataError, "y ~ x", "complex numbers cannot be modelled; use their real part", data=BASE.assign(x=1j))


@pytest.mark.parametrize(
    "dates",
    [
        pd.date_range("2020", periods=N),
        pd.date_range("2020", periods=N, tz="UTC"),
        pd.to_timedelta(range(N), "D"),
        pd.period_range("2020", periods=N),
        [datetime.date(2020, 1, 1)] * N,
    ],
    ids=["dates", "zones", "spans", "periods", "objects"],
)
def test_dates(dates):
    data = BASE.assign(d=dates)
    refused(
        DataError, "y ~ d", "d: dates and times cannot be modelled; convert them to a number such as days", data=data
    )
    refused(DataError, "d ~ x", "convert them to a number such as days", data=data)


@pytest.mark.parametrize(
    ("formula", "change", "says"),
    [
        ("y ~ x", {"x": at("x", np.inf, 3)}, "x is infinite in 1 of 24 rows (first: row 4)"),
        ("y ~ x", {"y": at("y", -np.inf, 3)}, "y is infinite in 1 of 24 rows"),
        ("y ~ log(k)", {"k": at("k", 0, 3)}, "log(k) is infinite in 1 of 24 rows (first: row 4)"),
        ("y ~ I(1/b)", {}, "I(1/b) is infinite in 12 of 24 rows (first: row 1, 3, 5)"),
        ("y ~ f + (x|g)", {"x": at("x", np.inf)}, "x is infinite"),
        ("y ~ f + offset(x)", {"x": at("x", np.inf)}, "x is infinite"),
        ("cbind(k, b) ~ x", {"k": at("k", np.inf)}, "cbind(k, b) is infinite"),
    ],
)
def test_infinite_values(formula, change, says):
    refused(DataError, formula, says, "set these values to missing", data=BASE.assign(**change))


def test_infinite_weights_and_offsets():
    for option in ("weights", "offset"):
        refused(DataError, "y ~ x", f"{option} is infinite in 1 of 24 rows", **{option: [np.inf] + [1] * 23})


# ---- levels ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("formula", ["y ~ f", "y ~ x*f", "y ~ x:f", "y ~ 0 + f", "y ~ x + (f|g)", "y ~ factor(f)"])
def test_a_factor_with_one_level(formula):
    refused(
        DataError, formula, "one level only (a) is left in the 24 rows used", "leave it out", data=BASE.assign(f="a")
    )


def test_a_factor_with_one_level_left_by_missing_values():
    data = BASE.assign(f=["a"] * 20 + ["b"] * 4, x=[*range(20), *[np.nan] * 4])
    refused(
        DataError, "y ~ f + x", "one level only (a) is left in the 20 rows used", "which rows were dropped", data=data
    )


def test_a_logical_with_one_value():
    refused(DataError, "y ~ f", "one level only (TRUE)", data=BASE.assign(f=True))


@pytest.mark.parametrize("formula", ["y ~ x + (1|g)", "y ~ x + (x|g)", "y ~ x + (1|g/f)"])
def test_a_group_with_one_level(formula):
    refused(
        DataError,
        formula,
        "g: the grouping factor has one level only",
        "leave the random term out",
        data=BASE.assign(g=1),
    )


def test_as_many_levels_as_rows():
    data = BASE.assign(id=range(N))
    refused(DataError, "y ~ x + (1|id)", "id has 24 levels for 24 rows", "leave the term out", data=data)
    assert fn.fit("k ~ x + (1|id)", data, **POISSON).converged  # as in lme4: a count may vary by row


def test_as_many_effects_as_rows_is_fitted_with_a_note():
    fit = fn.fit("y ~ x + (f + x|g)", BASE)
    assert any("24 random effects for 24 rows" in message for message in fit.messages)


# ---- the response ----------------------------------------------------------------------------------
@pytest.mark.parametrize("random", ["", " + (1|g)"])
@pytest.mark.parametrize(
    ("formula", "change", "family", "says"),
    [
        ("b ~ x", {"b": at("b", 2)}, "binomial", ("1 of 24 values lie outside [0, 1] (first: 2)", "cbind")),
        ("b ~ x", {"b": at("b", -0.5)}, "binomial", ("outside [0, 1] (first: -0.5)",)),
        ("b ~ x", {"b": 1}, "binomial", ("b is 1 in all 24 rows used", "estimate is infinite")),
        ("b ~ x", {"b": False}, "binomial", ("b is 0 in all 24 rows used",)),
        ("f ~ x", {}, "binomial", ("f has 3 levels (a, b, c)", "takes two", "subset=")),
        ("f ~ x", {"f": "go"}, "binomial", ("f is 'go' in all 24 rows used",)),
        ("cbind(k, b) ~ x", {"k": at("k", -1)}, "binomial", ("counts are whole and not negative, got (-1, 0)",)),
        ("cbind(k, b) ~ x", {"k": at("k", 0.5)}, "binomial", ("counts are whole and not negative, got (0.5, 0)",)),
        ("cbind(k, b, g) ~ x", {}, "binomial", ("a response of 3 columns",)),
        ("cbind(k, b) ~ x", {}, "poisson", ("a response of 2 columns with family='poisson'",)),
        ("cbind(k, b) ~ x", {}, "gaussian", ("for family='binomial' only",)),
        ("k ~ x", {"k": at("k", -1)}, "poisson", ("negative or not whole (first: -1)", "counts 0, 1, 2")),
        ("k ~ x", {"k": at("k", 2.5)}, "poisson", ("negative or not whole (first: 2.5)",)),
        ("k ~ x", {"k": at("k", 0)}, "Gamma", ("1 of 24 values are not above 0 (first: 0)", "positive numbers only")),
        ("k ~ x", {"k": at("k", -1)}, "inverse.gaussian", ("not above 0 (first: -1)",)),
        ("f ~ x", {}, "poisson", ("f is text or a factor (a, b, c, ...), but family='poisson' needs numbers",)),
    ],
)
def test_a_response_outside_the_range_of_its_family(formula, change, family, says, random):
    refused(DataError, formula + random, *says, data=BASE.assign(**change), family=family)


def test_counts_that_are_all_zero():
    refused(DataError, "k ~ x + (1|g)", "0 in all 24 rows", data=BASE.assign(k=0), **POISSON)


def test_a_constant_response():
    refused(DataError, "y ~ x + (1|g)", "reproduce the response exactly", data=BASE.assign(y=1.0))
    fit = fn.fit("y ~ x", BASE.assign(y=1.0))  # R's lm() fits it and warns
    assert "essentially perfect fit: standard errors and tests may be unreliable" in fit.messages


def test_which_level_is_success_is_told():
    fit = fn.fit("f ~ x", BASE.assign(f=["go", "stop"] * 12), **BINOMIAL)
    assert "f: 'stop' counts as success, 'go' as failure" in fit.messages


def test_no_response():
    refused(FormulaError, "~ x", "the formula has no response")
    refused(FormulaError, "1 ~ x", "1 is a constant, not a column of the data")
    refused(FormulaError, "'y' ~ x", '"y" is a constant, not a column of the data')


# ---- more columns than rows ------------------------------------------------------------------------
def test_more_columns_than_rows_are_aliased_as_in_r():
    fit = fn.fit("y ~ x + f", BASE.iloc[:3])
    assert fit.aliased == ("fc",)
    assert fit.df_resid == 0
    assert fit.se.isna().all()
    assert any("no residual degrees of freedom" in message for message in fit.messages)
    assert any("fc has no coefficient (NaN)" in message for message in fit.messages)


def test_more_columns_than_rows_in_a_mixed_model_are_aliased():
    fit = fn.fit("y ~ factor(k)*f + (1|g)", BASE.iloc[:8])
    assert 0 < len(fit.aliased) < len(fit.names)
    assert any("have no coefficients (NaN)" in message for message in fit.messages)


def test_a_column_that_repeats_others_is_aliased():
    for formula in ("y ~ x + I(2*x)", "y ~ x + I(2*x) + (1|g)"):
        assert fn.fit(formula, BASE).aliased == ("I(2 * x)",)
    assert fn.fit("k ~ x + I(2*x) + (1|g)", BASE, **POISSON).aliased == ("I(2 * x)",)


def test_a_constant_column_is_aliased():
    assert fn.fit("y ~ x", BASE.assign(x=2)).aliased == ("x",)


# ---- weights, offset, subset, contrasts, na_action -------------------------------------------------
def test_negative_weights():
    w = [-1.5] + [1.0] * 23
    refused(DataError, "y ~ x", "1 of 24 are negative (first: -1.5)", "0 or more", weights=w)
    refused(DataError, "y ~ x + (1|g)", "1 of 24 are negative", weights=w)


def test_weights_that_are_all_zero():
    refused(DataError, "y ~ x", "weights: all are 0", weights=[0] * N)


def test_a_row_of_zero_weight_stays_but_does_not_count():
    fit = fn.fit("y ~ x", BASE, weights=[0, *[1] * 23])
    without = fn.fit("y ~ x", BASE.iloc[1:])
    np.testing.assert_allclose(fit.coef, without.coef, rtol=1e-12)
    assert (len(fit.fitted), fit.nobs, fit.df_resid) == (24, 23, without.df_resid)


@pytest.mark.parametrize("option", ["weights", "offset"])
def test_weights_and_offsets_of_another_form(option):
    refused(DataError, "y ~ x", f"{option}= has shape (2,), but the data has 24 rows", **{option: [1, 2]})
    refused(DataError, "y ~ x", f"{option}= has shape ()", **{option: 2.0})
    refused(DataError, "y ~ x", f"{option}= has shape (24, 1)", **{option: np.ones((24, 1))})
    refused(DataError, "y ~ x", f"{option}= takes a column's name or numbers, got list", **{option: ["a"] * 24})
    refused(FormulaError, "y ~ x", "yy is not a column of the data; did you mean y?\n  2*yy\n    ^", **{option: "2*yy"})
    refused(FormulaError, "y ~ x", "ends too early\n  1/(\n     ^", **{option: "1/("})
    refused(FormulaError, "y ~ x", "2 is a constant", **{option: "2"})


def test_subsets_that_choose_nothing_or_do_not_choose():
    refused(DataError, "y ~ x", "subset= leaves no row", subset="x > 100")
    refused(DataError, "y ~ x", "subset='x' gives no TRUE/FALSE; write a comparison", subset="x")
    refused(DataError, "y ~ x", "24 True/False values, got bool (3,)", subset=[True] * 3)
    refused(DataError, "y ~ x", "24 True/False values, got int64 (24,)", subset=[1] * 24)
    refused(DataError, "y ~ x", "'d' is not a level (there are a, b, c)", subset="f == 'd'")
    refused(FormulaError, "y ~ x", "'=' was not expected here\n  x = 1\n    ^", subset="x = 1")
    refused(FormulaError, "y ~ x", "did you mean x?", subset="xx > 1")


def test_contrasts_that_cannot_be_used():
    refused(
        DataError,
        "y ~ f",
        "contrasts: 'contr.foo' is not known; there are contr.treatment",
        contrasts={"f": "contr.foo"},
    )
    refused(DataError, "y ~ x", "contrasts: x is not a factor of the formula", contrasts={"x": "contr.sum"})
    refused(DataError, "y ~ x", "contrasts: f is not a factor of the formula", contrasts={"f": "contr.sum"})
    for given in ("contr.sum", ["f"]):
        refused(DataError, "y ~ f", "maps factors to contrasts, as {'group': 'contr.sum'}", contrasts=given)


def test_an_unknown_na_action():
    refused(ValueError, "y ~ x", "na_action='pass' is not known; there are omit, fail", na_action="pass")


# ---- names -----------------------------------------------------------------------------------------
def test_a_typo_in_a_column_has_a_caret_and_a_proposal():
    refused(FormulaError, "y ~ x + kk", "kk is not a column of the data; did you mean k?\n  y ~ x + kk\n          ^")
    refused(FormulaError, "y ~ x + (1|gg)", "did you mean g?\n  y ~ x + (1|gg)\n             ^")
    refused(FormulaError, "z ~ x", "z is not a column of the data (it has y, x, k, b, f, g)\n  z ~ x\n  ^")


def test_a_typo_in_a_function_has_a_caret_and_a_proposal():
    refused(
        FormulaError, "y ~ lgo(x)", "lgo() is not a function of formulas; did you mean log()?\n  y ~ lgo(x)\n      ^"
    )
    refused(FormulaError, "y ~ zzz(x)", "often used are log, exp, sqrt,")
    refused(FormulaError, "y ~ x + un(x|g)", "of covariance structures there are us(x | g), diag(), cs() and ar1()")


def test_a_typo_in_the_syntax_has_a_caret():
    refused(FormulaError, "y ~ x +* k", "a column is missing before '*'\n  y ~ x +* k\n         ^")


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("y ~ I()", "I() does not fit I(x)"),
        ("y ~ I(x, k)", "I(x, k) does not fit I(x)"),
        ("y ~ poly(x, dgree = 2)", "does not fit poly(x, ..., degree = 1, raw = FALSE)"),
        ("y ~ scale(x, state = 1)", "does not fit scale(x, center = TRUE, scale = TRUE)"),
        ("y ~ relevel(f)", "does not fit relevel(x, ref)"),
        ("y ~ log(x = k, x = k)", "does not fit log(x, base = 2.71828)"),
        ("y ~ C()", "C() takes a factor and one of contr.treatment"),
        ("y ~ C(f, contr.none)", "C() takes a factor and one of contr.treatment"),
        ("y ~ I(1)", "I(1) is a constant, not a column"),
        ("y ~ I(x:k)", ": has no value; it is an operator among terms"),
        ("y ~ I(f %in% x)", "right of %in% stand constants"),
    ],
)
def test_arguments_that_a_function_does_not_take(formula, says):
    refused(FormulaError, formula, says, f"\n  {formula}\n")


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("y ~ poly(x, 0)", "poly(x, 0): the degree is a whole number from 1 to 99"),
        ("y ~ poly(x, 1.5)", "the degree is a whole number from 1 to 99"),
        ("y ~ poly(x, degree = k)", "the degree is a whole number from 1 to 99"),
        ("y ~ poly(b, 2)", "degree 2 needs more than 2 different values"),
        ("y ~ log(k, -1)", "the base of a logarithm is a number above 0"),
        ("y ~ relevel(f, ref = 'z')", "ref='z' is not a level (there are a, b, c)"),
        ("y ~ relevel(f, ref = x)", "ref= is the name of a level"),
        ("y ~ scale(one)", "the column is constant, so it has no standard deviation"),
        ("y ~ scale(1)", "scale takes a column, not a constant"),
        ("y ~ I(f == 'z')", "'z' is not a level (there are a, b, c)"),
        ("y ~ I(f < 'b')", "levels can be compared by == and != only"),
        ("y ~ factor(poly(x, 2))", "a factor is made of one column"),
        ("cbind(k, 5) ~ x", "cbind takes columns"),
        ("y ~ offset(poly(x, 2))", "takes one column, not 2"),
    ],
)
def test_values_that_a_function_does_not_take(formula, says):
    refused(DataError, formula, says, data=BASE.assign(one=1.0))


def test_names_that_are_not_ascii_or_have_blanks():
    data = BASE.rename(columns={"x": "größe", "f": "mein Faktor", "g": "群"})
    fit = fn.fit("y ~ größe + `mein Faktor` + (1|群)", data)
    assert list(fit.coef.index) == ["(Intercept)", "größe", "`mein Faktor`b", "`mein Faktor`c"]
    assert fit.ranef().group.unique().tolist() == ["群"]
    np.testing.assert_allclose(fit.coef, fn.fit("y ~ x + f + (1|g)", BASE).coef, rtol=1e-12)


def test_a_name_with_a_blank_without_backticks():
    refused(
        FormulaError,
        "y ~ my x",
        "an operator is missing here; a column's name with a space stands in backticks, as `my x`\n  y ~ my x\n      ",
        data=BASE.assign(**{"my x": 1}),
    )


# ---- words for family, estimator, backend ----------------------------------------------------------
@pytest.mark.parametrize("family", ["binomal", "Binomial", "", 5, "binomial(logit", "binomial()()"])
def test_an_unknown_family(family):
    refused(ValueError, "b ~ x", f"family={family!r} is not known; there are gaussian, binomial", family=family)


def test_a_link_that_a_family_does_not_have():
    refused(
        ValueError, "b ~ x", "binomial takes the links logit, probit, cloglog", "not 'sqrt'", family="binomial(sqrt)"
    )


@pytest.mark.parametrize("estimator", ["foo", "", 5, "ml(3)", "AGQ(-1)", "AGQ(2.5)"])
def test_an_unknown_estimator(estimator):
    refused(ValueError, "y ~ x", f"estimator={estimator!r} is not known; there are ml, reml", estimator=estimator)


@pytest.mark.parametrize("nodes", [0, 101])
def test_a_number_of_nodes_out_of_range(nodes):
    refused(
        ValueError,
        "b ~ x + (1|g)",
        f"AGQ takes 1 to 100 nodes, a whole number, got {nodes}",
        estimator=f"AGQ({nodes})",
        **BINOMIAL,
    )


@pytest.mark.parametrize(
    ("formula", "options", "says"),
    [
        ("y ~ x", {"estimator": "reml"}, "native-lm: does not know estimator 'reml' (knows ml)"),
        ("b ~ x + (1|g)", {"estimator": "reml", **BINOMIAL}, "native-glmm: does not know estimator 'reml'"),
        ("y ~ x + (1|g)", {"estimator": "laplace"}, "native-lmm: does not know estimator 'laplace' (knows ml, reml)"),
        ("b ~ x", {"estimator": "laplace", **BINOMIAL}, "native-glm: does not know estimator 'laplace'"),
        ("b ~ x + (1|g) + (1|f)", {"estimator": "AGQ(5)", **BINOMIAL}, "not 2 terms; use estimator='laplace'"),
        ("b ~ x + (x|g)", {"estimator": "AGQ(5)", **BINOMIAL}, "not one term of 2 effects; use estimator='laplace'"),
    ],
)
def test_an_estimator_that_does_not_suit_the_model(formula, options, says):
    refused(NoBackend, formula, "no backend can fit", says, **options)


def test_an_unknown_backend():
    refused(NoBackend, "y ~ x", "backend='lm' is not known; there are", "native-lm, native-lmm", backend="lm")


def test_a_named_backend_that_cannot_fit():
    refused(NoBackend, "y ~ x", "backend='native-lmm' cannot fit lm (gaussian): fits lmm, not lm", backend="native-lmm")


# ---- the command line ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["y ~ x", "no.csv"], "no.csv: there is no such file"),
        (["y ~ x", "empty.csv"], "empty.csv: the file is empty"),
        (["y ~ x", "twice.csv"], "the column name x occurs more than once"),
        (["y ~ xx", "data.csv"], "xx is not a column of the data"),
        (["y ~ x +* k", "data.csv"], "a column is missing before '*'"),
        (["f ~ x", "data.csv"], "f is text or a factor"),
        (["y ~ x", "data.csv", "--family", "binomal"], "family='binomal' is not known"),
        (["k ~ x", "data.csv", "--family", "binomial"], "lie outside [0, 1]"),
        (["y ~ x", "data.csv", "--weights", "f"], "weights needs numbers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_line_answers_without_a_traceback(tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    BASE.to_csv("data.csv", index=False)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "twice.csv").write_text("y,x,x\n1,2,3\n")
    done = CliRunner().invoke(app, ["fit", *words])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr
