"""Degrees of freedom, F tests and marginal means of mixed models beside live lmerTest, pbkrtest, emmeans and nlme.

lmer's optimiser stops up to 2e-3 from the optimum in theta, so R's functions are evaluated at the theta found here:
what is compared are the formulas, to the digits of numerical derivatives (Satterthwaite) or of rounding (Kenward and
Roger).
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import Unable

pytestmark = pytest.mark.r


@dataclass(frozen=True)
class Case:
    """A model, its data (of an R package, or simulated), and what else is asked of R."""

    formula: str
    data: str
    spec: str | None = None  # of marginal means
    lme: str | None = None  # the random part as nlme writes it
    weights: str | None = None


CASES = {
    "sleepstudy": Case("Reaction ~ Days + (Days|Subject)", "lme4:sleepstudy", lme="~ Days | Subject"),
    "uncorrelated": Case("Reaction ~ Days + (Days||Subject)", "lme4:sleepstudy"),
    "days as a factor": Case("Reaction ~ factor(Days) + (1|Subject)", "lme4:sleepstudy"),
    "Dyestuff2": Case("Yield ~ 1 + (1|Batch)", "lme4:Dyestuff2"),
    "Penicillin": Case("diameter ~ 1 + (1|plate) + (1|sample)", "lme4:Penicillin"),
    "Pastes": Case("strength ~ 1 + (1|batch/cask)", "lme4:Pastes", lme="~ 1 | batch/cask"),
    "cake": Case("angle ~ recipe * temperature + (1|recipe:replicate)", "lme4:cake", "recipe"),
    "Oats": Case("yield ~ Variety * factor(nitro) + (1|Block/Variety)", "nlme:Oats", "Variety", "~ 1 | Block/Variety"),
    "Orthodont": Case("distance ~ age * Sex + (age|Subject)", "nlme:Orthodont", "Sex", "~ age | Subject"),
    "Machines": Case("score ~ Machine + (1|Worker/Machine)", "nlme:Machines", "Machine", "~ 1 | Worker/Machine"),
    "crossed": Case("y ~ f * h + x + (1|g) + (1|k)", "simulated:1", "f"),
    "crossed, slopes": Case("y ~ x + f + (x|g) + (1|k)", "simulated:2"),
    "crossed, two slopes": Case("y ~ x + z + f + (x|g) + (0 + z|k)", "simulated:3"),
    "nested": Case("y ~ a * x + f + (1|g/c)", "simulated:4", "f", "~ 1 | g/c"),
    "nested, slopes": Case("y ~ x * f + (x|g) + (1|g:c)", "simulated:5"),
    "weighted": Case("y ~ x + f * h + (1|g)", "simulated:6", "f", weights="w"),
    "weighted slopes": Case("y ~ x * f + (x|g)", "simulated:7", "f", weights="w"),
    "without intercept": Case("y ~ 0 + f + x + (1|g)", "simulated:8", lme="~ 1 | g"),
    "singular": Case("y ~ f * x + (1|g) + (1|k)", "simulated:10"),
    "an offset and a square": Case("y ~ x + I(x^2) + h + offset(z) + (1|g) + (1|g:c)", "simulated:11", "h"),
}
SINGULAR = {"Dyestuff2", "singular"}  # lmerTest's numerical Hessian is not that of the criterion there
# a matrix of columns counts as a factor in lmerTest's rule of what contains what; no case has one


def simulated(seed: int) -> pd.DataFrame:
    """Groups g of unequal size with cells c inside, crossed with k; a and few are constant within g."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 13, 12)
    g = np.repeat(np.arange(12), sizes)
    n = len(g)
    t = pd.DataFrame({"g": g, "c": rng.integers(0, 3, n), "k": rng.integers(0, 6, n), "few": g % 4, "a": g % 3})
    t["f"], t["h"] = rng.choice(["p", "q", "r"], n, p=[0.5, 0.3, 0.2]), rng.choice(["u", "v"], n)
    t["x"], t["z"], t["w"] = rng.normal(1, 1, n), rng.normal(size=n), rng.uniform(0.3, 3, n)
    y = t["x"] + (t["f"] == "q") + rng.normal(size=n) / np.sqrt(t["w"] if 6 <= seed <= 7 else 1)
    if seed != 10:
        cells = rng.normal(size=36)[t["g"] * 3 + t["c"]]
        y = y + rng.normal(size=12)[g] * (1 + 0.6 * t["x"]) + 0.8 * rng.normal(size=6)[t["k"]] * (1 + t["z"]) + cells
    letters = {column: t[column].map(f"{column}{{}}".format) for column in ("g", "c", "k", "few", "a")}
    return t.assign(y=y, **letters)


