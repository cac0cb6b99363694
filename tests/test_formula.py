"""Formulas: what they mean, where an error points, and what no text can do."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import formula_neuro as fn
from formula_neuro.errors import FormulaError
from formula_neuro.formula import Formula, Part, parse
from formula_neuro.syntax.expression import label


def terms(part: Part) -> list[str]:
    labels = [label(node) for node in part.variables]
    return (["1"] if part.intercept else []) + [":".join(labels[i] for i in term) for term in part.terms]


def fixed(text: str, columns: tuple[str, ...] = ()) -> str:
    return " + ".join(terms(parse(text, columns).fixed))


def bars(text: str) -> list[str]:
    found = []
    for bar in parse(text).bars:
        inner = f"{' + '.join(terms(bar.part))} | {bar.name}"
        found.append(inner if bar.structure == "us" else f"{bar.structure}: {inner}")
    return found


# ---- meaning ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("written", "expands"),
    {
        "y ~ x": "1 + x",
        "y~x+z": "1 + x + z",
        "y ~ 0 + x": "x",
        "y ~ x - 1": "x",
        "y ~ x + 0": "x",
        "y ~ -1 + x + 1": "1 + x",
        "y ~ 1": "1",
        "y ~ 0": "",
        "y ~ TRUE": "1",
        "y ~ a*b": "1 + a + b + a:b",
        "y ~ a:b": "1 + a:b",
        "y ~ b:a + a": "1 + a + b:a",
        "y ~ a/b": "1 + a + a:b",
        "y ~ a/b/c": "1 + a + a:b + a:b:c",
        "y ~ (a + b)/c": "1 + a + b + a:b:c",
        "y ~ a/(b + c)": "1 + a + a:b + a:c",
        "y ~ (a + b + c)^2": "1 + a + b + c + a:b + a:c + b:c",
        "y ~ (a + b)^9": "1 + a + b + a:b",
        "y ~ (a + b)**2": "1 + a + b + a:b",
        "y ~ x^2": "1 + x",
        "y ~ b %in% a": "1 + b:a",
        "y ~ a + b %in% a": "1 + a + a:b",
        "y ~ a*b*c - a:b:c": "1 + a + b + c + a:b + a:c + b:c",
        "y ~ a*b - a": "1 + b + a:b",
        "y ~ (a + b) - (b + c)": "1 + a",
        "y ~ a + a + a:a": "1 + a",
        "y ~ a:b + b:a": "1 + a:b",
        "y ~ a + b:c:d + b:c + e": "1 + a + e + b:c + b:c:d",
        "y ~ a*b:c": "1 + a + b:c + a:b:c",
        "y ~ +a": "1 + a",
        "y ~ ((a))": "1 + a",
        "y ~ y + x": "1 + x",
        "y ~ x:y": "1 + y:x",
        "y ~ log(y)": "1 + log(y)",
        "y ~ log( x+1 ) + I(x ^ 2)": "1 + log(x + 1) + I(x^2)",
        "y ~ `my var`*b": "1 + `my var` + b + `my var`:b",
        "y ~ `a+b`": "1 + `a+b`",
        "y ~ größe + β": "1 + größe + β",
        "y ~ 变量": "1 + 变量",
        "y ~ x.1 + .y + z_2": "1 + x.1 + .y + z_2",
        "y ~ x\n  + z\n": "1 + x + z",
        "y ~ x +\u00a0z": "1 + x + z",
        'y ~ I(f == "b) + c")': '1 + I(f == "b) + c")',
        "y ~ x + log(x)": "1 + x + log(x)",
        "y ~ I(x|g)": "1 + I(x | g)",
    }.items(),
)
def test_the_fixed_part_expands_as_in_r(written, expands):
    assert fixed(written) == expands


def test_a_dot_is_every_other_column():
    columns = ("y", "x", "f", "my var", "g", "h")
    assert fixed("y ~ .", columns) == "1 + x + f + `my var` + g + h"
    assert fixed("y ~ . - x", columns) == "1 + f + `my var` + g + h"
    assert fixed("y ~ . + (1|g) + (x|h)", columns) == "1 + x + f + `my var`"
    assert fixed("log(y + h) ~ .", columns) == "1 + x + f + `my var` + g"
    assert fixed("y ~ .*g", ("y", "x", "g")) == "1 + x + g + x:g"


@pytest.mark.parametrize(
    ("written", "printed"),
    {
        "log(y + 1) ~ x": "log(y + 1)",
        "cbind(s,f) ~ x": "cbind(s, f)",
        "y/n ~ x": "y/n",
        "y > 2 ~ x": "y > 2",
        "y == 'go' ~ x": 'y == "go"',
        "`my y` ~ x": "`my y`",
        "`~y~` ~ x": "`~y~`",
    }.items(),
)
def test_the_response_is_an_expression(written, printed):
    assert label(parse(written).response) == printed


@pytest.mark.parametrize(
    ("written", "inside"),
    {
        "foci ~ s(a:b) + scale(n)": ["1 + a:b"],
        "foci ~ x + s(a*b) + (1|g)": ["1 + a + b + a:b"],
        "foci ~ s(0 + x) + s(poly(x, 2))": ["x", "1 + poly(x, 2)"],
        "foci ~ s(1)": ["1"],
        "foci ~ x": [],
    }.items(),
)
def test_terms_with_a_map_of_their_own_are_cut_out(written, inside):
    assert [" + ".join(terms(part)) for part in parse(written).spatial] == inside
    assert not any("s(" in term for term in terms(parse(written).fixed) if term != "scale(n)")


def test_a_dot_leaves_out_what_has_a_map_of_its_own():
    assert fixed("foci ~ s(a) + .", ("foci", "a", "x", "z")) == "1 + x + z"


@pytest.mark.parametrize(
    ("tagged", "hom"),
    {
        "us(x|g)": False,
        "diag(x|g)": False,
        "cs(x|g)": False,
        "ar1(0 + f|g)": True,
        "diag(x|g, hom = TRUE)": True,
        "cs(log(x, 2)|g, hom=TRUE)": True,
        "cs(x|g, hom = F)": False,
        "ar1(x|factor(g), hom = FALSE)": False,
    }.items(),
)
def test_variances_are_equal_as_the_tag_says(tagged, hom):
    (bar,) = parse(f"y ~ x + {tagged}").bars
    assert (bar.structure, bar.hom) == (tagged.partition("(")[0], hom)


def test_a_formula_may_have_no_response():
    assert parse("~ x").response is None


@pytest.mark.parametrize(
    ("written", "random"),
    {
        "y ~ (1|g)": ["1 | g"],
        "y ~ x + (x|g)": ["1 + x | g"],
        "y ~ (0 + x|g)": ["x | g"],
        "y ~ (x - 1|g)": ["x | g"],
        "y ~ (1 + x*z | g)": ["1 + x + z + x:z | g"],
        "y ~ (1|g) + x + (z|h)": ["1 | g", "1 + z | h"],
        "y ~ (x||g)": ["1 | g", "x | g"],
        "y ~ (0 + x*z||g)": ["x | g", "z | g", "x:z | g"],
        "y ~ (1|a/b)": ["1 | b:a", "1 | a"],
        "y ~ (x|a/b/c)": ["1 + x | c:(b:a)", "1 + x | b:a", "1 + x | a"],
        "y ~ (x||a/b)": ["1 | b:a", "1 | a", "x | b:a", "x | a"],
        "y ~ (1|a:b)": ["1 | a:b"],
        "y ~ (1|a:b:c)": ["1 | a:b:c"],
        "y ~ (1|(a:b))": ["1 | a:b"],
        "y ~ (1|a/(b:c))": ["1 | b:c:a", "1 | a"],
        "y ~ (1|factor(id))": ["1 | factor(id)"],
        "y ~ (1|`my group`)": ["1 | my group"],
        "y ~ (log(x + 1)|g)": ["1 + log(x + 1) | g"],
        "y ~ ((1|g))": ["1 | g"],
        "y ~ (x + (1|g))": ["1 | g"],
        "y ~ us(x|g)": ["1 + x | g"],
        "y ~ diag(x|g)": ["diag: 1 + x | g"],
        "y ~ cs(0 + x|a:b)": ["cs: x | a:b"],
        "y ~ x + ar1(0 + t|g)": ["ar1: t | g"],
        "y ~ diag(x|a/b)": ["diag: 1 + x | b:a", "diag: 1 + x | a"],
    }.items(),
)
def test_random_terms_are_read_as_lme4_does(written, random):
    assert bars(written) == random


@pytest.mark.parametrize(
    ("written", "expands"),
    {
        "y ~ (1|g)": "1",
        "y ~ x + (1|g)": "1 + x",
        "y ~ (1|g) + x": "1 + x",
        "y ~ (1|g) - 1 + x": "x",
        "y ~ x + (1|g) + z": "1 + x + z",
        "y ~ (x + (1|g))*z": "1 + x + z + x:z",
        "y ~ x + diag(x|g)": "1 + x",
        "y ~ offset(n) + x": "1 + x",
        "y ~ x + offset(n) - 1": "x",
        "y ~ offset(n) + (1|g)": "1",
    }.items(),
)
def test_what_is_left_without_bars_and_offsets(written, expands):
    assert fixed(written) == expands


def test_offsets_add_up():
    assert [label(node) for node in parse("y ~ x + offset(log(n)) + offset(2*m)").offsets] == ["log(n)", "2 * m"]


def test_a_read_formula_is_a_plain_value():
    f = parse("log(y) ~ a*`b c` + offset(n) + (x||g/h)")
    assert pickle.loads(pickle.dumps(f)) == f
    assert str(f) == "log(y) ~ a*`b c` + offset(n) + (x||g/h)"


# ---- errors ----------------------------------------------------------------------------------------
ERRORS = [
    # the « stands before the place of the caret
    ("«", "needs a '~'"),
    ("«y + x", "needs a '~'"),
    ("y ~«", "right side is empty"),
    ("~«", "right side is empty"),
    ("y ~ x «~ z", "one '~' only"),
    ("y ~ log(a «~ b)", "one '~' only"),
    ("y ~ «(x + z", "never closed"),
    ("y ~ log«(x", "never closed"),
    ("y ~ x«)", "closes nothing"),
    ("y ~ x «+", "ends with an operator"),
    ("y ~ «* x", "missing before '*'"),
    ("y ~ x + «:z", "missing before ':'"),
    ("y ~ x + («)", "missing before ')'"),
    ("y ~ x «z", "operator is missing"),
    ("y ~ x «(z)", "operator is missing"),
    ("y ~ log «(z)", "without a blank"),
    ("y ~ (x)«(z)", "operator is missing"),
    ("y ~ «2x", "only 0 and 1"),
    ("y ~ x:«-z", "no meaning after ':'"),
    ("y ~ x*«+z", "no meaning after '*'"),
    ("y ~ df«$x", "'$' has no meaning"),
    ("y ~ x«[1]", "'[' has no meaning"),
    ("y ~ x«; z", "';' has no meaning"),
    ("y ~ «{x}", "'{' has no meaning"),
    ("y ~ x «# all", "'#' has no meaning"),
    ("y ~ x«, z", "joined by '+'"),
    ("y ~ x «== z", "I(...)"),
    ("y ~ x «%% z", "I(...)"),
    ("y ~ x «%o% z", "%o%"),
    ("y ~ x «%in z", "% signs is never closed"),
    ("y ~ «'x'", "text cannot be a term"),
    ('y ~ x + «"x', "never closed"),
    ("y ~ «`x", "never closed"),
    ("y ~ x + «2", "only 0 and 1"),
    ("y ~ «0.5*x", "only 0 and 1"),
    ("y ~ x^«z", "whole number"),
    ("y ~ x^«0", "whole number"),
    ("y ~ x^«1.5", "whole number"),
    ("y ~ x^«(2)", "whole number"),
    ("y ~ x^«99999999999", "whole number"),
    ("y ~ x «− z", "looks like '-'"),
    ("y «∼ x", "looks like '~'"),
    ("y ~ f(x«$z)", "'$' has no meaning"),
    ("y ~ poly(x,«,2)", "not expected"),
    ("y «z ~ x", "not expected"),
    ("log(y «z) ~ x", "expected ','"),
    ("y +« ~ x", "ends too early"),
    ("«. ~ x", "belongs on the right"),
    ("«offset(n) ~ x", "belongs on the right"),
    # bars
    ("y ~ x «| g", "stands in parentheses"),
    ("y ~ x + x «|| g", "stands in parentheses"),
    ("y ~ (1|g«|h)", "one bar"),
    ("y ~ («|g)", "columns that vary"),
    ("y ~ (1|«)", "grouping column"),
    ("y ~ («0|g)", "nothing is left to vary"),
    ("y ~ («x - x - 1|g)", "nothing is left to vary"),
    ("y ~ x«*(1|g)", "only be added"),
    ("y ~ x «- (1|g)", "only be added"),
    ("y ~ (1|g)«:x", "only be added"),
    ("y ~ (1|g) «(1|h)", "only be added"),
    ("y ~ (1|a«+b)", "joined by ':' or '/'"),
    ("y ~ (1|a«*b)", "joined by ':' or '/'"),
    ("y ~ (1|a/«)", "missing here"),
    ("y ~ (1|«1)", "grouping columns"),
    ("y ~ (1|a:(b«/c))", "cannot be crossed"),
    ("y ~ diag(x«||g)", "single bar"),
    ("y ~ cs(x|g,« hom = 1)", "takes hom = TRUE or FALSE beside the bar"),
    ("y ~ cs(x|g,« rho = TRUE)", "takes hom = TRUE or FALSE beside the bar"),
    ("y ~ us(x|g,« hom = TRUE)", "hom= belongs to diag, cs and ar1"),
    ("y ~ x + «s()", "holds the terms that have a map of their own"),
    ("y ~ x«:s(a)", "can only be added"),
    ("y ~ s(x«, k = 3)", "for smooth curves there is ns(x, 3)"),
    ("y ~ s(x + (1«|g))", "fixed terms only"),
    ("y ~ s(«s(x))", "fixed terms only"),
    ("y ~ diag(«diag(x|g)|h)", "inside another"),
    ("y ~ diag(x|g«$)", "'$' has no meaning"),
    ("y ~ («.|g)", "fixed part only"),
    ("y ~ log(«.)", "fixed part only"),
    # offsets
    ("y ~ x «- offset(n)", "only be added"),
    ("y ~ x«:offset(n)", "only be added"),
    ("y ~ «offset()", "one expression"),
    ("y ~ «offset(n, m)", "one expression"),
]


@pytest.mark.parametrize(("marked", "says"), ERRORS, ids=[marked for marked, _ in ERRORS])
def test_a_formula_that_cannot_be_read_says_where(marked, says):
    with pytest.raises(FormulaError) as caught:
        parse(marked.replace("«", ""), ("y", "x"))
    assert says in caught.value.message
    assert caught.value.position == marked.index("«")


def test_the_caret_stands_under_the_place():
    with pytest.raises(FormulaError) as caught:
        parse("lick ~ dff +* z")
    assert str(caught.value) == "a column is missing before '*'\n  lick ~ dff +* z\n              ^"


def test_of_several_lines_the_one_at_fault_is_shown():
    with pytest.raises(FormulaError) as caught:
        parse("y ~ x +\n  z $ w +\n  v")
    assert str(caught.value).splitlines()[1:] == ["    z $ w +", "      ^"]


def test_of_a_long_formula_the_part_at_fault_is_shown():
    with pytest.raises(FormulaError) as caught:
        parse("y ~ " + " + ".join(f"x{i}" for i in range(1000)) + " $ " + " + ".join("z" * 1000))
    line, caret = str(caught.value).splitlines()[1:]
    assert len(line) < 120
    assert line[caret.index("^")] == "$"


def test_the_caret_allows_for_wide_letters():
    with pytest.raises(FormulaError) as caught:
        parse("变量 ~ x $ z")
    assert str(caught.value).splitlines()[2] == "  " + " " * (len("变量 ~ x ") + 2) + "^"


def test_no_columns_no_dot():
    with pytest.raises(FormulaError, match="there are none"):
        parse("y ~ .", ("y",))


@pytest.mark.parametrize("given", [None, 5, b"y ~ x", ["y", "x"], Formula])
def test_only_a_text_is_a_formula(given):
    with pytest.raises(FormulaError, match="a formula is a text such as"):
        parse(given)


# ---- a formula is data, not code -------------------------------------------------------------------
HOSTILE = [
    "y ~ __import__('os').system('true')",
    "y ~ I(__import__('os'))",
    "y ~ eval('1')",
    "y ~ exec('1')",
    "y ~ open('/etc/passwd')",
    "y ~ getattr(x, '__class__')",
    "y ~ x.__class__",
    "y ~ I(x.__class__)",
    "y ~ __builtins__",
    "y ~ np.log(x)",
    "y ~ pd.eval(x)",
    "y ~ I((lambda: 0)())",
    "y ~ I([v for v in x])",
    "y ~ I(x if x else x)",
    "y ~ I(x := 1)",
    "y ~ I(*x)",
    "y ~ I(**x)",
    "y ~ I(f'{x}')",
    "y ~ I(x[0])",
    "y ~ I({1: 2})",
    "y ~ I(x; y)",
    "y ~ I(x\n__import__('os'))",
    "y ~ {__import__('os')}",
    "y ~ `__import__`('os')",
    "y ~ table + self + scope + states",
    "y ~ _identity(x)",
    "y ~ apply(x)",
    "y ~ system('true')",
    "y ~ I(system('true'))",
    "y ~ I(x)(x)",
    "y ~ poly(x, _state = x)",
    "y ~ scale(x, state = x)",
    "y ~ I(x, table = x)",
    "__import__('os') ~ x",
    "y ~ (1|__import__('os'))",
    "y ~ offset(__import__('os'))",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_formula_cannot_reach_beyond_columns_and_listed_functions(text):
    with pytest.raises(FormulaError):
        fn.model_matrix(text, {"y": [1.0, 2, 3, 4], "x": [1.0, 2, 4, 3], "g": list("aabb")})


@pytest.mark.parametrize("argument", ["weights", "offset", "subset"])
@pytest.mark.parametrize("text", ["__import__('os')", "x.__class__", "eval('x')", "(lambda: x)()", "x[0]"])
def test_nor_can_weights_offset_or_subset(argument, text):
    with pytest.raises(FormulaError):
        fn.model_matrix("y ~ x", {"y": [1.0, 2, 3, 4], "x": [1.0, 2, 4, 3]}, **{argument: text})


# ---- size ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "y ~ " + "(" * 5000 + "x" + ")" * 5000,
        "y ~ " + "(" * 5000,
        "y ~ I(" + "(" * 5000 + "x" + ")" * 5000 + ")",
        "y ~ " + "log(" * 5000 + "x" + ")" * 5000,
        "y ~ I(" + "x+" * 5000 + "x)",
        "y ~ I(" + "-" * 5000 + "x)",
        "+".join("y" * 5000) + " ~ x",
        "y ~ " + "diag(" * 5000 + "x|g" + ")" * 5000,
        "y ~ (1|" + "(" * 5000 + "g" + ")" * 5000 + ")",
        "y ~ " + "*".join(f"x{i}" for i in range(40)),
        "y ~ (" + "+".join(f"x{i}" for i in range(40)) + ")^20",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_too_deep_or_too_large_is_refused_in_words(text):
    with pytest.raises(FormulaError):
        parse(text)


def test_a_thousand_columns_are_a_formula():
    f = parse("y ~ " + " + ".join(f"x{i}" for i in range(1000)) + " + (1|g)")
    assert len(f.fixed.terms) == 1000


def test_ninety_brackets_are_a_formula():
    assert fixed("y ~ " + "(" * 90 + "x" + ")" * 90) == "1 + x"


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from([*"yxg01 2~+-*/:^|()`\"',.=<>!&%$", "||", "**", "%in%", "log(", "I(", "diag(", "poly(x, 2)",
                         "offset(", "`a b`", "é", "\n", "TRUE", "1e5", "0.5", "2L", "(1|g)", "y ~ "]),
        max_size=15,
    ).map("".join)
)  # fmt: skip
def test_any_text_is_read_or_refused_with_a_place(text):
    for whole in (text, "y ~ " + text):
        try:
            f = parse(whole, ("y", "x", "g", "z"))
        except FormulaError as error:
            assert error.position is not None
            assert 0 <= error.position <= len(whole)
        else:
            assert parse(whole, ("y", "x", "g", "z")) == f


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=30))
def test_any_letters_are_read_or_refused(text):
    for whole in (text, "y ~ " + text, f"y ~ `{text}`", f"y ~ I({text})"):
        try:
            parse(whole)
        except FormulaError as error:
            assert str(error)
