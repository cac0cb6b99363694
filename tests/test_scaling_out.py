"""The page docs/scaling-out.md: one analysis in processes, on a dask cluster and by SLURM scripts, with one answer."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.kernels import voxel_blocks
from formula_neuro.running.bar import _Lines, bar
from formula_neuro.running.pieces import at_once, named

PAGE = Path(__file__).parents[1] / "docs" / "scaling-out.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
TEXT = re.findall(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
SBATCH = """#!/bin/bash
# What SLURM does with a script, on this machine: checks its options, runs it, answers with the job's number.
cp "$1" "{folder}/job_$$.sh"
setsid bash "{folder}/job_$$.sh" > "{folder}/job_$$.txt" 2>&1 &
echo "Submitted batch job $!"
"""
OPTIONS = re.compile(  # of sbatch's manual, those of the script
    r"#SBATCH (-J [\w-]+|-p \w+|-n \d+|--cpus-per-task=\d+|--mem=\d+[KMGT]?|-t \d+:\d\d:\d\d)$"
)


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """What each form wrote to standard error."""
    return {}


@pytest.fixture(scope="module")
def page() -> Iterator[dict[str, Any]]:
    """The names that the page's first block makes; voxels in small blocks, so that there are some to share."""
    names: dict[str, Any] = {"__name__": "page"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voxel_blocks, "NUMBERS", 60 * 60)
        exec(compile(CODE[0], str(PAGE), "exec"), names)
        yield names


@pytest.fixture(scope="module")
def alone(page: dict[str, Any]) -> Any:
    return page["analysis"](None)


def _same(found: Any, alone: Any) -> None:
    """Bit for bit: every form runs the same code on the same processor."""
    voxels, test, runs = found
    for name, values in alone[0].values.items():
        assert np.array_equal(voxels.values[name], values, equal_nan=np.asarray(values).dtype.kind == "f"), name
    assert np.array_equal(test.draws, alone[1].draws) and test.p_value == alone[1].p_value
    assert runs.table.equals(alone[2].table)


def _run(code: str, page: dict[str, Any]) -> Any:
    names = dict(page)
    exec(compile(code, str(PAGE), "exec"), names)
    return names["voxels"], names["test"], names["runs"]


def test_two_processes_give_the_numbers_of_one(page, alone, capfd) -> None:
    _same(_run(CODE[1], page), alone)
    said = capfd.readouterr().err
    assert re.search(r"^voxels, \d+ pieces of about \d+ [kM]B, on 2 processes$", said, re.MULTILINE)
    assert re.search(r"^bootstrap, \d+ pieces of about \d+ [kM]B, on 2 processes$", said, re.MULTILINE)
    assert re.search(r"of aln, 10 nodes, 500 ms, about [\d.]+ MB$", said, re.MULTILINE)