def _data(case: Case, rdata) -> pd.DataFrame:
    source, _, name = case.data.partition(":")
    return simulated(int(name)) if source == "simulated" else rdata(source, name)


def _columns(table: pd.DataFrame) -> dict:
    """The columns as JSON, with the levels of factors."""
    out = {}
    for name, column in table.items():
        values = column.astype(object).where(column.notna(), None).tolist()
        out[name] = {"values": values}
        if isinstance(column.dtype, pd.CategoricalDtype):
            out[name] |= {"levels": [str(v) for v in column.cat.categories], "ordered": bool(column.cat.ordered)}
            out[name]["values"] = [None if v is None else str(v) for v in values]
        elif not pd.api.types.is_numeric_dtype(column.dtype):
            out[name] |= {"levels": sorted(set(values)), "ordered": False}
    return out


def _asked(case: Case, fit, table: pd.DataFrame) -> dict:
    sizes = [len(term.columns) * (len(term.columns) + 1) // 2 for term in fit.request.design.random]
    parts = np.split(fit.theta, np.cumsum(sizes)[:-1])
    terms = [
        {"group": t.group, "columns": list(t.columns), "theta": part.tolist()}
        for t, part in zip(fit.request.design.random, parts, strict=True)
    ]
    fixed = [term for term in fit.request.design.terms if term.variables]
    asked = {"formula": case.formula, "data": _columns(table), "terms": terms, "terms_of_x": len(fixed)}
    more = {"spec": case.spec, "weights": case.weights, "lme": case.lme, "fixed": case.formula.split(" + (")[0]}
    return asked | {key: value for key, value in more.items() if value is not None}


@pytest.fixture(scope="module")
def fits(rdata):
    tables = {name: _data(case, rdata) for name, case in CASES.items()}
    found = {n: fn.fit(c.formula, tables[n], weights=c.weights, backend="native-lmm") for n, c in CASES.items()}
    return tables, found


@pytest.fixture(scope="module")
def answers(fits, tmp_path_factory):
    """All that R is asked, in one run."""
    folder = tmp_path_factory.mktemp("r")
    asked = {name: _asked(case, fits[1][name], fits[0][name]) for name, case in CASES.items()}
    (folder / "cases.json").write_text(json.dumps(asked, default=float))
    script = Path(__file__).with_name("mixed_inference.R")
    command = ["Rscript", str(script), str(folder / "cases.json"), str(folder / "answers.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "answers.json").read_text())


def _array(values) -> np.ndarray:
    return np.atleast_1d(np.array(values, dtype=float))


@pytest.mark.parametrize("name", CASES)
def test_r_evaluates_the_same_model(fits, answers, name):
    # the criterion of n rows is a sum of n terms in another order
    assert fits[1][name].loglik == pytest.approx(answers[name]["loglik"], abs=1e-8, rel=1e-9)


@pytest.mark.parametrize("name", [n for n in CASES if n not in SINGULAR])
def test_satterthwaites_degrees_of_freedom_are_lmertests(fits, answers, name):
    table = fits[1][name].tidy(df="satterthwaite").set_index("term")
    theirs = answers[name]["satterthwaite"]
    # lmerTest differentiates numerically: 1e-4 at worst, of the optimum that it is given
    np.testing.assert_allclose(table["df"][list(theirs)], list(theirs.values()), rtol=1e-3)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.weights is None])
def test_kenward_and_rogers_tests_are_pbkrtests(fits, answers, name):
    table, theirs = fits[1][name].tidy(df="kenward-roger").set_index("term"), answers[name]["kr"]
    names = list(theirs["df"])
    np.testing.assert_allclose(table["df"][names], list(theirs["df"].values()), rtol=1e-6)  # n x n inverses in R
    np.testing.assert_allclose(table["std_error"][names], list(theirs["se"].values()), rtol=1e-7)


WITH_TERMS = [n for n, c in CASES.items() if not c.formula.split("~")[1].strip().startswith("1 +")]


@pytest.mark.parametrize("type", ["I", "II", "III"])
@pytest.mark.parametrize("name", [n for n in WITH_TERMS if n not in SINGULAR])
def test_f_tests_of_terms_are_lmertests(fits, answers, name, type):
    table, theirs = fn.anova(fits[1][name], type=type), answers[name]["anova"][type]
    assert table["term"].tolist() == np.atleast_1d(theirs["term"]).tolist()
    np.testing.assert_allclose(table["statistic"], _array(theirs["F"]), rtol=1e-6)  # rounding of contrasts near 0
    np.testing.assert_allclose(table["sum_sq"], _array(theirs["sum_sq"]), rtol=1e-6)
    np.testing.assert_allclose(table["df_resid"], _array(theirs["ddf"]), rtol=1e-3)  # numerical derivatives


@pytest.mark.parametrize("name", [n for n in WITH_TERMS if CASES[n].weights is None])
def test_scaled_f_tests_of_terms_are_pbkrtests(fits, answers, name):
    table, theirs = fn.anova(fits[1][name], df="kenward-roger"), answers[name]["kr_anova"]["III"]
    np.testing.assert_allclose(table["statistic"], _array(theirs["F"]), rtol=1e-6)
    np.testing.assert_allclose(table["df_resid"], _array(theirs["ddf"]), rtol=1e-6)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.lme is not None])
