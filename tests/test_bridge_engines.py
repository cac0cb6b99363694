"""The two engines of the R bridge: the same numbers from both, and workers that outlive what happens to them."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import RFailed, RMissing
from formula_neuro.registry import installed
from formula_neuro_r import using, worker
from formula_neuro_r.engine import call, chosen
from formula_neuro_r.frame import columns_to_r
from formula_neuro_r.wire import TEXT, decode, encode

posix = pytest.mark.skipif(sys.platform == "win32", reason="workers need POSIX")
TABLE = pd.DataFrame({"y": [1.0, 2, 4, 3], "x": [1.0, 2, 3, 5]})


def model(formula):
    """What fit_lm() takes, for a formula that our own reader would refuse: R code that runs inside a fit."""
    return {"formula": formula, "columns": columns_to_r(TABLE), "rows": 4}


def run(code, **environment):
    """What a fresh Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


# ---- bytes ---------------------------------------------------------------------------------------
def test_a_tree_of_values_is_read_as_it_was_written():
    tree = {"a": np.arange(6.0).reshape(2, 3), "b": {"c": ("x", "ü", ""), "d": None}, "e": {}}
    read = decode(b"".join(encode(tree)))
    assert np.array_equal(read.pop("a"), tree.pop("a")) and read == tree


def test_a_missing_text_is_read_as_none():
    assert decode(np.array([TEXT, 1, 2, -1, 2], dtype=np.int32).tobytes() + b"NA") == (None, "NA")


# ---- the same numbers ----------------------------------------------------------------------------
def numbers(fit):
    """Every array and number of a fit."""
    plain = [getattr(fit, f.name) for f in dataclasses.fields(fit) if f.name not in ("request", "engine", "seconds")]
    random = [value for effect in fit.random for value in dataclasses.astuple(effect)]
    return [np.asarray(v, dtype=float) for v in [*plain, *random] if isinstance(v, (np.ndarray, int, float))]


def both(*arguments, **options):
    fits = []
    for engine in ("rpy2", "worker"):
        with using(engine):
            fits.append(fn.fit(*arguments, **options))
    return fits


def same(one, two):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(numbers(one), numbers(two), strict=True))


EXAMPLES = {  # by the first model that a backend fits
    "glm": ("speed ~ dist", "datasets", "cars", "poisson"),
    "lm": ("dist ~ speed", "datasets", "cars", "gaussian"),
    "lmm": ("Reaction ~ Days + (Days|Subject)", "lme4", "sleepstudy", "gaussian"),
    "gee": ("Reaction ~ Days", "lme4", "sleepstudy", "gaussian"),
}


@pytest.mark.rpy2
@pytest.mark.parametrize("backend", [b for b in installed().backends if b.language == "R"], ids=lambda b: b.name)
def test_both_engines_give_the_same_bits(rdata, backend):
    formula, package, name, family = EXAMPLES[next(m for m in EXAMPLES if m in backend.models)]
    estimator = sorted(backend.estimators)[0] if "glm" in backend.models else None
    estimator = fn.GEE("Subject") if "gee" in backend.models else estimator
    one, two = both(formula, rdata(package, name), family=family, estimator=estimator, backend=backend.name)
    assert same(one, two) and one.messages == two.messages


@pytest.mark.rpy2
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("engine", ["rpy2", "worker"])
def test_coefficients_that_r_leaves_out_are_quiet_nans(engine):
    table = {"y": [1.0, 2, 4, 3], "x": [0.0, 1, 2, 3], "twice": [0.0, 2, 4, 6]}
    with using(engine):
        m = fn.fit("y ~ x + twice", table, backend="r-lm")
    assert np.isnan(m.beta - 1.0).tolist() == [False, False, True]


@pytest.mark.rpy2
def test_both_engines_give_the_same_bits_of_a_glmm(rdata):
    table = rdata("lme4", "cbpp").assign(rest=lambda t: t["size"] - t["incidence"])
    assert same(*both("cbind(incidence, rest) ~ period + (1|herd)", table, family="binomial", backend="lme4"))


@pytest.mark.rpy2
def test_both_engines_give_the_same_degrees_of_freedom(rdata):
    fits = both("Reaction ~ Days + (Days|Subject)", rdata("lme4", "sleepstudy"), backend="lmerTest")
    found = []
    for engine in ("rpy2", "worker"):
        with using(engine):
            found.append(fits[0].engine.df(fits[0], np.eye(2), "satterthwaite"))
    assert np.array_equal(*found)


@pytest.mark.rpy2
def test_both_engines_read_the_same_table(rdata):
    with using("worker"):
        pd.testing.assert_frame_equal(fn_data("datasets", "airquality"), rdata("datasets", "airquality"))


