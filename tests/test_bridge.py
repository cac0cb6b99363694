"""The R bridge: what crosses arrives unchanged, what R says is kept, what is missing is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, NoBackend, RFailed, RMissing
from formula_neuro.registry import installed
from formula_neuro_r import data, using
from formula_neuro_r.backend import NO_R, RBackend
from formula_neuro_r.engine import call
from formula_neuro_r.frame import column_from_r, columns_to_r
from formula_neuro_r.missing import missing_rpy2


def echo(values):
    """Through R and back, unchanged by any function of R's."""
    return call("echo", {"values": values}).value["values"]


def model(formula):
    """What fit_lm() takes, for a formula that our own reader would refuse: R code that runs inside a fit."""
    table = pd.DataFrame({"y": [1.0, 2, 4, 3], "x": [1.0, 2, 3, 5]})
    return {"formula": formula, "columns": columns_to_r(table), "rows": 4}


@pytest.fixture(params=[pytest.param("rpy2", marks=pytest.mark.rpy2), "worker"])
def engine(request):
    with using(request.param):
        yield request.param


# ---- without R -----------------------------------------------------------------------------------
def test_without_r_a_backend_says_which_command_installs_it(monkeypatch, tmp_path):
    monkeypatch.delenv("R_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    backend = next(b for b in installed().backends if b.name == "lme4")
    assert backend.unready() == NO_R and "apt-get install r-base-core" in NO_R


def test_the_records_load_neither_rpy2_nor_pandas():
    code = (
        "import sys, formula_neuro_r as r; r.formula_neuro_backends(); "
        "assert not {'rpy2', 'pandas', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_missing_rpy2_names_the_extra():
    assert "formula_neuro[r]" in str(missing_rpy2(ModuleNotFoundError("No module named 'rpy2'", name="rpy2")))


def test_a_failing_rpy2_keeps_its_own_words():
    assert "undefined symbol: R_getVar" in str(missing_rpy2(ImportError("undefined symbol: R_getVar")))


def test_quadrature_is_refused_for_families_with_a_dispersion():
    table = pd.DataFrame({"y": [1.0, 2, 3, 4, 2, 3], "g": list("aabbcc")})
    with pytest.raises(NoBackend, match=r"lme4.*quadrature for binomial and poisson, not for Gamma"):
        fn.fit("y ~ 1 + (1|g)", table, family="Gamma(log)", estimator="AGQ(5)", backend="lme4")


def test_an_lmm_is_not_fitted_by_laplace():
    lme4 = next(b for b in installed().backends if b.name == "lme4")
    assert isinstance(lme4, RBackend)
    table = pd.DataFrame({"y": [1.0, 2, 3, 4, 2, 3], "g": list("aabbcc")})
    with pytest.raises(NoBackend, match="does not fit a lmm by 'laplace'"):
        fn.fit("y ~ 1 + (1|g)", table, estimator="laplace", backend="lme4")


def test_integer_categories_keep_their_declared_order():
    column = columns_to_r(pd.DataFrame({"a": pd.Categorical([3, 1, 3], categories=[3, 2, 1])}))["a"]
    assert column["levels"] == ("3", "1") and column["values"].tolist() == [1, 2, 1]


def test_large_integers_cross_as_numbers():
    column = columns_to_r(pd.DataFrame({"id": [2**31 + 1, 2**40]}))["id"]
    assert column["kind"] == "number" and column["values"].tolist() == [2**31 + 1, 2**40]


def test_a_mixed_column_is_refused():
    with pytest.raises(DataError, match="numbers in 1 rows and texts in 1 rows"):
        columns_to_r(pd.DataFrame({"a": [1, "x"]}, dtype=object))


def test_text_levels_are_sorted_by_code_point():
    assert columns_to_r(pd.DataFrame({"a": ["b", "A", "a", "B"]}))["a"]["levels"] == ("A", "B", "a", "b")


# ---- crossing ------------------------------------------------------------------------------------
@pytest.mark.r
def test_doubles_cross_bit_by_bit(engine):
    values = np.array([0.1 + 0.2, np.nan, np.inf, -np.inf, -0.0, 5e-324, np.nextafter(1, 2)])
    assert echo(values).tobytes() == values.tobytes()


@pytest.mark.r
def test_matrices_keep_their_shape_and_order(engine):
    values = np.arange(6.0).reshape(2, 3)  # C order: rpy2 alone would cut it
    assert np.array_equal(echo(values), values)


@pytest.mark.r
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 3, 4)])
def test_arrays_of_other_shapes_keep_them(engine, shape):
    values = np.arange(float(np.prod(shape))).reshape(shape)
    assert echo(values).shape == shape and np.array_equal(echo(values), values)


