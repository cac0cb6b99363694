"""The report is one page, complete in itself, true to the fit, and safe with any name."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.comparing.agreement import Agreement
from formula_neuro.data.table import source
from formula_neuro.display.kept_data import data_words, kept_table
from formula_neuro.display.recipes import python_code, r_code
from formula_neuro.display.report import coefficient_table, html, report
from formula_neuro.display.sentences import sentences
from formula_neuro.display.separation_words import separation_words


@pytest.fixture(scope="module")
def logistic():
    return fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family="binomial")


@pytest.fixture(scope="module")
def page(logistic):
    return html(logistic)


class Page(HTMLParser):
    """The tags with their attributes, and tags that are left open."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_asks_nothing_of_the_network(page):
    addresses = [
        v for _, attrs in Page(page).found for k, v in attrs.items() if k in ("src", "href", "srcset", "action")
    ]
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert "<script" not in page and "@import" not in page and "url(" not in page
    assert "default-src 'none'" in page


def test_every_tag_is_closed(page):
    assert Page(page).open == []


def test_the_page_shows_the_numbers_of_the_fit(page, logistic):
    row = logistic.tidy(exponentiate=True).set_index("term").loc["dff"]
    assert f"{row['estimate']:.3f}" in page and f"{row['conf_low']:.3f} to {row['conf_high']:.3f}" in page
    assert f"{logistic.aic:.2f}" in page


def test_the_page_says_that_the_data_are_simulated(page):
    assert "SIMULATED" in page


def test_every_picture_has_its_caption_and_a_text_for_those_who_cannot_see_it(page):
    images = [attrs for tag, attrs in Page(page).found if tag == "img"]
    assert len(images) == 5 == page.count("<figcaption>")
    assert all(len(attrs["alt"]) > 40 for attrs in images)


def test_the_table_of_the_code_is_on_the_page(page):
    (data,) = re.findall(r'download="data.csv" href="data:text/csv;charset=utf-8;base64,([^"]*)"', page)
    assert len(pd.read_csv(StringIO(base64.b64decode(data).decode()))) == 512


def test_the_tables_to_keep_hold_the_fits_own_numbers(page, logistic):
    (address,) = [attrs["href"] for tag, attrs in Page(page).found if attrs.get("download") == "coefficients.csv"]
    table = pd.read_csv(StringIO(base64.b64decode(address.split(",")[1]).decode()))
    # to_csv writes all digits of a float.
    pd.testing.assert_series_equal(table["estimate"], logistic.tidy()["estimate"], rtol=1e-15)


def test_names_from_the_data_are_escaped():
    table = pd.DataFrame({"y": [1.0, 2, 4, 3, 6], "<b>x</b>&\"'": [1.0, 2, 3, 4, 5]})
    page = html(fn.fit("y ~ `<b>x</b>&\"'`", table))
    assert "<b>" not in page and "&lt;b&gt;x&lt;/b&gt;&amp;" in page


def test_messages_and_a_failed_convergence_are_seen(logistic):
    page = html(replace(logistic, converged=False, messages=("3 of 515 rows dropped",)))
    assert "did not converge" in page and "3 of 515 rows dropped" in page