def fn_data(package, name):
    from formula_neuro_r import data

    return data(package, name)


# ---- which one runs ------------------------------------------------------------------------------
@pytest.mark.rpy2
def test_a_fit_says_which_engine_ran():
    one, two = both("y ~ x", TABLE, backend="r-lm")
    assert one.engine.version.endswith("by rpy2") and two.engine.version.endswith("by Rscript")


@pytest.mark.rpy2
def test_the_main_thread_has_r_inside_and_others_have_workers():
    with ThreadPoolExecutor(1) as pool:
        assert (chosen(), pool.submit(chosen).result()) == ("rpy2", "worker")


@pytest.mark.rpy2
def test_the_environment_chooses_the_engine(monkeypatch):
    monkeypatch.setenv("FORMULA_NEURO_R_ENGINE", "worker")
    assert chosen() == "worker"


def test_an_unknown_engine_is_named_with_those_that_there_are(monkeypatch):
    with pytest.raises(ValueError, match="'julia' is not known; there are rpy2, worker"), using("julia"):
        pass
    monkeypatch.setenv("FORMULA_NEURO_R_ENGINE", "Rserve")
    with pytest.raises(ValueError, match="FORMULA_NEURO_R_ENGINE: the R engine 'Rserve'"):
        chosen()


@pytest.mark.r
@posix
def test_without_rpy2_a_worker_runs_r():
    code = (
        "import sys; sys.modules['rpy2'] = None\n"
        "import formula_neuro as fn\n"
        "fit = fn.fit('y ~ x', {'y': [1.0, 2, 4, 3], 'x': [1.0, 2, 3, 5]}, backend='r-lm')\n"
        "print(fit.engine.version)"
    )
    assert run(code)[-2:] == ["by", "Rscript"]


def test_rpy2_asked_for_by_name_is_never_replaced(monkeypatch):
    code = (
        "import sys; sys.modules['rpy2'] = None\n"
        "from formula_neuro_r import using\n"
        "from formula_neuro_r.engine import call\n"
        "from formula_neuro.errors import RMissing\n"
        "try:\n"
        "    with using('rpy2'): call('echo', {})\n"
        "except RMissing as error: print('formula_neuro[r]' in str(error))"
    )
    assert run(code) == ["True"]