@pytest.mark.r
def test_integers_cross_and_stay_integers(engine):
    values = np.array([[1, -(2**31)], [2**31 - 1, 0]], dtype=np.int32)  # the second is R's NA_integer_
    assert echo(values).dtype == np.int32 and np.array_equal(echo(values), values)


@pytest.mark.r
def test_what_is_not_numbers_text_or_lists_does_not_cross(engine):
    with pytest.raises(TypeError, match="an R value of type environment does not cross"):
        call("surroundings", {"columns": {}, "rows": 0})


@pytest.mark.r
def test_a_million_numbers_cross(engine):
    values = np.random.default_rng(0).normal(size=10**6)
    assert np.array_equal(echo(values), values)


@pytest.mark.r
def test_empty_arrays_and_texts_cross(engine):
    assert echo(np.empty(0)).size == 0 and echo(()) == () and echo(("", "a")) == ("", "a")


@pytest.mark.r
def test_texts_with_umlauts_quotes_and_line_breaks_cross(engine):
    texts = ("Mäuse", 'a "b"', "it's", "a\nb", "a\\b", "小鼠", " ")
    assert echo(texts) == texts


@pytest.mark.r
def test_what_is_read_outlives_rs_memory(engine):
    read = [echo(np.full(1000, float(i))) for i in range(50)]
    call("fit_lm", model("y ~ {gc(); x}"))
    assert [r[0] for r in read] == [float(i) for i in range(50)]


@pytest.mark.r
def test_arrays_of_other_types_are_refused(engine):
    with pytest.raises(TypeError, match="float64 and int32"):
        echo(np.zeros(2, dtype=np.float32))


@pytest.mark.r
def test_an_integer_na_arrives_as_nan(rdata):
    table = rdata("datasets", "airquality")  # Ozone holds integers with NA
    assert int(table["Ozone"].isna().sum()) == 37 and table["Ozone"].min() == 1


@pytest.mark.r
def test_ordered_factors_arrive_with_order(rdata):
    assert rdata("lme4", "cake")["temperature"].cat.ordered


@pytest.mark.r
def test_row_names_become_the_index(rdata):
    assert rdata("datasets", "mtcars").index[0] == "Mazda RX4"


@pytest.mark.r
def test_missing_texts_and_logicals_stay_missing():
    text = column_from_r({"kind": ("text",), "values": ("a", ""), "missing": np.array([0, 1])})
    logical = column_from_r({"kind": ("logical",), "values": np.array([1.0, np.nan])})
    assert text == ["a", None] and pd.Series(logical).isna().tolist() == [False, True]


@pytest.mark.r
def test_an_unknown_data_set_lists_those_that_there_are():
    with pytest.raises(RFailed, match="sleepstudy"):
        data("lme4", "sleepstudie")


# ---- names ---------------------------------------------------------------------------------------
@pytest.mark.r
@pytest.mark.parametrize("name", ["if", "function", "dF/F (%)", "Größe", "a b", "_x", "2x"])
def test_a_column_may_bear_any_name(name):
    table = pd.DataFrame({"y": [1.0, 2, 4, 3, 6], name: [1.0, 2, 3, 4, 6]})
    fit = fn.fit(f"y ~ `{name}`", table, backend="r-lm")
    assert np.allclose(fit.beta, np.polyfit(table[name], table["y"], 1)[::-1])


