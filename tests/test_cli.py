"""The command line: results on stdout, the rest on stderr, one line an error, and a status that says which kind."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import formula_neuro as fn
from formula_neuro.cli import app
from formula_neuro.errors import RMissing

MIXED = "lick ~ dff + (1|mouseID)"


@pytest.fixture
def trials(tmp_path, monkeypatch):
    """A csv of the trials in the current folder."""
    monkeypatch.chdir(tmp_path)
    fn.datasets.waterlick().to_csv("trials.csv", index=False)
    return "trials.csv"


def run(*words: str):
    return CliRunner().invoke(app, list(words))


# ---- what goes right -----------------------------------------------------------------------------
def test_fit_prints_the_summary_with_odds_ratios(trials):
    done = run("fit", MIXED, trials, "--family", "binomial")
    assert done.exit_code == 0
    assert "Generalized linear mixed model fit by maximum likelihood" in done.stdout and "Odds ratios" in done.stdout


def test_json_is_all_that_stdout_holds(trials):
    done = run("fit", MIXED, trials, "--family", "binomial", "--json")
    record = json.loads(done.stdout)
    assert record["backend"] == "native-glmm" and record["groups"] == {"mouseID": 8}
    assert record["coefficients"][1]["term"] == "dff" and record["coefficients"][1]["df"] is None
    assert record["crosscheck"] is None


def test_messages_go_to_stderr(trials):
    done = run("fit", "dff ~ lick + I(2 * lick)", trials)
    assert "linear combination" in done.stderr and "linear combination" not in done.stdout


def test_out_writes_the_tables(trials, tmp_path):
    run("fit", MIXED, trials, "--family", "binomial", "--out", "new/tables")
    found = sorted(path.name for path in (tmp_path / "new/tables").iterdir())
    assert found == ["coefficients.csv", "fit.csv", "random_effects.csv", "rows.csv", "summary.txt", "variances.csv"]


def test_report_writes_the_page(trials, tmp_path):
    done = run("fit", "dff ~ lick", trials, "--report", "fit.html", "--json")
    assert json.loads(done.stdout)["written"] == ["fit.html"] and (tmp_path / "fit.html").exists()


def test_weights_and_offset_name_columns(trials):
    done = run("fit", "dff ~ 1", trials, "--weights", "mouseID", "--offset", "lick", "--json")
    table = fn.datasets.waterlick()
    mean = ((table["dff"] - table["lick"]) * table["mouseID"]).sum() / table["mouseID"].sum()
    assert json.loads(done.stdout)["coefficients"][0]["estimate"] == pytest.approx(mean, rel=1e-12)  # same sums


def test_backends_are_listed(trials):
    assert "native-lmm" in run("backends").stdout
    assert {"name", "ready", "why_not"} <= json.loads(run("backends", "--json").stdout)[0].keys()


def test_tasks_are_listed_as_json():
    assert isinstance(json.loads(run("tasks", "--json").stdout), list)


def test_doctor_answers_in_json():
    names = [finding["name"] for finding in json.loads(run("doctor", "--json").stdout)]
    assert {"Python", "formula_neuro", "torch"} <= set(names)


def test_the_version_is_the_packages():
    assert run("--version").stdout.strip() == f"formula-neuro {fn.__version__}"


def test_python_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "formula_neuro", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("formula-neuro ")


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from formula_neuro.cli import app;"
        "CliRunner().invoke(app, ['--help']);"
        "print([m for m in ('numpy', 'pandas', 'scipy', 'matplotlib', 'torch', 'rpy2') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# ---- what goes wrong -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["dff ~", "trials.csv"], 2, "the right side is empty"),
        (["dff ~ lik", "trials.csv"], 2, "did you mean lick?"),
        (["dff ~ lick", "none.csv"], 2, "no such file"),
        (["dff ~ lick", "trials.csv", "--family", "normal"], 2, "family='normal' is not known"),
        (["dff ~ lick", "trials.csv", "--backend", "lm9"], 2, "backend='lm9' is not known"),
        (["dff ~ lick", "trials.csv", "--family", "binomial", "--backend", "native-lm"], 2, "outside [0, 1]"),
        (["dff ~ lick", "trials.csv", "--weights", "w"], 2, "w"),
        (["dff ~ lick", "trials.csv", "--report", "no/fit.html"], 2, "does not exist"),
        (["dff ~ lick", "trials.csv", "--out", "trials.csv"], 2, "trials.csv"),
    ],
)
def test_an_error_is_one_line_and_a_status(trials, words, status, says):
    done = run("fit", *words)
    assert (done.exit_code, done.stdout) == (status, "")
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("formula-neuro: ") and says in done.stderr


def test_no_traceback_unless_asked_for(trials):
    assert run("fit", "dff ~ lik", trials).exception.__class__ is SystemExit
    assert isinstance(run("--debug", "fit", "dff ~ lik", trials).exception, fn.errors.FormulaError)


def test_a_fit_that_fails_is_status_1(trials, monkeypatch):
    def fails(*arguments, **options):
        raise fn.errors.FitError("the Hessian is not positive definite; rescale the predictors")

    monkeypatch.setattr("formula_neuro.fitting.fit", fails)
    done = run("fit", "dff ~ lick", trials)
    assert done.exit_code == 1 and "rescale the predictors" in done.stderr


def test_a_bug_is_named_as_one(trials, monkeypatch):
    def fails(*arguments, **options):
        raise AttributeError("oops")

    monkeypatch.setattr("formula_neuro.fitting.fit", fails)
    done = run("fit", "dff ~ lick", trials)
    assert done.exit_code == 1 and done.stderr.strip() == "formula-neuro: AttributeError: oops; --debug shows where"


def test_an_unknown_option_is_usage():
    assert run("fit", "y ~ x", "d.csv", "--famly", "binomial").exit_code == 2


# ---- R -------------------------------------------------------------------------------------------
@pytest.fixture
def without_r(monkeypatch):
    def missing(fit):
        raise RMissing("the cross-check refits in R: lme4 needs rpy2: pip install ...")

    monkeypatch.setattr("formula_neuro.agreement.crosscheck", missing)


def test_a_crosscheck_without_r_prints_the_fit_and_is_status_4(trials, without_r):
    done = run("fit", "dff ~ lick", trials, "--crosscheck")
    assert done.exit_code == 4 and "Coefficients:" in done.stdout and "needs rpy2" in done.stderr


def test_the_demo_without_r_is_fine_and_says_what_is_missing(trials, without_r, tmp_path):
    done = run("demo")
    assert done.exit_code == 0 and "not checked against R: " in done.stderr and "needs rpy2" in done.stderr
    assert "SIMULATED" in done.stderr and "The odds of lick = 1 rise by 6.4 %" in done.stdout
    assert (tmp_path / "waterlick.html").exists()


def test_a_disagreement_is_status_3(trials, monkeypatch):
    from formula_neuro.comparing.agreement import Agreement, Compared
    from formula_neuro.comparing.tolerances import LM

    off = Compared("sigma", "", 1.0, 2.0, 0.5, LM["sigma"])
    monkeypatch.setattr("formula_neuro.agreement.crosscheck", lambda fit: Agreement("a", "b", (off,), (0.1, 0.2)))
    done = run("fit", "dff ~ lick", trials, "--crosscheck")
    assert done.exit_code == 3 and "DISAGREES" in done.stdout


def test_a_reference_that_did_not_finish_is_status_0_and_null(trials, monkeypatch):
    from formula_neuro.comparing.agreement import Agreement

    check = Agreement("a", "b", (), (0.1, 0.2), ("b did not finish: it did not converge.",), "it did not converge")
    monkeypatch.setattr("formula_neuro.agreement.crosscheck", lambda fit: check)
    done = run("fit", "dff ~ lick", trials, "--crosscheck")
    assert done.exit_code == 0 and "a can be neither confirmed nor contradicted: b did not finish" in done.stdout
    record = json.loads(run("fit", "dff ~ lick", trials, "--crosscheck", "--json").stdout)["crosscheck"]
    assert record["ok"] is None and record["verdict"] == "unfinished"


@pytest.mark.r
def test_a_crosscheck_with_r_agrees(trials):
    done = run("fit", MIXED, trials, "--family", "binomial", "--crosscheck", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["crosscheck"]["ok"] is True


@pytest.fixture
def without_jinja(monkeypatch):
    from formula_neuro.display import page

    monkeypatch.setattr(page, "find_spec", lambda name: None)


def test_the_demo_without_what_pages_need_prints_the_fit_and_says_what_to_install(trials, without_r, without_jinja):
    done = run("demo")
    assert done.exit_code == 0 and "The odds of lick = 1 rise by 6.4 %" in done.stdout
    assert 'no report: reports need jinja2 and matplotlib: pip install "formula_neuro[plot]"' in done.stderr


def test_a_report_that_cannot_be_made_is_said_before_the_fit(trials, without_jinja):
    done = run("fit", "dff ~ lick", trials, "--report", "out.html")
    assert done.exit_code == 1 and done.stdout == "" and "reports need jinja2" in done.stderr


def test_the_list_of_commands_says_each_in_a_whole_sentence():
    done = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"})
    commands = done.stdout.split("Commands:\n")[1].splitlines()
    assert len(commands) == len(app.registered_commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)


@pytest.mark.r
def test_the_demo_prints_rs_verdict(trials):
    done = run("demo", "--out", "d.html")
    assert done.exit_code == 0 and "agrees with lme4" in done.stdout