def test_a_worker_without_rscript_names_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("R_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RMissing, match="apt-get install r-base-core"):
        worker.rscript()


@pytest.mark.r
def test_packages_are_sought_where_a_plain_r_seeks_them(monkeypatch, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / ".Renviron").write_text(f"R_LIBS_USER={tmp_path}/mine\n")  # not read under --vanilla
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("R_LIBS_USER", raising=False)
    assert str(tmp_path / "mine") in worker.libraries.__wrapped__(worker.rscript()).split(os.pathsep)


@pytest.mark.rpy2
@pytest.mark.parametrize("path", ["", "/somewhere"])
def test_r_inside_leaves_the_library_path_of_children_alone(path):
    code = "from formula_neuro_r.engine import call; call('echo', {}); import os; print(os.environ['LD_LIBRARY_PATH'])"
    assert run(code, LD_LIBRARY_PATH=path, FORMULA_NEURO_R_ENGINE="rpy2") == path.split()


# ---- threads and processes -----------------------------------------------------------------------
@pytest.mark.r
@posix
def test_threads_fit_at_once(rdata):
    table = rdata("lme4", "sleepstudy")
    with using("worker"):
        alone = fn.fit("Reaction ~ Days + (Days|Subject)", table, backend="lme4")

    def one(_):
        return fn.fit("Reaction ~ Days + (Days|Subject)", table, backend="lme4")

    with ThreadPoolExecutor(4) as pool:
        assert all(same(fit, alone) for fit in pool.map(one, range(4)))


@pytest.mark.rpy2
def test_one_r_inside_serves_several_threads(rdata):
    table = rdata("lme4", "sleepstudy")

    def one(_):
        with using("rpy2"):
            return fn.fit("Reaction ~ Days + (Days|Subject)", table, backend="lme4")

    alone = one(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(same(fit, alone) for fit in pool.map(one, range(4)))


@pytest.mark.r
@posix
def test_two_threads_have_an_r_each(tmp_path):
    def meet(own, other):
        place = f'file.create("{tmp_path}/{own}"); while (!file.exists("{tmp_path}/{other}")) Sys.sleep(0.01)'
        return call("fit_lm", model(f"y ~ {{{place}; x}}")).engine

    with ThreadPoolExecutor(2) as pool:  # one after the other they would wait for ever
        assert [f.result(60) for f in (pool.submit(meet, "a", "b"), pool.submit(meet, "b", "a"))] == ["worker"] * 2


@pytest.mark.r
@posix
def test_a_forked_child_has_workers_of_its_own():
    code = (
        "import os\n"
        "from formula_neuro_r import using\n"
        "from formula_neuro_r import worker\n"
        "from formula_neuro_r.engine import call\n"
        "def ask(x): return int(call('echo', {'x': x}).value['x'][0])\n"
        "print(ask(1))\n"
        "with using('worker'): print(ask(2))\n"
        "mine = [w.process.pid for w in worker._pool().idle]\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    answer = call('echo', {'x': 3})\n"
        "    apart = not {w.process.pid for w in worker._pool().idle} & set(mine)\n"
        "    print(int(answer.value['x'][0]), answer.engine, apart, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "with using('worker'): print(ask(4), mine == [w.process.pid for w in worker._pool().idle])\n"
        "print(ask(5))\n"
    )
    assert run(code, PYTHONUNBUFFERED="1") == ["1", "2", "3", "worker", "True", "4", "True", "5"]


@pytest.mark.r
@posix
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_have_workers(tmp_path, method):
    (tmp_path / "job.py").write_text(
        "from formula_neuro_r.engine import call\n"
        "def ask(k): return call('echo', {'k': k}).engine\n"
        "if __name__ == '__main__':\n"
        "    import multiprocessing\n"
        "    ask(0)\n"
        f"    with multiprocessing.get_context('{method}').Pool(1) as pool: print(*pool.map(ask, range(2)))\n"
    )
    done = subprocess.run([sys.executable, str(tmp_path / "job.py")], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["worker", "worker"], done.stderr


# ---- what happens to workers ---------------------------------------------------------------------
@pytest.mark.r
@posix
def test_an_r_that_is_killed_is_an_error_and_the_next_call_works():
    with using("worker"):
        with pytest.raises(RFailed, match=r"R ended while it ran fit_lm\(\) \(killed by SIGKILL\)"):
            call("fit_lm", model("y ~ {tools::pskill(Sys.getpid(), 9); x}"))
        assert call("echo", {"x": 1.0}).value["x"] == 1.0


@pytest.mark.r
@posix
def test_an_r_that_ends_says_its_last_words():
    with using("worker"), pytest.raises(RFailed, match=r"status 3; its last words: the disk is full"):
        call("fit_lm", model('y ~ {message("x"); cat("the disk is full\\n"); quit(status = 3)}'))


@pytest.mark.r
@posix
def test_an_r_that_died_in_its_sleep_is_replaced():
    with using("worker"):
        call("echo", {})
        for idle in list(worker._pool().idle):
            idle.process.kill()
            idle.process.wait()
        assert call("echo", {"x": 1.0}).value["x"] == 1.0


@pytest.mark.r
@posix
def test_what_children_of_r_print_does_not_disturb_replies(capfd):
    with using("worker"):
        answer = call("fit_lm", model('y ~ {system("echo 1; echo 2 >&2"); cat("3\\n", file = stdout()); x}'))
    assert answer.value["df_resid"] == 2.0 and capfd.readouterr() == ("", "")


@pytest.mark.r
@posix
def test_a_child_of_r_that_lives_on_does_not_hide_that_r_is_gone():
    with using("worker"), pytest.raises(RFailed, match="killed by SIGKILL"):
        call("fit_lm", model('y ~ {system("sleep 20 &"); tools::pskill(Sys.getpid(), 9); x}'))


@pytest.mark.r
@posix
@pytest.mark.parametrize("end", ["", "import os; os._exit(0)", "import os; os.kill(os.getpid(), 9)"])
def test_nothing_is_left_behind_however_python_ends(tmp_path, end):
    code = (
        "from formula_neuro_r import using, worker\n"
        "from formula_neuro_r.engine import call\n"
        f"with using('worker'): call('echo', {{}})\nprint(worker._pool().idle[0].process.pid, flush=True)\n{end}"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    pid = int(done.stdout)
    until = time.monotonic() + 30
    while time.monotonic() < until and (os.path.exists(f"/proc/{pid}") or list(tmp_path.iterdir())):
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.r
@posix
def test_values_do_not_stay_on_the_disk():
    with using("worker"):
        call("echo", {"secret": np.arange(10.0)})
    assert all(sorted(p.name for p in w.folder.iterdir()) == ["printed"] for w in worker._pool().idle)


@pytest.mark.r
@posix
def test_an_exception_while_r_computes_stops_it():
    def alarm(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        with using("worker"), pytest.raises(TimeoutError):
            call("fit_lm", model("y ~ {Sys.sleep(60); x}"))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert worker._pool().busy == []
    with using("worker"):
        assert call("echo", {"x": 1.0}).value["x"] == 1.0