def test_degrees_of_freedom_by_containment_are_nlmes(fits, answers, name):
    table, theirs = fits[1][name].tidy(df="containment").set_index("term"), answers[name]["containment"]
    assert table["df"][list(theirs)].tolist() == list(theirs.values())


@pytest.mark.parametrize(
    ("name", "df"),
    [
        (name, df)
        for name, case in CASES.items()
        for df in ("satterthwaite", "kenward-roger")
        if case.spec is not None
        and (df == "satterthwaite" or case.weights is None)  # pbkrtest does not take weights into account
    ],
)
def test_marginal_means_are_emmeanss(fits, answers, name, df):
    spec, theirs = CASES[name].spec, answers[name]["emmeans"][df]
    means = fn.emmeans(fits[1][name], spec, df=df).means
    np.testing.assert_allclose(means["std_error"], _array(theirs["se"]), rtol=1e-6)
    np.testing.assert_allclose(means["df"], _array(theirs["df"]), rtol=1e-3)
    for word, key in (("pairwise", "pairwise"), ("trt.vs.ctrl", "control")):
        table = fn.emmeans(fits[1][name], spec, word, df=df).contrasts
        np.testing.assert_allclose(table["std_error"], _array(theirs[key]["se"]), rtol=1e-6)
        np.testing.assert_allclose(table["df"], _array(theirs[key]["df"]), rtol=1e-3)
        np.testing.assert_allclose(table["p_value"], _array(theirs[key]["p"]), atol=1e-4)  # R's ptukey: 1e-8


# ---- through the bridge --------------------------------------------------------------------------
@pytest.fixture(scope="module")
def bridged(fits):
    return fn.fit(CASES["nested"].formula, fits[0]["nested"], backend="lmerTest")


def test_fits_of_r_have_kenward_and_rogers_tests_too(fits, bridged):
    native = fits[1]["nested"]
    # lmer stops up to 2e-3 from the optimum in theta
    for ask in (lambda m: m.tidy(df="kenward-roger"), lambda m: fn.anova(m, df="kenward-roger")):
        ours, theirs = (ask(m).select_dtypes("number").drop(columns=["p_value"]) for m in (native, bridged))
        np.testing.assert_allclose(theirs, ours, rtol=5e-3)


def test_fits_of_r_are_not_asked_to_leave_columns_out(bridged):
    with pytest.raises(Unable, match=r"lmerTest fits formulas, so that columns cannot be left out of one: fit the"):
        fn.drop1(bridged, test="Chisq")


def test_a_crosscheck_compares_tests_of_terms(fits):
    check = fn.crosscheck(fits[1]["nested"])
    seen = set(check.table["quantity"])
    assert {"F tests of terms", "df of F tests", "Kenward-Roger F tests", "Kenward-Roger df"} <= seen
    assert check.ok, check


def test_a_crosscheck_of_a_weighted_fit_leaves_pbkrtest_out(fits):
    seen = set(fn.crosscheck(fits[1]["weighted"]).table["quantity"])
    assert "F tests of terms" in seen and "Kenward-Roger df" not in seen


def test_a_crosscheck_says_that_tests_without_margins_are_not_compared(fits):
    check = fn.crosscheck(fn.fit("y ~ f/h + (1|g)", fits[0]["crossed"]))
    assert "F tests of terms" not in set(check.table["quantity"])
    assert any("a term stands without its margins" in note for note in check.notes)


def test_pbkrtest_loses_its_digits_where_slope_variables_lie_far_from_0(fits):
    table = simulated(2)
    far = table.assign(x=table["x"] + 100)
    near, moved, theirs = (
        fn.fit("y ~ x + f + (x|g)", t, backend=b)
        for t, b in ((table, "native-lmm"), (far, "native-lmm"), (far, "lmerTest"))
    )
    df = [m.tidy(df="kenward-roger").set_index("term").loc["fr", "df"] for m in (near, moved, theirs)]
    assert df[1] == pytest.approx(df[0], rel=1e-6)  # an origin has no meaning beside an intercept
    assert abs(df[2] / df[0] - 1) > 1e-3
    check = fn.crosscheck(moved)
    assert check.ok and any("the slope variables within g lie far from 0" in note for note in check.notes)