@pytest.mark.r
def test_umlauts_survive_a_machine_without_utf8():
    code = (
        "import pandas as pd, formula_neuro as fn\n"
        "t = pd.DataFrame({'y': [1.0, 2, 4, 3], 'Gr\\u00f6\\u00dfe': [1.0, 2, 3, 5]})\n"
        "assert fn.fit('y ~ Gr\\u00f6\\u00dfe', t, backend='r-lm').names[1] == 'Gr\\u00f6\\u00dfe'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env={**os.environ, "LC_ALL": "C"})


@pytest.mark.r
def test_levels_with_blanks_quotes_and_umlauts_name_coefficients():
    levels = ["a b", 'the "best"', "it's", "Mäuse"]
    table = pd.DataFrame({"y": np.arange(12.0) ** 2, "g": levels * 3})
    assert fn.fit("y ~ g", table, backend="r-lm").names[1:] == tuple(f"g{level}" for level in sorted(levels)[1:])


@pytest.mark.r
@pytest.mark.parametrize("hidden", [".fn_data", "T", "c", "data", "weights"])
def test_a_column_may_bear_a_name_that_r_uses(hidden):
    table = pd.DataFrame({"y": [1.0, 2, 4, 3, 6], hidden: [1.0, 2, 3, 4, 6]})
    fit = fn.fit(f"y ~ `{hidden}`", table, weights=np.array([1.0, 2, 1, 1, 1]), backend="r-lm")
    assert np.allclose(fit.beta, fn.fit(f"y ~ `{hidden}`", table, weights=np.array([1.0, 2, 1, 1, 1])).beta)


@pytest.mark.r
def test_grouping_by_large_integers_keeps_the_groups_apart():
    table = pd.DataFrame({"y": [1.0, 2, 5, 6, 3, 5, 8, 9.5], "id": np.repeat(2**40 + np.arange(4), 2)})
    fit = fn.fit("y ~ 1 + (1|id)", table, backend="lme4")
    assert fit.random[0].modes.shape == (4, 1) and np.all(np.diff(fit.random[0].modes[:3, 0]) != 0)


# ---- what R says ---------------------------------------------------------------------------------
@pytest.mark.r
def test_rs_error_text_arrives():
    with pytest.raises(RFailed, match=r"R stopped: .*fn_nowhere"):
        call("fn_nowhere", {})


@pytest.mark.r
def test_a_missing_package_is_named_with_its_command():
    with pytest.raises(RMissing, match=r"r-cran-nosuchpackage .*conda-forge r-nosuchpackage"):
        call("load_packages", {"packages": ("noSuchPackage",)})


@pytest.mark.r
def test_a_singular_fit_says_so_in_its_messages(rdata):
    fit = fn.fit("Yield ~ 1 + (1|Batch)", rdata("lme4", "Dyestuff2"), backend="lme4")
    assert any("singular" in message for message in fit.messages) and fit.converged


@pytest.mark.r
def test_separation_warnings_of_glm_arrive():
    table = pd.DataFrame({"y": [0, 0, 0, 1, 1, 1], "x": [1.0, 2, 3, 4, 5, 6]})
    fit = fn.fit("y ~ x", table, family="binomial", backend="r-glm")
    assert any("fitted probabilities numerically 0 or 1" in message for message in fit.messages)


@pytest.mark.r
def test_nothing_is_echoed_to_the_console(engine, capfd):
    answer = call("fit_lm", model("y ~ {print('loud'); message('noted'); x}"))
    assert capfd.readouterr() == ("", "") and answer.messages == ("noted",)


@pytest.mark.r
def test_r_starts_without_a_word():
    code = "from formula_neuro_r.engine import call; call('load_packages', {'packages': ('stats',)})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.rpy2
def test_the_workspace_of_r_stays_empty():
    fn.fit("y ~ x", pd.DataFrame({"y": [1.0, 2, 4], "x": [1.0, 2, 3]}), backend="r-lm")
    import rpy2.rinterface as ri

    assert len(ri.baseenv["ls"](ri.globalenv)) == 0


@pytest.mark.r
@pytest.mark.skipif(sys.platform == "win32", reason="there are no POSIX signals")
@pytest.mark.parametrize("engine", [pytest.param("rpy2", marks=pytest.mark.rpy2), "worker"])
def test_ctrl_c_while_r_computes_is_a_keyboard_interrupt(engine):
    code = (
        "from formula_neuro_r.engine import call\n"
        "call('echo', {})\n"
        "print('ready', flush=True)\n"
        "try: call('fit_lm', {'formula': '~ {Sys.sleep(60); 1}', 'columns': {}, 'rows': 0})\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)\n"
        "print(call('echo', {'alive': 1.0}).value['alive'][0])\n"
    )
    environment = {**os.environ, "FORMULA_NEURO_R_ENGINE": engine}
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    time.sleep(0.5)  # R must be inside its sleep
    os.kill(child.pid, signal.SIGINT)
    assert child.communicate(timeout=60)[0].split() == ["interrupted", "1.0"]


# ---- fits ----------------------------------------------------------------------------------------
@pytest.mark.r
def test_an_aliased_coefficient_stays_as_nan():
    table = pd.DataFrame({"y": [1.0, 2, 4, 3], "x": [1.0, 2, 3, 5]}).assign(z=lambda t: 2 * t["x"])
    fit = fn.fit("y ~ x + z", table, backend="r-lm")
    assert fit.aliased == ("z",) and np.isnan(fit.covariance[2]).all() and np.isfinite(fit.covariance[:2, :2]).all()


@pytest.mark.r
def test_an_aliased_coefficient_of_lmer_stays_as_nan(rdata):
    table = rdata("lme4", "sleepstudy").assign(hours=lambda t: 24 * t["Days"])
    assert fn.fit("Reaction ~ Days + hours + (1|Subject)", table, backend="lme4").aliased == ("hours",)


@pytest.mark.r
def test_quadrature_has_the_likelihood_scale_of_laplace(rdata):
    table = rdata("lme4", "cbpp").assign(rest=lambda t: t["size"] - t["incidence"])
    fit = fn.fit(
        "cbind(incidence, rest) ~ period + (1|herd)", table, family="binomial", estimator="AGQ(10)", backend="lme4"
    )
    assert fit.loglik == pytest.approx(-91.98337, abs=1e-4)  # lme4 prints -50.0050; the constant is -41.9784


@pytest.mark.r
def test_terms_of_one_group_stay_apart(rdata):
    fit = fn.fit("Reaction ~ Days + (Days||Subject)", rdata("lme4", "sleepstudy"), backend="lme4")
    assert [(r.group, r.columns) for r in fit.random] == [("Subject", ("(Intercept)",)), ("Subject", ("Days",))]
    assert [r.mode_covariance.shape for r in fit.random] == [(18, 1, 1), (18, 1, 1)]


@pytest.mark.r
def test_the_linear_predictor_holds_random_effects_and_offset(rdata):
    table = rdata("lme4", "sleepstudy").assign(shift=lambda t: 100 + 3 * t["Days"])
    fit = fn.fit("Reaction ~ Days + offset(shift) + (1|Subject)", table, backend="lme4")
    term = fit.request.design.random[0]
    by_hand = fit.request.design.matrix @ fit.beta + term.Z @ fit.random[0].modes.ravel() + table["shift"].to_numpy()
    assert np.allclose(fit.eta, by_hand, rtol=1e-12)


@pytest.mark.r
def test_an_offset_argument_adds_to_that_of_the_formula():
    table = pd.DataFrame({"y": [1.0, 2, 4, 3, 6], "x": [1.0, 2, 3, 4, 6], "o": [0.0, 1, 0, 1, 0]})
    both = fn.fit("y ~ x + offset(o)", table, offset="x", backend="r-lm")
    moved = fn.fit("y2 ~ x", table.assign(y2=lambda t: t["y"] - t["o"] - t["x"]), backend="r-lm")
    assert np.allclose(both.beta, moved.beta, rtol=0, atol=1e-12)


@pytest.mark.r
def test_contrasts_reach_r():
    table = pd.DataFrame({"y": [1.0, 2, 4, 3, 6, 5], "g": list("aabbcc")})
    fit = fn.fit("y ~ g", table, contrasts={"g": "contr.sum"}, backend="r-lm")
    assert fit.names == ("(Intercept)", "g1", "g2") and fit.beta[0] == pytest.approx(3.5)


@pytest.mark.r
def test_shares_with_weights_are_the_fit_of_cbind(rdata):
    table = rdata("lme4", "cbpp").assign(rest=lambda t: t["size"] - t["incidence"])
    one = fn.fit("cbind(incidence, rest) ~ period", table, family="binomial", backend="r-glm")
    two = fn.fit("incidence / size ~ period", table, family="binomial", weights="size", backend="r-glm")
    assert np.allclose(one.beta, two.beta, rtol=1e-10) and one.loglik == pytest.approx(two.loglik, rel=1e-12)


@pytest.mark.r
def test_a_fit_refits_another_response(rdata):
    table = rdata("lme4", "sleepstudy")
    fit = fn.fit("Reaction ~ Days + (1|Subject)", table, backend="lme4")
    again = fit.engine.refit(fit.request.with_response(2 * fit.request.y + 1))
    assert np.allclose(again.beta, 2 * fit.beta + [1, 0], rtol=1e-7)


@pytest.mark.r
def test_a_simulated_count_is_refitted_with_its_trials(rdata):
    table = rdata("lme4", "cbpp").assign(rest=lambda t: t["size"] - t["incidence"])
    fit = fn.fit("cbind(incidence, rest) ~ period", table, family="binomial", backend="r-glm")
    again = fit.engine.refit(fit.request.with_response(1 - fit.request.y))
    assert np.allclose(again.beta, -fit.beta, atol=1e-6)  # glm() stops at a relative change of 1e-8


@pytest.mark.r
@pytest.mark.parametrize(("method", "df"), [("satterthwaite", 17.0), ("kenward-roger", 17.0)])
def test_lmertest_gives_degrees_of_freedom(rdata, method, df):
    fit = fn.fit("Reaction ~ Days + (Days|Subject)", rdata("lme4", "sleepstudy"), backend="lmerTest")
    # by numerical derivatives, at an optimum that is 9e-6 off in theta
    assert np.allclose(fit.engine.df(fit, np.eye(2), method), df, atol=1e-3)


@pytest.mark.r
@pytest.mark.parametrize("call", ["scale(x)", "center(x)", "poly(x, 2)", "I(scale(x)^2)"])
def test_transforms_that_saw_dropped_rows_have_the_same_values_in_r(call):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"y": rng.normal(size=9), "x": np.r_[1.0:9.0, 60], "z": np.r_[rng.normal(size=8), np.nan]})
    fits = [fn.fit(f"y ~ {call} + z", table, backend=backend) for backend in ("native-lm", "r-lm")]
    assert np.allclose(fits[0].beta, fits[1].beta, rtol=1e-10)