def test_a_folder_that_is_not_there_is_an_error_before_the_work(logistic, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
        report(logistic, tmp_path / "no" / "fit.html")


def test_a_folder_is_no_file(logistic, tmp_path):
    with pytest.raises(IsADirectoryError, match=r"report\.html"):
        report(logistic, tmp_path)


def test_the_path_written_is_returned(logistic, tmp_path):
    path = logistic.report(tmp_path / "fit.html")
    assert path == str(tmp_path / "fit.html") and (tmp_path / "fit.html").stat().st_size > 100_000


def test_the_python_code_makes_the_same_fit(logistic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fn.datasets.waterlick().to_csv("data.csv", index=False)
    scope: dict = {}
    exec(python_code(logistic), scope)
    assert scope["m"].coef.tolist() == pytest.approx(logistic.coef.tolist(), rel=1e-12)  # the csv keeps all digits


@pytest.mark.parametrize(
    ("estimator", "python", "r"),
    [("ml", 'estimator="ml"', "REML = FALSE"), ("reml", '"data.csv")', "lmerTest::lmer(")],
)
def test_the_code_names_the_estimator(estimator, python, r):
    m = fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick(), estimator=estimator)
    assert python in python_code(m) and r in r_code(m)


@pytest.mark.r
def test_the_r_code_runs_and_finds_the_same(logistic, tmp_path):
    import subprocess

    fn.datasets.waterlick().to_csv(tmp_path / "data.csv", index=False)
    code = r_code(logistic) + "\ncat(lme4::fixef(m))"
    done = subprocess.run(["Rscript", "-e", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = [float(word) for word in re.findall(r"\S+", done.stdout.splitlines()[-1])]
    assert found == pytest.approx(logistic.coef.tolist(), rel=1e-3)  # glmer stops near the optimum


@pytest.mark.r
def test_the_verdict_of_r_is_on_the_page(logistic):
    page = html(logistic, fn.crosscheck(logistic))
    assert "native-glmm agrees with lme4" in page and page.count(">yes</td>") == 5


@pytest.mark.r
def test_a_disagreement_is_on_the_page(logistic):
    check = fn.crosscheck(logistic)
    off = replace(check.compared[0], difference=1.0)
    assert "DISAGREES" in html(logistic, replace(check, compared=(off, *check.compared[1:])))


def test_a_reference_without_an_answer_is_on_the_page_in_words(logistic):
    check = Agreement("native-glmm", "lme4", (), (0.1, 0.2), ("lme4 stopped with an error: R stopped",), "an error")
    page = html(logistic, check)
    assert "neither confirmed nor contradicted: lme4 did not finish." in page and "DISAGREES" not in page
    assert "lme4 stopped with an error" in page and 'aria-label="Cross-check"' not in page


# ---- separation, bias reduction, families --------------------------------------------------------
@pytest.fixture(scope="module")
def lesions():
    x = np.repeat([0, 1], [14, 6])
    z = np.random.default_rng(2).normal(size=20)
    return pd.DataFrame({"x": x, "z": z, "y": np.where(x == 1, 1, np.arange(20) % 3 == 0).astype(int)})


@pytest.fixture(scope="module")
def infinite(lesions):
    return fn.fit("y ~ x + z", lesions, family="binomial")


def test_separation_has_a_box_with_the_coefficient_its_sign_and_the_reason(infinite):
    page = html(infinite)
    assert "<strong>Separation</strong>" in page
    assert "x: maximum likelihood moves it to +infinity; in all 6 rows where it is 1, the response is 1." in page
    assert "estimator=&#34;mean_br&#34;" in page


def test_the_box_gives_the_one_limit_that_the_data_give(infinite):
    low = fn.confint(infinite, "x", method="profile")["conf_low"].iloc[0]
    assert f"The likelihood ratio still bounds it (95 %): at least {low:.3g}." in html(infinite)


def test_an_infinite_estimate_is_no_number_on_the_page(infinite):
    table = {row[0]: row[1:] for row in coefficient_table(infinite)["rows"]}
    assert table["x"][0] == "+∞" and table["x"][1:5] == ["–", "–", "–", "–"]


def test_a_separated_bias_reduced_fit_is_told_apart(lesions):
    m = fn.fit("y ~ x + z", lesions, family="binomial", estimator="mean_br")
    words = separation_words(replace(m, separated={"x": 1.0}, separation="quasi-complete"))
    assert not words.infinite and "stay finite" in words.advice and "at least" not in words.coefficients[0]
    assert "Firth 1993" in html(m)


def test_a_fit_without_separation_has_no_box(page):
    assert "<strong>Separation</strong>" not in page


def test_rows_that_were_lost_are_counted():
    trials = fn.datasets.waterlick()
    trials.loc[:4, "dff"] = np.nan
    assert "507 of 512 rows used (5 for missing dff)." in html(fn.fit("lick ~ dff", trials, family="binomial"))


RECIPES = {
    "mean_br": ({"family": "binomial", "estimator": "mean_br"}, 'estimator="mean_br"', 'type = "AS_mean"'),
    "jeffreys": ({"family": "binomial", "estimator": "jeffreys(0.3)"}, 'estimator="jeffreys(0.3)"', "a = 0.3"),
    "quasi": ({"family": "quasibinomial"}, 'family="quasibinomial(logit)"', 'quasibinomial(link = "logit")'),
    "nbinom2": ({"family": "nbinom2"}, 'family="nbinom2(log)"', "MASS::glm.nb("),
    "weights": ({"weights": "w"}, 'weights="w"', "weights = w"),
    "offset": ({"offset": "log(w)"}, 'offset="log(w)"', "offset = log(w)"),
    "subset": ({"subset": "w > 1"}, 'subset="w > 1"', "subset = w > 1"),
    "array": ({"weights": np.ones(20)}, 'weights="weights"', "weights = weights"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_code_has_every_argument(lesions, name):
    arguments, python, r = RECIPES[name]
    m = fn.fit("y ~ z", lesions.assign(w=1.0 + np.arange(20) % 4), **arguments)
    assert python in python_code(m) and r in r_code(m)


@pytest.mark.r
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "array"])
def test_the_code_in_r_finds_the_same(lesions, name, tmp_path):
    import subprocess

    table = lesions.assign(w=1.0 + np.arange(20) % 4)
    m = fn.fit("y ~ z", table, **RECIPES[name][0])
    table.to_csv(tmp_path / "data.csv", index=False)
    code = r_code(m).replace("summary(m)", "cat(format(coef(m), digits = 15))")
    done = subprocess.run(["Rscript", "-e", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = [float(word) for word in done.stdout.split()]
    assert found == pytest.approx(m.coef.tolist(), rel=1e-4)  # R's glm and brglm2 stop at 1e-8 and 1e-6


# ---- the page's own table --------------------------------------------------------------------------
def pasted(m, folder, monkeypatch) -> fn.Fit:
    """The fit that a page's Python code makes where the page's table lies beside it."""
    monkeypatch.chdir(folder)
    table = kept_table(m.request, python_code(m))
    assert table is not None
    table.to_csv("data.csv", index=False)
    scope: dict = {}
    exec(python_code(m), scope)
    return scope["m"]


def test_factors_of_digits_are_still_factors_where_the_code_is_pasted(tmp_path, monkeypatch):
    cells = fn.datasets.calcium_amplitude().query("midx.astype('str') in ('1', '2', '3')")
    m = fn.fit("res ~ treatment + (1|midx/cidx)", cells)
    again = pasted(m, tmp_path, monkeypatch)
    assert list(again.coef.index) == ["(Intercept)", "treatment2"] and again.nobs == m.nobs
    assert again.coef.tolist() == pytest.approx(m.coef.tolist(), rel=1e-6)  # two searches from the same start


def test_levels_keep_their_order_and_arrays_their_place_where_the_code_is_pasted(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    dose = pd.Categorical(rng.choice(["none", "low", "high"], 40), ["none", "low", "high"])
    table = pd.DataFrame({"y": rng.normal(size=40), "dose": dose, "unused": 1.0})
    m = fn.fit("y ~ dose", table, weights=rng.uniform(1, 2, 40), subset=np.arange(40) > 3)
    again = pasted(m, tmp_path, monkeypatch)
    assert list(again.coef.index) == ["(Intercept)", "doselow", "dosehigh"] and again.nobs == 36
    assert again.coef.tolist() == pytest.approx(m.coef.tolist(), rel=1e-12)
    assert "unused" not in pd.read_csv("data.csv")


def test_data_of_a_file_are_named_and_not_copied(tmp_path):
    path = tmp_path / "trials.tsv"
    fn.datasets.waterlick().to_csv(path, sep="\t", index=False)
    m = fn.fit("dff ~ lick", path)
    assert data_words(m.request) == "trials.tsv" and kept_table(m.request, "") is None
    assert str(path) in python_code(m) and "read.delim(" in r_code(m)


def test_what_is_made_of_a_files_table_is_not_told_as_the_file(tmp_path):
    path = tmp_path / "trials.csv"
    fn.datasets.waterlick().to_csv(path, index=False)
    whole = fn.fit("dff ~ lick", path).augment()
    m = fn.fit("dff ~ lick", whole[whole["std_residual"].abs() < 2])
    changed = fn.fit("dff ~ lick", path).request.design.given.table.assign(dff=1.0)
    assert data_words(m.request) == f"a table of {m.nobs} × {len(whole.columns)}" and str(path) not in python_code(m)
    assert source(changed) == "" and source(changed.assign(dff=fn.datasets.waterlick()["dff"])) == str(path)


def test_a_page_holds_only_columns_that_the_fit_reads_and_says_so(tmp_path):
    table = fn.datasets.waterlick().assign(family="Smith", data=1)
    m = fn.fit("lick ~ dff", table, family="binomial", weights="data")
    text = Path(m.report(tmp_path / "page.html")).read_text(encoding="utf-8")
    assert "data.csv holds all 512 rows of the columns that the fit reads (dff, lick, data)" in text
    assert list(kept_table(m.request, python_code(m))) == ["dff", "lick", "data"]


def test_an_interaction_is_told_before_the_effects_beside_it():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"x": rng.normal(size=60), "g": list("ab") * 30, "z": rng.normal(size=60)})
    table["y"] = table["x"] * (table["g"] == "b") + 0.1 * rng.normal(size=60)
    first, second = sentences(fn.fit("y ~ x*g + z", table))
    assert first.startswith("The effect of each unit of x on y is higher by 0.9") and first.endswith(
        "g = b rather than a."
    )
    assert "for each unit of z" in second


def test_a_page_says_when_and_with_what_it_was_made(page):
    assert re.search(r"Made on \d{4}-\d\d-\d\d \d\d:\d\d UTC by formula_neuro .*, Python 3\.\d+\.\d+, numpy", page)
    assert "No comparison was asked for" in page
