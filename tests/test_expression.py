"""One R expression: how it is read, and how R would print it."""

from __future__ import annotations

import os
import pickle
import subprocess

import pytest

from formula_neuro.errors import FormulaError
from formula_neuro.syntax.expression import Call, Name, Number, Text, Truth, label, names, number_label, quoted, read

LABELS = {
    "sin(2*pi*k/24)": "sin(2 * pi * k/24)",
    "x+y-z": "x + y - z",
    "a/b%%c%/%d": "a/b%%c%/%d",
    "f%in%g": "f %in% g",
    "x ^ 2": "x^2",
    "x**2": "x^2",
    "a : b": "a:b",
    "- x": "-x",
    "- -x": "--x",
    "! a&b": "!a & b",
    "a&&b||c|d": "a && b || c | d",
    "x>=1&y!=2": "x >= 1 & y != 2",
    "((a+b))*c": "((a + b)) * c",
    "poly( x,2,raw=TRUE )": "poly(x, 2, raw = TRUE)",
    "f('it is')": 'f("it is")',
    'f("say \\"yes\\"")': 'f("say \\"yes\\"")',
    "f('tab\\there')": 'f("tab\\there")',
    "f('back\\\\slash')": 'f("back\\\\slash")',
    "log(`my var`)": "log(`my var`)",
    "log(`plain`)": "log(plain)",
    "f(`a b`=1)": "f(`a b` = 1)",
    "100000": "1e+05",
    "123456": "123456",
    "0.00001": "1e-05",
    "1e-300": "1e-300",
    ".5": "0.5",
    "5.": "5",
    "100000L": "100000",
    "1e3L": "1000",
    "3.14159265358979": "3.14159265358979",
    "1234567890123456": "1234567890123456",
    "my.var + .x": "my.var + .x",
    "`_x` + `2x` + `if`": "`_x` + `2x` + `if`",
    "größe + β": "größe + β",
    "TRUE": "TRUE",
    "f(`TRUE`)": "f(`TRUE`)",
}


def test_numbers_texts_names_and_constants_are_told_apart():
    assert read("a") == Name("a")
    assert read("`a b`") == Name("a b")
    assert read("2L") == Number(2.0, integer=True)
    assert read("3000000000L") == Number(3e9)  # R: beyond its integers, a double
    assert read("'a'") == Text("a")
    assert read("TRUE") == Truth(True)
    assert read("`TRUE`") == Name("TRUE")


@pytest.mark.parametrize(("written", "printed"), LABELS.items())
def test_a_label_is_rs_print(written, printed):
    assert label(read(written)) == printed


@pytest.mark.parametrize("written", [written for written in LABELS if not written.endswith("L")])  # R drops the L
def test_a_label_reads_back_as_the_same_tree(written):
    assert read(label(read(written))) == read(written)


@pytest.mark.r
def test_labels_are_those_of_live_r(tmp_path):
    file = tmp_path / "expressions.R"
    file.write_text("\n".join(LABELS), encoding="utf-8")
    found = f'as.list(parse("{file}", keep.source = FALSE, encoding = "UTF-8"))'
    code = f'for (e in {found}) cat(deparse(e, control = NULL), "\\n", sep="")'
    utf8 = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["Rscript", "--vanilla", "-e", code], capture_output=True, check=True, timeout=60, env=utf8)
    assert done.stdout.decode().splitlines() == list(LABELS.values())


@pytest.mark.parametrize(
    ("written", "grouped"),
    {
        "a + b * c": "a + (b * c)",
        "a * b:c": "a * (b:c)",
        "a:b^c": "a:(b^c)",
        "a^b^c": "a^(b^c)",
        "-a^2": "-(a^2)",
        "-a:b": "(-a):b",
        "a^-b + c": "(a^(-b)) + c",
        "a - b - c": "(a - b) - c",
        "a/b*c": "(a/b) * c",
        "a %% b * c": "(a %% b) * c",
        "a %in% b:c": "a %in% (b:c)",
        "a + b > c & d": "((a + b) > c) & d",
        "a | b & c": "a | (b & c)",
        "!a == b": "!(a == b)",
        "!a & b": "(!a) & b",
    }.items(),
)
def test_operators_bind_as_in_r(written, grouped):
    assert without_brackets(read(written)) == without_brackets(read(grouped))