@pytest.mark.r
def test_so_have_those_left_of_a_bar(rdata):
    table = rdata("lme4", "sleepstudy").assign(z=1.0)
    table.loc[table["Days"] > 6, "z"] = np.nan
    fits = [fn.fit("Reaction ~ z:Days + (scale(Days)|Subject)", table, backend=b) for b in ("native-lmm", "lme4")]
    # lmer stops where the relative sds are 1e-3 off at most; other constants would be 60 % off
    assert np.allclose(fits[0].random[0].covariance, fits[1].random[0].covariance, rtol=1e-2)


@pytest.mark.r
def test_a_reference_level_that_subset_leaves_out_is_no_error_in_r():
    table = pd.DataFrame({"y": [1.0, 2, 4, 3, 6, 5], "f": list("abcabc")})
    fit = fn.fit('y ~ relevel(factor(f), ref = "c")', table, subset='f != "c"', backend="r-lm")
    assert np.allclose(fit.beta, [2.0, 2.0])


@pytest.mark.r
def test_the_engine_names_its_versions(rdata):
    fit = fn.fit("Yield ~ 1 + (1|Batch)", rdata("lme4", "Dyestuff"), backend="lme4")
    assert fit.engine.version.startswith("lme4 1.") or fit.engine.version.startswith("lme4 2.")
    assert "(R 4." in fit.engine.version
