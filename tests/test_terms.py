"""anova of one fit, drop1, comparisons of GLMs: known answers, and R's tables."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import Unable


def table() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 90
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "f": rng.choice(list("abc"), n),
            "h": rng.choice(["u", "v"], n),
            "w": rng.integers(1, 5, n),
            "o": rng.normal(size=n) / 5,
            "trials": rng.integers(3, 9, n),
        }
    )
    eta = 0.5 * data["x"] + 0.6 * (data["f"] == "b") + 0.5 * data["x"] * (data["h"] == "v") + data["o"]
    data["y"] = eta + rng.normal(size=n)
    data["b"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    data["s"] = rng.binomial(data["trials"], 1 / (1 + np.exp(-eta)))
    data["k"] = rng.poisson(np.exp(eta / 2))
    data["p"] = rng.gamma(3, np.exp(eta / 3))
    return data


DATA = table()
CASES = {  # name: formula, family, weights, R's family; models with f:h have no f that could be left out
    "lm": ("y ~ x * h + f + z", "gaussian", None, "gaussian"),
    "lm weighted": ("y ~ f * h + offset(o)", "gaussian", "w", "gaussian"),
    "logit": ("b ~ x * h + f", "binomial", None, "binomial"),
    "grouped probit": ("cbind(s, trials - s) ~ x + f * h", "binomial(probit)", None, 'binomial("probit")'),
    "poisson": ("k ~ x * h + f + offset(o)", "poisson", "w", "poisson"),
    "quasipoisson": ("k ~ x * h + f", "quasipoisson", None, "quasipoisson"),
    "Gamma": ("p ~ x + h + f", "Gamma(log)", None, 'Gamma("log")'),
    "gaussian log": ("p ~ x + h", "gaussian(log)", None, 'gaussian("log")'),
}
TESTS = ("F", "Chisq", "Rao")


def fitted(name: str, **changed):
    formula, family, weights, _ = CASES[name]
    return fn.fit(formula, DATA, family=family, weights=weights, **changed)


@pytest.fixture(scope="module")
def lm():
    return fitted("lm")


@pytest.fixture(scope="module")
def logit():
    return fitted("logit")


def offered(name: str) -> tuple[str, ...]:
    return ("Chisq", "Rao") if CASES[name][1].startswith(("binomial", "poisson")) else TESTS


# ---- anova of one fit ------------------------------------------------------------------------------
def test_the_sums_of_squares_of_a_sequence_add_up_to_that_about_the_mean(lm):
    a = fn.anova(lm)
    assert list(a.columns) == ["term", "df", "sum_sq", "mean_sq", "statistic", "p_value"]
    assert a.term.tolist() == ["x", "h", "f", "z", "x:h", "Residuals"]
    assert a.sum_sq.sum() == pytest.approx(((DATA.y - DATA.y.mean()) ** 2).sum(), rel=1e-12)
    assert a.df.sum() == len(DATA) - 1


def test_the_last_term_of_a_sequence_is_tested_as_drop1_tests_it(lm):
    last = fn.anova(lm).iloc[-2]
    dropped = fn.drop1(lm).set_index("term").loc["x:h"]
    assert last[["statistic", "p_value"]].tolist() == pytest.approx(
        dropped[["statistic", "p_value"]].tolist(), rel=1e-9
    )


def test_a_sequence_of_deviances_starts_at_the_null_model(logit):
    a = fn.anova(logit)
    assert list(a.columns) == ["term", "df", "deviance", "df_resid", "resid_deviance", "statistic", "p_value"]
    assert a.term.tolist() == ["NULL", "x", "h", "f", "x:h"]
    null = fn.fit("b ~ 1", DATA, family="binomial")
    assert (a.df_resid[0], a.resid_deviance[0]) == (null.df_resid, pytest.approx(null.deviance, rel=1e-12))
    assert a.resid_deviance.iloc[-1] == logit.deviance
    assert a.iloc[0][["df", "deviance", "statistic", "p_value"]].isna().all()


def test_terms_that_add_no_column_are_left_out_of_a_linear_models_table():
    fit = fn.fit("y ~ x + I(2 * x) + f", DATA)
    assert fn.anova(fit).term.tolist() == ["x", "f", "Residuals"]
    assert fn.anova(fn.fit("b ~ x + I(2 * x)", DATA, family="binomial")).df.tolist()[1:] == [1, 0]


def test_type_two_compares_each_term_with_the_model_of_all_that_do_not_contain_it(logit):
    a = fn.anova(logit, type="II").set_index("term")
    pairs = {"x": ("b ~ x + h + f", "b ~ h + f"), "f": ("b ~ x * h + f", "b ~ x * h")}
    for term, formulas in pairs.items():
        large, small = (fn.fit(formula, DATA, family="binomial").deviance for formula in formulas)
        assert a.statistic[term] == pytest.approx(small - large, rel=1e-9)


@pytest.mark.parametrize("estimator", [None, "jeffreys"])
def test_type_three_does_not_depend_on_the_contrasts_of_the_fit(estimator):
    tables = [
        fn.anova(fn.fit("b ~ x * h + f", DATA, family="binomial", estimator=estimator, contrasts=contrasts), type="III")
        for contrasts in (None, {"h": "contr.helmert", "f": "contr.sum"})
    ]
    pd.testing.assert_frame_equal(*tables, rtol=1e-7)


def test_type_three_of_empty_cells_is_refused():
    cut = DATA[(DATA.f != "c") | (DATA.h == "u")]
    with pytest.raises(Unable, match="an anova of type III needs every coefficient to be estimable, and fc:hv is"):
        fn.anova(fn.fit("y ~ f * h", cut), type="III")


def test_the_default_is_f_where_the_dispersion_is_estimated():
    fit = fitted("quasipoisson")
    pd.testing.assert_frame_equal(fn.anova(fit), fn.anova(fit, test="F"))
    pd.testing.assert_frame_equal(fn.drop1(fit), fn.drop1(fit, test="F"))
    assert not fn.anova(fit).equals(fn.anova(fit, test="Chisq"))


def test_wishes_that_have_no_answer_are_refused_by_name(lm, logit):
    with pytest.raises(ValueError, match=r"test='F' divides by an estimated dispersion, and binomial\(logit\) by ml"):
        fn.anova(logit, test="F")
    with pytest.raises(ValueError, match="test='t' is not known; there are F, Chisq, Rao"):
        fn.drop1(lm, test="t")
    with pytest.raises(ValueError, match="type='IV' is not known; there are I, II, III"):
        fn.anova(lm, type="IV")
    with pytest.raises(Unable, match="df='kenward-roger' belongs to the anova of one linear mixed model"):
        fn.anova(lm, df="kenward-roger")
    with pytest.raises(TypeError, match="anova takes one fit, or several to compare, got none"):
        fn.anova()
    with pytest.raises(ValueError, match="type='II' is for the terms of one fit"):
        fn.anova(lm, fn.fit("y ~ x", DATA), type="II")


def test_a_generalized_mixed_model_has_wald_tests_of_its_terms():
    counts = DATA.assign(n=np.arange(len(DATA)) % 4)
    mixed = fn.fit("n ~ x + (1|f)", counts, family="poisson")
    z = mixed.tidy().set_index("term").loc["x"]
    row = fn.anova(mixed).iloc[0]
    assert row["term"] == "x"
    np.testing.assert_allclose(row["statistic"], z["statistic"] ** 2)
    np.testing.assert_allclose(row["p_value"], z["p_value"])


@pytest.mark.r
def test_r_fits_say_that_they_cannot_hold_coefficients():
    with pytest.raises(Unable, match="needs a fit that can `restricted`, and r-lm cannot"):
        fn.anova(fn.fit("y ~ x", DATA, backend="r-lm"))


# ---- drop1 -----------------------------------------------------------------------------------------
def test_drop1_respects_marginality_and_a_scope_may_overrule_it(lm):
    assert fn.drop1(lm).term.tolist() == ["<none>", "f", "z", "x:h"]
    assert fn.drop1(lm, "x").term.tolist() == ["<none>", "x"]
    assert fn.drop1(lm, ["h:x", "z"]).term.tolist() == ["<none>", "x:h", "z"]
    assert fn.drop1(lm, "~ x * h").term.tolist() == ["<none>", "x", "h", "x:h"]
    with pytest.raises(ValueError, match="'q' is not a term of the model; there are x, h, f, z, x:h"):
        fn.drop1(lm, "q")


def test_drop1_without_a_test_has_no_p_values(lm):
    assert list(fn.drop1(lm, test=None).columns) == ["term", "df", "sum_sq", "rss", "aic"]


def test_the_aic_of_drop1_differs_from_the_fits_by_a_constant(lm):
    d = fn.drop1(lm).set_index("term").aic
    assert d["z"] - d["<none>"] == pytest.approx(fn.fit("y ~ x * h + f", DATA).aic - lm.aic, rel=1e-9)


# ---- several fits ----------------------------------------------------------------------------------
def test_glms_with_an_estimated_dispersion_are_compared_by_f():
    small, large = (fn.fit(f"k ~ {terms}", DATA, family="quasipoisson") for terms in ("x", "x + f"))
    a = fn.anova(large, small)
    assert list(a.columns) == ["model", "df_resid", "resid_deviance", "df", "deviance", "statistic", "p_value"]
    F = (small.deviance - large.deviance) / 2 / large.dispersion
    assert a.statistic[1] == pytest.approx(F, rel=1e-12)
    assert a.p_value[1] == pytest.approx(stats.f.sf(F, 2, large.df_resid), rel=1e-10)


def test_bias_reduced_fits_are_not_compared_by_likelihoods_of_different_penalties():
    fits = [fn.fit(f"b ~ {t}", DATA, family="binomial", estimator="mean_br") for t in ("x", "x + f")]
    with pytest.raises(Unable, match=r"two fits by mean_br have different penalties.*test the terms within the larger"):
        fn.anova(*fits)


# ---- beside R --------------------------------------------------------------------------------------
SCRIPT = """
d <- read.csv("data.csv"); out <- list()
bare <- function(x) list(rows = rownames(x), columns = names(x), values = unname(lapply(as.list(x), as.numeric)))
for (case in jsonlite::fromJSON("cases.json", simplifyVector = FALSE)) {
  d$W <- if (is.null(case$weights)) rep(1, nrow(d)) else d[[case$weights]]
  linear <- startsWith(case$name, "lm"); formula <- as.formula(case$formula)
  family <- eval(parse(text = case$family))
  m <- if (linear) lm(formula, d, weights = W)
       else glm(formula, family, d, weights = W, control = list(epsilon = 1e-15, maxit = 100))
  small <- update(m, as.formula(case$less))
  one <- list()
  for (test in case$tests) one[[test]] <- list(
    terms = if (!linear || test == "F") bare(anova(m, test = test)), several = bare(anova(small, m, test = test)),
    drop = if (!linear || test != "Rao") bare(drop1(m, test = test)))
  one$aic <- extractAIC(m)[2]
  sums <- update(m, contrasts = list(f = "contr.sum", h = "contr.sum"))
  one$three <- bare(drop1(sums, . ~ ., test = if (linear) "F" else "Chisq"))
  out[[case$name]] <- one
}
cat(jsonlite::toJSON(out, digits = I(17), na = "string", auto_unbox = TRUE))
"""


@pytest.fixture(scope="module")
def from_r(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("terms")
    DATA.to_csv(folder / "data.csv", index=False, float_format="%.17g")
    cases = [
        {"name": name, "formula": c[0], "weights": c[2], "family": c[3], "tests": offered(name), "less": smaller(name)}
        for name, c in CASES.items()
    ]
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "terms.R").write_text(SCRIPT)
    done = subprocess.run(["Rscript", "--vanilla", "terms.R"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def columns(answer: dict) -> dict[str, np.ndarray]:
    values = [np.atleast_1d(column) for column in answer["values"]]
    return {
        name: np.array([np.nan if v in ("NA", "NaN") else float(v) for v in column])
        for name, column in zip(answer["columns"], values, strict=True)
    }


def agree(ours, theirs: np.ndarray, what: str) -> None:
    # differences of deviances of some 100 lose two digits of the 1e-11 or so to which both have converged
    np.testing.assert_allclose(np.asarray(ours, dtype=float), theirs, rtol=1e-7, atol=1e-9, err_msg=what)


def p_of(table: dict[str, np.ndarray]) -> np.ndarray:
    return next(values for name, values in table.items() if name.startswith("Pr("))


PAIRS = [(name, test) for name in CASES for test in offered(name) if not (name.startswith("lm") and test == "Rao")]
SEQUENCES = [(name, test) for name, test in PAIRS if not name.startswith("lm") or test == "F"]  # all that R has


def smaller(name: str) -> str:
    return ". ~ . - f:h" if "f * h" in CASES[name][0] else ". ~ . - f" if "f" in CASES[name][0] else ". ~ . - h"


@pytest.mark.r
@pytest.mark.parametrize(("name", "test"), SEQUENCES)
def test_anova_of_one_fit_is_rs(from_r, name, test):
    answer = from_r[name][test]["terms"]
    ours, theirs = fn.anova(fitted(name), test=test), columns(answer)
    assert [term.strip() for term in answer["rows"]] == ours.term.tolist()
    if name.startswith("lm"):
        agree(ours.df, theirs["Df"], "df")
        agree(ours.sum_sq, theirs["Sum Sq"], "sum_sq")
        agree(ours.statistic, theirs["F value"], "F")
    else:
        agree(ours.deviance, theirs["Deviance"], "deviance")
        agree(ours.df_resid, theirs["Resid. Df"], "df_resid")
        agree(ours.resid_deviance, theirs["Resid. Dev"], "resid_deviance")
    if test == "F":
        agree(ours.statistic, theirs.get("F", theirs.get("F value")), "F")
    agree(ours.p_value, p_of(theirs), "p")


@pytest.mark.r
@pytest.mark.parametrize(("name", "test"), PAIRS)
def test_drop1_is_rs(from_r, name, test):
    answer = from_r[name][test]["drop"]
    ours, theirs = fn.drop1(fitted(name), test=test), columns(answer)
    assert ours.term.tolist() == answer["rows"]
    agree(ours.df, theirs["Df"], "df")
    agree(ours.rss if "rss" in ours else ours.deviance, theirs.get("RSS", theirs.get("Deviance")), "deviance")
    if "AIC" in theirs:
        agree(ours.aic, theirs["AIC"], "aic")
        assert ours.aic[0] == pytest.approx(from_r[name]["aic"], rel=1e-9)
    else:
        assert ours.aic.isna().all()
    agree(ours.p_value, p_of(theirs), "p")


@pytest.mark.r
@pytest.mark.parametrize(("name", "test"), PAIRS)
def test_the_comparison_of_two_fits_is_rs(from_r, name, test):
    fit = fitted(name)
    ours, theirs = fn.anova(fn.refit(fit, smaller(name)), fit, test=test), columns(from_r[name][test]["several"])
    agree(ours.df, theirs["Df"], "df")
    agree(ours.p_value, p_of(theirs), "p")


@pytest.mark.r
@pytest.mark.parametrize("name", CASES)
def test_type_three_is_drop1_of_rs_model_in_sum_contrasts(from_r, name):
    ours = fn.anova(fitted(name), type="III", test="F" if name.startswith("lm") else "Chisq")
    answer = from_r[name]["three"]
    theirs = dict(zip(answer["rows"], p_of(columns(answer)), strict=True))
    p = ours.set_index("term").p_value.drop(index="Residuals", errors="ignore")
    if name != "gaussian log":  # R's chi-squared test there is n log(deviance), as drop1's
        agree(p, np.array([theirs[term] for term in p.index]), "p")