def without_brackets(node):
    if not isinstance(node, Call):
        return node
    inner = tuple((name, without_brackets(value)) for name, value in node.arguments)
    return inner[0][1] if node.function == "(" else Call(node.function, inner)


@pytest.mark.parametrize(
    ("marked", "says"),
    [
        ("log(a + «)", "')' was not expected"),
        ("log(a, «, b)", "',' was not expected"),
        ("log(a «b)", "expected ','"),
        ("a «b", "was not expected"),
        ("(a + b«", "expected ')'"),
        ("a + «", "ends too early"),
        ("a «%o% b", "%o% is not known"),
        ("a < b «< c", "two comparisons in a row"),
        ("a«[1]", "'[' has no meaning"),
        ("a«$b", "'$' has no meaning"),
        ("a + «'b", "never closed"),
        ("a + «`b", "never closed"),
        ("a «% b", "% signs is never closed"),
        ("a «\\ b", "has no meaning"),
        ("a «− b", "looks like '-'"),
        ("f(«“b”)", "looks like '\"'"),
    ],
)
def test_an_error_points_at_its_place(marked, says):
    with pytest.raises(FormulaError) as caught:
        read(marked.replace("«", ""))
    assert says in caught.value.message
    assert caught.value.position == marked.index("«")


def test_an_error_points_into_the_whole_formula():
    with pytest.raises(FormulaError) as caught:
        read("log(a b)", "y ~ log(a b)", 4)
    assert str(caught.value).splitlines()[1:] == ["  y ~ log(a b)", "  " + " " * 10 + "^"]


@pytest.mark.parametrize(
    "deep",
    ["(" * 5000 + "x" + ")" * 5000, "-" * 5000 + "x", "x^" * 5000 + "x", "x+" * 5000 + "x", "f(" * 5000 + ")" * 5000],
    ids=["brackets", "signs", "powers", "a long sum", "calls"],
)
def test_depth_ends_in_words(deep):
    with pytest.raises(FormulaError, match="compute a column first"):
        read(deep)


def test_ninety_levels_are_read_printed_hashed_and_pickled():
    node = read("x+" * 90 + "x")
    assert label(node) == "x + " * 90 + "x"
    assert pickle.loads(pickle.dumps(node)) == node
    assert hash(read("(" * 90 + "x" + ")" * 90)) != hash(node)


def test_names_come_in_order_of_appearance():
    assert [n.text for n in names(read("f(b, a + log(c), k = `d e`) + 'text' + TRUE"))] == ["b", "a", "c", "d e"]


def test_where_it_stands_makes_no_other_variable():
    assert read("log(x)", "y ~ log(x)", 4) == read("log(x)")


@pytest.mark.parametrize("name", ["a", "a.b", ".a", "a_1", "é", "变量"])
def test_syntactic_names_stay_bare(name):
    assert quoted(name) == name


@pytest.mark.parametrize("name", ["a b", "1a", "_a", ".1", "a-b", "if", "TRUE", "NA"])
def test_other_names_get_backticks(name):
    assert quoted(name) == f"`{name}`"


@pytest.mark.parametrize(("name", "written"), [("a`b", r"`a\`b`"), ("a\\b", r"`a\\b`"), ("a\nb", r"`a\nb`")])
def test_backslashes_in_backticks_are_read_as_in_r(name, written):
    assert quoted(name) == written
    assert read(written) == Name(name)


@pytest.mark.parametrize(
    ("value", "printed"),
    [(0.0, "0"), (-0.0, "0"), (0.1 + 0.2, "0.3"), (1 / 3, "0.333333333333333"), (1e5, "1e+05"), (120000.0, "120000"),
     (1e15, "1e+15"), (1e22, "1e+22"), (0.0001, "1e-04"), (0.00012, "0.00012"), (-2.5, "-2.5")],
)  # fmt: skip
def test_numbers_print_with_at_most_15_digits(value, printed):
    assert number_label(value) == printed
