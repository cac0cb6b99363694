"""One-sided tests and limits: fn.contrast(alternative=) and fn.emmeans(alternative=)."""

from __future__ import annotations

import functools
import io
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.inference.marginal.adjust import TWO_SIDED, Statistics, adjusted, critical
from formula_neuro.inference.marginal.multivariate_t import LargestT
from formula_neuro.inference.sides import GREATER, LESS, TWO, as_side
from formula_neuro.result import Fit

CORRELATION = np.array([[1.0, 0.5, -0.5], [0.5, 1.0, 0.5], [-0.5, 0.5, 1.0]])  # of all pairs of three means: rank 2
ADJUST = ("none", "sidak", "bonferroni", "holm", "hochberg", "fdr", "mvt")


def data() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    f, g = np.tile(list("abcd"), 12), np.repeat(np.arange(12), 4)
    y = np.tile([0.0, 1.0, 0.6, -0.4], 12) + rng.normal(size=12)[g] + rng.normal(size=48)
    return pd.DataFrame({"y": y, "n": rng.poisson(np.exp(1 + y / 3)), "f": f, "g": g})


@functools.cache
def linear() -> Fit:
    return fn.fit("y ~ f", data())


@functools.cache
def mixed() -> Fit:
    return fn.fit("y ~ f + (1 | g)", data())


@functools.cache
def counts() -> Fit:
    return fn.fit("n ~ f", data(), family="poisson")


# ---- contrast ------------------------------------------------------------------------------------
def test_one_sided_p_values_are_tails_of_t():
    row = fn.contrast(mixed(), "fb = 0.5", alternative="greater").table.iloc[0]
    assert row["p_value"] == pytest.approx(stats.t.sf(row["statistic"], row["df"]), rel=1e-12)
    assert fn.contrast(mixed(), "fb = 0.5", alternative="less").table.p_value[0] == pytest.approx(1 - row["p_value"])


def test_a_one_sided_limit_is_where_the_test_is_at_its_level():
    row = fn.contrast(linear(), "fb", alternative="greater", conf_level=0.9).table.iloc[0]
    assert row["conf_high"] == np.inf
    assert fn.contrast(linear(), f"fb = {float(row['conf_low'])!r}", alternative="greater").table.p_value[
        0
    ] == pytest.approx(0.1)


def test_the_sides_are_mirrors():
    up, down = (fn.contrast(linear(), h, alternative=a).table.iloc[0] for h, a in (("fb", "greater"), ("-fb", "less")))
    assert up["p_value"] == pytest.approx(down["p_value"]) and up["conf_low"] == pytest.approx(-down["conf_high"])


def test_the_joint_test_has_no_sides():
    rows = ["fb = 0", "fc = 0"]
    one, two = fn.contrast(linear(), rows, alternative="less").joint, fn.contrast(linear(), rows).joint
    assert one.equals(two)


def test_robust_tests_take_sides():
    row = fn.contrast(linear(), "fb", vcov={"cluster": "g"}, alternative="greater").table.iloc[0]
    assert row["p_value"] == pytest.approx(stats.t.sf(row["statistic"], row["df"])) and row["conf_high"] == np.inf


def test_likelihood_ratios_have_no_sides():
    with pytest.raises(ValueError, match=r"alternative='less' is of Wald tests; test='lr' has no sides"):
        fn.contrast(counts(), "fb", test="lr", alternative="less")


@pytest.mark.parametrize("word, side", [("two-sided", TWO), ("!=", TWO), ("right", GREATER), ("<", LESS), (-1, LESS)])
def test_sides_are_read_as_r_writes_them(word, side):
    assert as_side(word) == side


@pytest.mark.parametrize("word", ["up", None, [1]])
def test_what_is_no_side_is_refused(word):
    with pytest.raises(ValueError, match=r"there are two\.sided, greater, less"):
        fn.contrast(linear(), "fb", alternative=word)


# ---- adjustments ---------------------------------------------------------------------------------
@pytest.mark.parametrize("side", [GREATER, LESS])
@pytest.mark.parametrize("method", [m for m in ADJUST if m not in ("holm", "hochberg", "fdr")])
def test_critical_values_invert_adjusted_p_values(method, side):
    made = Statistics(np.zeros(3), np.full(3, 9.0), CORRELATION, 3, side)
    c = critical(made, method, 0.95)
    p = adjusted(Statistics(side * c, np.full(3, 9.0), CORRELATION, 3, side), method)
    assert np.allclose(p, 0.05, atol=2e-5)  # the quasi-random points of mvt


def test_the_largest_of_independent_t_one_sided():
    assert LargestT(np.eye(3), np.inf, sides=1).tail(1.5) == pytest.approx(1 - stats.norm.cdf(1.5) ** 3, abs=1e-5)


def test_the_larger_of_a_statistic_and_its_negative_is_its_size():
    opposite = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert LargestT(opposite, 7.0, sides=1).tail(2.0) == pytest.approx(2 * stats.t.sf(2.0, 7))


