"""A formula, and every text beside it, is data: whatever stands there raises one of our errors and touches nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError
from formula_neuro.formula import all_variables
from formula_neuro.syntax.expression import Call, Node
from formula_neuro.words.transforms import FUNCTIONS, LEARNING

# Expressions that Python or R would run, or that lead out of the table; each is put into many places.
PYTHON = [
    "__import__('os')", "__import__('os').system('true')", "__builtins__", "__builtins__['eval']", "__class__",
    "x.__class__", "x.__class__.__mro__", "x.values", "x.to_csv('stolen')", "().__class__.__bases__", "''.__class__",
    "eval('1')", "exec('1')", "compile('1', '', 'eval')", "open('/etc/passwd')", "open('made', 'w')", "input()",
    "print(x)", "globals()", "locals()", "vars()", "dir()", "getattr(x, 'values')", "setattr(x, 'a', 1)", "type(x)",
    "exit()", "quit()", "breakpoint()", "help()", "memoryview(x)", "os.system('true')", "os", "sys.exit()",
    "subprocess.run('true')", "np.load('x')", "np.log(x)", "pd.read_pickle('x')", "pandas.eval('x')", "importlib",
    "import os", "from os import system", "lambda: 0", "(lambda: 0)()", "lambda x: x", "[v for v in x]",
    "{v for v in x}", "{v: v for v in x}", "(v for v in x)", "[x, z]", "(x, z)", "{1: 2}", "x[0]", "x['a']", "x[:]",
    "x[x > 0]", "f'{x}'", "f\"{x}\"", "rb'x'", "b'x'", "r'x'", "x := 1", "(x := 1)", "x = 1", "x == ",
    "x if x else z", "x and z", "x or z", "not x", "x is z", "x in z", "x @ z", "x; z", "x // z", "x << 1", "x >> 1",
    "x ~ z", "~x", "*x", "**x", "await x", "yield x", "assert x", "del x", "raise x", "pass", "None", "True.real",
    "...", "..1", "x.apply(print)", "x.query('1')", "x.pipe(print)", "_scope", "_value(x)", "scope.table", "self",
    "table.columns", "states", "evaluate(x)", "FUNCTIONS", "_identity(x)", "_factor(x)", "is_constant(x)",
    "from_column(x)", "'{0.__class__}'.format(x)", "'%s' % x", "1j", "0x10", "0b1", "1_000", "1e", "1e5e5", "x!",
    "x?", "?x", "$x", "\\x", "x\\", "\x00", "x\x00z", "`x\x00`", "\ud800", "\x1b[31mx", "x\u200bz", "\ufeffx",
    "x\u2028y ~ z",
]  # fmt: skip
R = [
    "system('true')", "system2('true')", "shell('true')", "source('x.R')", "eval(parse(text = '1'))", "parse('x')",
    "get('system')('true')", "get('x')", "mget('x')", "exists('x')", "do.call('system', list('true'))",
    "do.call(log, x)", "match.fun('system')('true')", "Reduce(f, x)", "sapply(x, system)", "lapply(x, function(v) v)",
    "Map(f, x)", "base::system('true')", "base:::system('true')", "stats::rnorm(4)", "utils::download.file('a', 'b')",
    "a::b", "a:::b", "x$z", "x$`z`", "x@z", "x[[1]]", "x[['a']]", "x[1, 2]", "`[[`(x, 1)", "`system`('true')",
    "'system'('true')", "\"system\"('true')", "`(`(x)", "`if`(x, 1, 2)", "`<-`(x, 1)", "x <- 1", "x <<- 1", "1 -> x",
    "1 ->> x", "x = 1", "assign('x', 1)", "function(x) x", "(function(x) x)(1)", "\\(x) x", "(\\(x) x)(1)",
    "x |> log()", "x %>% log()", "x %o% z", "x %*% z", "x %anything% z", "%in%", "x %in%", "{x}", "{x; z}",
    "if (x) z", "if (x) z else x", "for (i in 1:3) i", "while (TRUE) 1", "repeat 1", "repeat {}", "break", "next",
    "return(x)", "stop('x')", "q()", "quit('no')", "Sys.setenv(A = 'b')", "Sys.getenv('HOME')", "file('x', 'w')",
    "url('http://a')", "unlink('x')", "file.remove('x')", "readLines('/etc/passwd')", "readRDS('x')", "load('x')",
    "save(x)", "writeLines('x')", "sink('x')", "library(x)", "require(x)", "requireNamespace('x')",
    "loadNamespace('x')", "attach(x)", "environment()", "globalenv()", "parent.frame()", "new.env()",
    "sys.function()", "quote(x)", "bquote(.(x))", "substitute(x)", "expression(x)", "as.name('x')",
    "call('system', 'true')", "as.call(x)", "body(x)", "formals(x)", "options(x = 1)", ".Call('x')", ".C('x')",
    ".External('x')", ".Internal(x)", ".Primitive('c')", "dyn.load('x')", "trace(x)", "invisible(x)", "print(x)",
    "cat(x)", "with(x, z)", "within(x, z)", "local(x)", "eval(x)", "evalq(x)", "Recall(x)", "tryCatch(x)",
    "on.exit(x)", "delayedAssign('x', 1)", "makeActiveBinding('x', f)", "r\"(x)\"", "# x", "x # z", "T <- 1",
    "1L <- 2", "1i", "0x1p3", "x; system('true')", "x\nsystem('true')", "x)\nsystem('true'", "~ system('true')",
    "I(system('true'))", "log(system('true'))", "poly(x, system('true'))", "cut(x, source('a'))", "C(g, system)",
    "C(g, 'system')", "C(g, contr.treatment(system('true')))", "factor(g, levels = system('true'))",
    "scale(x, center = get('x'))", "ns(x, df = eval(2))", "ifelse(x > 0, system('true'), x)",
    "relevel(g, ref = readLines('x'))", "offset(system('true'))", "cbind(x, system('true'))",
    "interaction(g, system('true'))", "I(x, envir = globalenv())", "log(x, system = 1)", "scale(x, state = x)",
    "poly(x, 2, _state = x)", "poly(x, state = x)", "factor(g, learn = x)", "I(x)(x)", "I(x)$a",
]  # fmt: skip
LOOK_ALIKES = [
    "ｅｖａｌ(x)", "ｓystem('true')", "lоg(x)", "Ι(x)", "x\u2212z", "x\u00d7z", "x\u2223g", "\u2018x\u2019",
    "x\u00a0@\u00a0z", "＿＿import＿＿('os')", "x\u202ez", "ｘ", "x\u0301",
]  # fmt: skip
EXPRESSIONS = list(dict.fromkeys(PYTHON + R + LOOK_ALIKES))

# What may stand where an expression is put and is no attack: such a whole is harmless, so it may be read.
HARMLESS = {"x ~ z", "~x", "(a+b)^-1", "(a+b)^0.5", "(a+b)^b"}  # whole formulas, and powers of numbers

HUGE = [
    "(a+b)^99999999999999999999", "(a+b)^1e9", "(a+b)^-1", "(a+b)^0.5", "(a+b)^b", "a^^2",
    "(" + "*".join("abcdefghijklmno") + ")^20", "(" + "+".join(f"x{i}" for i in range(50)) + ")^9999",
    "(" + "*".join("abcdefghijk") + "):(" + "*".join("lmnopqrstuv") + ")", "*".join(f"x{i}" for i in range(64)),
    "(" * 3_000, ")" * 3_000, "(" * 3_000 + "x" + ")" * 3_000, "log(" * 3_000 + "x" + ")" * 3_000,
    "I(" + "x+" * 3_000 + "x)", "I(" + "-" * 3_000 + "x)", "I(" + "!" * 3_000 + "x)", "I(x" + "^x" * 3_000 + ")",
    "x" * 3_000, "`" + "x" * 3_000, "'" + "x" * 3_000, "\\" * 3_000, "-" * 3_000, "+" * 3_000, "~" * 1000,
    "x " * 3_000, "x|" * 500, "(x|" * 500, "(x|g)" * 500, "9" * 3_000, "1e" + "9" * 3_000, "%" * 3_000,
    "I(x + " + "9" * 3_000 + ")", "poly(x, 1e308)", "poly(x, 99999999)", "ns(x, df = 1e9)", "bs(x, df = 1e8)",
    "I(1:1e12)", "bs(x, degree = 1e9)", "cut(x, 1e10)", "I(x %in% (1:1e15))", "cut(x, seq(0, 1e12, by = 1))",
    "quantile(x, 1:1e9)", "factor(x, levels = seq(0, 1e10))", "round(x, 1e9)", "signif(x, -1e9)", "poly(x, -1)",
    "ns(x, df = -1)",
]  # fmt: skip

PLACES: dict[str, Callable[[str, pd.DataFrame], object]] = {
    "a term": lambda text, data: fn.model_matrix(f"y ~ x + {text}", data),
    "a call": lambda text, data: fn.model_matrix(f"y ~ I({text})", data),
    "the response": lambda text, data: fn.model_matrix(f"{text} ~ x", data),
    "an offset": lambda text, data: fn.model_matrix(f"y ~ offset({text})", data),
    "left of a bar": lambda text, data: fn.model_matrix(f"y ~ ({text} | g)", data),
    "a group": lambda text, data: fn.model_matrix(f"y ~ (1 | {text})", data),
    "a nested group": lambda text, data: fn.model_matrix(f"y ~ (1 | g/{text})", data),
    "a structure": lambda text, data: fn.model_matrix(f"y ~ diag({text} | g)", data),
    "the formula": lambda text, data: fn.model_matrix(text, data),
    "weights=": lambda text, data: fn.model_matrix("y ~ x", data, weights=text),
    "offset=": lambda text, data: fn.model_matrix("y ~ x", data, offset=text),
    "subset=": lambda text, data: fn.model_matrix("y ~ x", data, subset=text),
    "a contrast's name": lambda text, data: fn.model_matrix("y ~ g", data, contrasts={"g": text}),
    "a contrast's factor": lambda text, data: fn.model_matrix("y ~ g", data, contrasts={text: "contr.sum"}),
}
EVENTS = (
    "open", "exec", "compile", "import", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "urllib.", "pty.",
    "builtins.input", "tempfile.", "marshal.", "pickle.", "sys._getframe", "code.__new__", "cpython.run",
)  # fmt: skip


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    numbers = {name: rng.random(8) for name in ("y", "z", *"abcdefhijklmnopqrstuv")}
    return pd.DataFrame({**numbers, "x": np.arange(8.0), "g": list("abcdabcd")})


@pytest.fixture(scope="module")
def seen() -> Iterator[Callable]:
    """A watch over all that Python itself can tell: files, imports, code, processes, sockets."""
    told: list[str] | None = None

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if told is not None and event.startswith(EVENTS):
            told.append(f"{event} {arguments!r}"[:300])

    @contextmanager
    def watched() -> Iterator[list[str]]:
        nonlocal told
        told = []
        try:
            yield told
        finally:
            told = None

    sys.addaudithook(hook)  # cannot be taken away again, so it only looks while told is a list
    data = table()
    for text in (
        "y ~ poly(x, 2) + ns(x, 2) + bs(x) + scale(z) + cut(x, 3) + (x | g)",
        "y ~ lgo(x)",
        "y ~ X",
        "y ~ I(x",
    ):
        with suppress(FormulaError):  # what is loaded at first use is loaded
            fn.model_matrix(text, data, weights="y", subset="x > -1")
    yield watched


def test_the_watch_sees_what_it_should(seen):
    with seen() as told:
        eval("1")
        with pytest.raises(OSError):
            open("/nowhere/at/all")  # noqa: SIM115
    assert {line.split()[0] for line in told} >= {"open", "compile", "exec"}


@pytest.mark.parametrize("place", PLACES)
def test_no_text_is_run_wherever_it_stands(place, seen):
    data, wrong = table(), []
    with seen() as told:
        for text in EXPRESSIONS + HUGE:
            outcome = refused(PLACES[place], text, data)
            if outcome is not None:
                wrong.append((text[:60], outcome))
    assert not told, told[:5]
    assert not wrong, f"{len(wrong)}: {wrong[:8]}"


def refused(run: Callable, text: str, data: pd.DataFrame) -> str | None:
    """None where one of our errors is raised; a text that is read as a formula of the columns alone is none."""
    try:
        made = run(text, data)
    except Exception as error:
        return None if type(error).__module__ == "formula_neuro.errors" else f"{type(error).__name__}: {error}"[:200]
    names = {name for node in all_variables(made.formula) for name in functions(node)}
    return None if text in HARMLESS else f"was read, with {names}"


def functions(node: Node) -> Iterator[str]:
    if isinstance(node, Call):
        yield node.function
        for _, value in node.arguments:
            yield from functions(value)


HYPOTHESES = [text for text in EXPRESSIONS if text not in ("x = 1", "x == ")]


def test_no_hypothesis_is_run(seen):
    m = fn.fit("y ~ x + z", table())
    fn.contrast(m, "x - z")  # what is loaded at first use is loaded
    wrong = []
    with seen() as told:
        for text in HYPOTHESES + HUGE:
            for whole in (text, f"x - {text} = 0", f"x = {text}"):
                try:
                    fn.contrast(m, whole)
                except ValueError as error:
                    if type(error).__module__ != "formula_neuro.errors":
                        wrong.append((whole[:60], repr(error)[:200]))
                except Exception as error:
                    wrong.append((whole[:60], repr(error)[:200]))
                else:
                    wrong.append((whole[:60], "was read"))
    assert not told, told[:5]
    assert not wrong, f"{len(wrong)}: {wrong[:8]}"


def test_columns_may_have_the_names_of_functions_and_attributes():
    names = ["eval", "__class__", "system('true')", "x.__class__", "log", "function", "a`b", "a\\", "{x}"]
    data = pd.DataFrame({name: np.random.default_rng(i).random(6) for i, name in enumerate(["y", *names])})
    D = fn.model_matrix("y ~ .", data)
    assert len(D.names) == 1 + len(names)
    np.testing.assert_array_equal(D.matrix[:, 1:], data[names].to_numpy())


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *LEARNING}))
def test_no_word_of_formulas_takes_arguments_that_are_not_its_own(name):
    for argument in ("state", "learn", "_state", "scope", "table", "envir", "FUN", "__class__"):
        with pytest.raises((FormulaError, DataError)):
            fn.model_matrix(f"y ~ {name}(x, {argument} = x)", table())


# ---- what R is sent ------------------------------------------------------------------------------
@pytest.mark.r
@pytest.mark.parametrize("backend", ["r-lm", "lme4"])
def test_quotes_that_r_reads_otherwise_run_nothing_there(backend, tmp_path):
    """Read without R's backslash, the columns here are three odd names; with it, the middle one would be a call."""
    made = tmp_path / "made"
    middle = f"+file.create('{made}')+"
    data = table()
    for i, name in enumerate(["a\\", middle, "b"]):
        data[name] = np.random.default_rng(i).random(8)
    random = " + (1 | g)" if backend == "lme4" else ""
    with pytest.raises((FormulaError, DataError)):
        fn.fit(f"y ~ `a\\` + `{middle}` + `b`{random}", data, backend=backend)
    assert not made.exists()


@pytest.mark.r
def test_what_subset_says_is_not_sent_to_r(tmp_path):
    data = table()
    whole = fn.fit("y ~ x", data, backend="r-lm", subset="x > 1 & g %in% c('a', 'b', 'c')")
    same = fn.fit("y ~ x", data, subset="x > 1 & g %in% c('a', 'b', 'c')")
    np.testing.assert_allclose(whole.coef, same.coef, rtol=1e-10)  # QR in both, on the same 5 rows
    with pytest.raises(FormulaError):
        fn.fit("y ~ x", data, backend="r-lm", subset=f"file.create('{tmp_path / 'made'}')")
    assert not (tmp_path / "made").exists()