def test_a_dask_cluster_gives_the_numbers_of_one_process(page, alone, capfd) -> None:
    pytest.importorskip("distributed")
    _same(_run(CODE[2], page), alone)
    said = capfd.readouterr().err
    assert re.search(r"^voxels, \d+ pieces of about \d+ [kM]B, on 2 dask workers$", said, re.MULTILINE)
    assert re.search(
        r"of aln, 10 nodes, 500 ms, 2 pieces of about [\d.]+ [kM]B, on 2 dask workers$", said, re.MULTILINE
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for sbatch uses setsid")
def test_slurm_jobs_give_the_numbers_of_one_process(page, alone, tmp_path, monkeypatch) -> None:
    pytest.importorskip("dask_jobqueue")
    for name, text in (("sbatch", SBATCH.format(folder=tmp_path)), ("scancel", '#!/bin/bash\nkill -- "-$1"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    _same(_run(CODE[3], page), alone)
    assert len(list(tmp_path.glob("job_*.sh"))) == 2


def test_the_script_for_slurm_is_the_one_that_the_page_shows() -> None:
    dask_jobqueue = pytest.importorskip("dask_jobqueue")
    call = re.search(r"cluster = (SLURMCluster\(.*?\n\))", CODE[3], re.DOTALL)
    assert call is not None
    with eval(call[1], {"SLURMCluster": dask_jobqueue.SLURMCluster}) as cluster:
        script = cluster.job_script()
    shown = re.sub(r"\S+ (-m distributed\S+) \S+ --name \S+", r"PYTHON \1 ADDRESS --name NAME", script)
    assert shown.split() == TEXT[0].split()
    lines = script.splitlines()
    directives = [line for line in lines if line.startswith("#SBATCH")]
    assert lines[0].startswith("#!") and all(map(OPTIONS.match, directives)), directives
    assert not any(line.startswith("#SBATCH") for line in lines[lines.index("export OMP_NUM_THREADS=1") :])
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


# ---- explorations and evolutions elsewhere -------------------------------------------------------
SHORT: dict[str, Any] = {"duration": "20 ms", "params": {"sigma_ou": 0.1}, "seed": 1}


def test_an_exploration_by_an_executor_keeps_its_arrays_in_order() -> None:
    given = {"parameters": {"x_ext": np.linspace(0, 1, 20)}, "measure": {"x": lambda n: n["x"][:, 0]}, **SHORT}
    with ThreadPoolExecutor(3) as pool:
        found = fn.explore("fhn", workers=pool, **given)
    here = fn.explore("fhn", **given)
    assert found.table.equals(here.table)
    assert all(np.array_equal(a, b) for a, b in zip(found.arrays["x"], here.arrays["x"], strict=True))


def test_an_exploration_that_was_begun_here_goes_on_in_other_processes(tmp_path) -> None:
    given = {"parameters": {"x_ext": np.linspace(0, 1, 20)}, **SHORT}
    whole = fn.explore("fhn", out=tmp_path / "kept", **given)
    next((tmp_path / "kept").glob("rows_*.parquet")).unlink()
    with ProcessPoolExecutor(1) as pool:
        again = fn.explore("fhn", out=tmp_path / "kept", workers=pool, **given)
    assert again.table.equals(whole.table)


def test_an_evolution_of_simulations_is_the_same_by_an_executor() -> None:
    given = {"bounds": {"x_ext": (0, 1)}, "simulate": {"model": "fhn", **SHORT}, "population": 10, "generations": 2}
    del given["simulate"]["seed"]
    with ThreadPoolExecutor(2) as pool:
        found = fn.evolve(lambda n: float(n["x"].mean()), workers=pool, seed=1, **given)
    assert found.to_frame().equals(fn.evolve(lambda n: float(n["x"].mean()), seed=1, **given).to_frame())


# ---- what is told before and during a run --------------------------------------------------------
def _advanced(monkeypatch: Any, lines: _Lines, *times: float, count: int = 1) -> None:
    """A piece of `count` comes in at each of these seconds."""
    for seconds in times:
        monkeypatch.setattr("time.perf_counter", lambda seconds=seconds: seconds)
        lines(count)


def test_the_first_piece_says_how_long_all_will_take(capsys, monkeypatch) -> None:
    lines = _Lines("voxels, 20 pieces of about 260 MB, on 4 processes", 100, at_once=4, started=0.0)
    _advanced(monkeypatch, lines, 60.0, count=5)  # one of four that are as far: 20 after a minute
    assert capsys.readouterr().err == "voxels: about 5 min in all, going by the first 5 of 100\n"


def test_a_long_run_says_its_plan_in_one_line_though_nobody_asked(capsys, monkeypatch) -> None:
    lines = _Lines("voxels, 20 pieces of about 260 MB", 20, asked=False, started=0.0)
    _advanced(monkeypatch, lines, *range(3, 63, 3))
    said = capsys.readouterr().err
    assert said == "voxels, 20 pieces of about 260 MB: about 60 s in all, going by the first 1 of 20\n"


def test_a_short_run_says_nothing_unasked(capsys, monkeypatch) -> None:
    _advanced(monkeypatch, _Lines("voxels, 20 pieces", 20, asked=False, started=0.0), *np.arange(1, 21) * 0.4)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("shown", "lines"), [(True, 1), (None, 0), (False, 0)])
def test_the_plan_stands_before_the_work_where_it_was_asked_for(capsys, shown, lines) -> None:
    with bar("voxels, 3 pieces of about 5 MB", 3, shown):
        assert len(capsys.readouterr().err.splitlines()) == lines


def test_what_is_loaded_elsewhere_before_the_first_pieces_does_not_count_as_speed(capsys, monkeypatch) -> None:
    lines = _Lines("voxels", 100, at_once=1, warm=2, started=0.0)
    lines.took(0.5)
    _advanced(monkeypatch, lines, 20.0)
    lines.took(0.1)
    _advanced(monkeypatch, lines, 20.1)
    assert capsys.readouterr().err == "voxels: about 30 s in all, going by the first 2 of 100\n"  # 20.1 + 98 * 0.1


def test_what_an_earlier_run_had_finished_does_not_count_as_speed(capsys, monkeypatch) -> None:
    _advanced(monkeypatch, _Lines("voxels", 100, begun=90, done=90, started=0.0), 5.0)
    assert capsys.readouterr().err == "voxels: about 50 s in all, going by the first 1 of 100\n"


def test_a_log_gets_few_lines_and_the_last(capsys, monkeypatch) -> None:
    lines = _Lines("voxels", 1000, started=0.0)
    _advanced(monkeypatch, lines, *np.arange(1.0, 1001.0))
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "voxels: about 17 min in all, going by the first 1 of 1,000"
    assert said[1] == "voxels: 101 of 1,000 after 1.7 min, about 15 min left"
    assert said[-1] == "voxels: all 1,000 after 17 min" and len(said) == 11


def test_blocks_of_voxels_are_enough_for_workers_to_share_and_lie_side_by_side(monkeypatch) -> None:
    monkeypatch.setattr(voxel_blocks, "NUMBERS", 16_000_000)  # as it stands, whatever the page's fixture made of it
    many = voxel_blocks.cut(30_000, 3_000)  # 90 million values
    assert len(many) == voxel_blocks.SHARES and many[0][0] == 0 and many[-1][1] == 30_000
    assert all(last == first for (_, last), (first, _) in itertools.pairwise(many))
    assert len(voxel_blocks.cut(30_000, 100)) == 1  # about two seconds of work
    assert len(voxel_blocks.cut(30_000, 100, effort=100.0)) == voxel_blocks.SHARES  # minutes


def test_workers_are_counted_and_named() -> None:
    with ProcessPoolExecutor(3) as pool:
        assert (at_once(pool), named(pool)) == (3, ", by ProcessPoolExecutor")
    assert (at_once(None), named(1), named(3)) == (1, "", ", on 3 processes")