def test_the_largest_of_pairs_is_half_the_range_by_simulation():
    # max over i < j of x_i - x_j, ordered pairs: 2e5 draws, standard error below 1e-3
    x = np.random.default_rng(5).normal(size=(200_000, 3))
    pairs = np.stack([x[:, 0] - x[:, 1], x[:, 0] - x[:, 2], x[:, 1] - x[:, 2]]) / np.sqrt(2)
    R = np.array([[1.0, 0.5, -0.5], [0.5, 1.0, 0.5], [-0.5, 0.5, 1.0]])
    assert LargestT(R, np.inf, sides=1).tail(1.7) == pytest.approx((pairs.max(axis=0) > 1.7).mean(), abs=4e-3)


@pytest.mark.parametrize("method", TWO_SIDED)
def test_adjustments_of_sizes_take_no_side(method):
    with pytest.raises(ValueError, match="is of two-sided tests; take 'sidak'"):
        adjusted(Statistics(np.ones(3), np.full(3, 9.0), CORRELATION, 3, GREATER), method)


# ---- emmeans -------------------------------------------------------------------------------------
def test_tukey_becomes_sidak_for_one_side_and_says_so():
    found = fn.emmeans(linear(), "f", "pairwise", alternative="greater")
    assert found.contrasts.equals(
        fn.emmeans(linear(), "f", "pairwise", alternative="greater", adjust="sidak").contrasts
    )
    assert (
        'Note: adjust = "tukey" was changed to "sidak" because "tukey" is not appropriate for one-sided inferences'
        in found.messages
    )
    assert "P values are right-tailed" in found.messages


def test_one_sided_limits_of_rates_start_at_zero():
    found = fn.emmeans(counts(), "f", "pairwise", type="response", alternative="less")
    assert (found.means["conf_low"] < 1e-15).all()  # the inverse link, as R's, keeps above 0
    assert (found.contrasts["conf_low"] == 0).all()


R = """
suppressMessages(library(emmeans))
d <- read.csv("DATA"); d$g <- factor(d$g)
fits <- list(linear = lm(y ~ f, d), counts = glm(n ~ f, poisson, d))
out <- NULL
for (name in names(fits)) for (side in c("<", ">")) for (how in c("pairwise", "trt.vs.ctrl"))
  for (adjust in if (name == "counts") c("none", "tukey") else
                   c("none", "tukey", "dunnettx", "scheffe", "sidak", "bonferroni", "holm", "hochberg", "fdr", "mvt")) {
    set.seed(1)
    e <- emmeans(fits[[name]], "f")
    r <- suppressMessages(summary(contrast(e, how), infer = c(TRUE, TRUE), side = side, adjust = adjust))
    r <- as.data.frame(r)
    names(r)[match(c("asymp.LCL", "asymp.UCL", "z.ratio"), names(r), 0)] <- c("lower.CL", "upper.CL", "t.ratio")[
      c("asymp.LCL", "asymp.UCL", "z.ratio") %in% names(r)]
    out <- rbind(out, data.frame(fit = name, side, how, adjust, contrast = r$contrast, low = r$lower.CL,
                                 high = r$upper.CL, t = r$t.ratio, p = r$p.value))
  }
m <- suppressMessages(as.data.frame(summary(emmeans(fits$linear, "f"), infer = c(TRUE, FALSE), side = "<")))
out <- rbind(out, data.frame(fit = "linear", side = "<", how = "means", adjust = "none", contrast = m$f,
                             low = m$lower.CL, high = m$upper.CL, t = NA, p = NA))
write.csv(out, stdout(), row.names = FALSE)
"""


@functools.cache
def in_r(folder: str) -> pd.DataFrame:
    data().to_csv(f"{folder}/d.csv", index=False)
    script = R.replace("DATA", f"{folder}/d.csv")
    done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    return pd.read_csv(io.StringIO(done.stdout))


@pytest.fixture(scope="module")
def emmeans_in_r(tmp_path_factory) -> pd.DataFrame:
    return in_r(str(tmp_path_factory.mktemp("sides")))


@pytest.mark.r
@pytest.mark.parametrize("model", [linear, counts])
@pytest.mark.parametrize("side", ["<", ">"])
@pytest.mark.parametrize("how", ["pairwise", "trt.vs.ctrl"])
def test_one_sided_contrasts_are_those_of_emmeans(model, side, how, emmeans_in_r):
    table = emmeans_in_r[lambda d: (d.fit == model.__name__) & (d.side == side) & (d.how == how)]
    for adjust, theirs in table.groupby("adjust"):
        ours = fn.emmeans(model(), "f", how, alternative=side, adjust=adjust).contrasts
        # R's mvt is by random points, whose own error is 1e-3; what is left is its glm's convergence
        loose = adjust == "mvt"
        assert np.allclose(ours["p_value"], theirs["p"], atol=1e-3 if loose else 1e-7), adjust
        for name, column in (("low", "conf_low"), ("high", "conf_high")):
            assert np.allclose(ours[column], theirs[name], atol=4e-3 if loose else 1e-6), (adjust, name)


@pytest.mark.r
def test_one_sided_limits_of_means_are_those_of_emmeans(emmeans_in_r):
    theirs = emmeans_in_r[lambda d: d.how == "means"]
    ours = fn.emmeans(linear(), "f", alternative="less").means
    assert np.allclose(ours["conf_high"], theirs["high"], atol=1e-8) and np.isneginf(ours["conf_low"]).all()
