"""Work in pieces: workers that die, runs that are cut short, clusters."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import FitError
from formula_neuro.kernels import voxel_blocks
from formula_neuro.maps.fit import MapFit
from formula_neuro.running.fingerprint import fingerprint
from formula_neuro.running.kept import Kept
from formula_neuro.running.pieces import finished


@dataclass(frozen=True)
class Fatal:
    """Squares; the process that first meets piece 3 is killed, or all that meet it."""

    flag: Path
    always: bool = False

    def __call__(self, piece: int) -> int:
        if piece == 3 and (self.always or not self.flag.exists()):
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return piece * piece


@dataclass(frozen=True, eq=False)
class FatalOnce:
    """The problem of a fit whose first block kills the worker that takes it."""

    problem: object
    flag: Path

    def fit(self, Y: np.ndarray) -> object:
        if not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.problem.fit(Y)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def images() -> object:
    return fn.simulate_lesions(60, reference=fn.lesion_reference(spacing=7.5), seed=5).images


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(voxel_blocks, "NUMBERS", 60 * 100)
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))


def _fit(images: object, **options: object) -> MapFit:
    return fn.fit("lesion ~ age", images, family="binomial(probit)", estimator="mean_br", **options)


def test_a_piece_whose_process_was_killed_is_run_again(tmp_path) -> None:
    found = dict(finished(Fatal(tmp_path / "flag"), range(6), workers=2))
    assert found == {k: k * k for k in range(6)}


def test_a_piece_that_kills_every_process_is_an_error_in_words(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("formula_neuro.running.pieces.TRIES", 2)
    with pytest.raises(FitError, match="fewer workers"):
        list(finished(Fatal(tmp_path / "flag", always=True), range(6), workers=2))


@pytest.mark.parametrize("workers", [0, "two", 2.5])
def test_workers_that_are_none_are_refused(images, workers) -> None:
    with pytest.raises((ValueError, TypeError), match="workers is a number of processes"):
        _fit(images, workers=workers)


def test_processes_give_the_numbers_of_one_process(images) -> None:
    alone, shared = _fit(images), _fit(images, workers=2)
    for name in ("coef", "se", "loglik", "class", "converged"):
        assert np.array_equal(alone.values[name], shared.values[name], equal_nan=True)


def test_a_run_that_was_interrupted_goes_on_from_its_finished_blocks(images, monkeypatch) -> None:
    whole = _fit(images)
    original, done = voxel_blocks.Work.__call__, []

    def interrupted(self: voxel_blocks.Work, block: tuple[int, int]) -> object:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(block)
        return original(self, block)

    monkeypatch.setattr(voxel_blocks.Work, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _fit(images)
    done.clear()
    monkeypatch.setattr(
        voxel_blocks.Work, "__call__", lambda self, block: (done.append(block), original(self, block))[1]
    )
    again = _fit(images)
    assert [first for first, _ in done] == [200]  # the first two blocks of 100 voxels were kept
    assert any("200 voxels that an interrupted run had finished" in message for message in again.messages)
    assert np.array_equal(again.values["coef"], whole.values["coef"], equal_nan=True)


def test_another_formula_does_not_take_blocks_of_the_first(images, monkeypatch) -> None:
    def never(self: voxel_blocks.Work, block: tuple[int, int]) -> object:
        raise KeyboardInterrupt

    original = voxel_blocks.Work.__call__
    monkeypatch.setattr(voxel_blocks.Work, "__call__", never)
    with pytest.raises(KeyboardInterrupt):
        _fit(images)
    monkeypatch.setattr(voxel_blocks.Work, "__call__", original)
    other = fn.fit("lesion ~ 1", images, family="binomial(probit)", estimator="mean_br")
    assert not any("interrupted" in message for message in other.messages)


def test_a_block_that_was_cut_off_while_it_was_written_counts_as_missing(tmp_path) -> None:
    kept = Kept(tmp_path)
    kept.save((0, 3), {"coef": np.ones((3, 2))})
    path = next(tmp_path.glob("*.npz"))
    path.write_bytes(path.read_bytes()[:50])
    assert kept.load((0, 3)) is None


def test_a_dask_worker_that_is_killed_changes_nothing(images, tmp_path, monkeypatch) -> None:
    distributed = pytest.importorskip("distributed")
    from formula_neuro_glm.voxels.problem import Problem

    whole = _fit(images)
    made = Problem.of
    flag = tmp_path / "killed"
    monkeypatch.setattr(Problem, "of", lambda *a, **k: _Once(made(*a, **k), flag))
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = _fit(images, workers=client)
    assert flag.exists()
    for name in ("coef", "se", "class"):
        assert np.array_equal(found.values[name], whole.values[name], equal_nan=True)


class _Once(FatalOnce):
    """Answers for the problem that it holds."""

    def __getattr__(self, name: str) -> object:
        return getattr(object.__getattribute__(self, "problem"), name)


def test_a_table_of_words_has_the_fingerprint_of_its_values_and_names():
    table = {"group": ["control", "lesion"], "age": [1.0, 2.0]}
    again = {"group": ["".join(["con", "trol"]), "".join(["les", "ion"])], "age": np.array([1.0, 2.0])}
    assert fingerprint(pd.DataFrame(table)) == fingerprint(pd.DataFrame(again))
    others = [{**table, "group": ["control", "other"]}, {"groups": table["group"], "age": table["age"]}]
    assert len({fingerprint(pd.DataFrame(one)) for one in (table, *others)}) == 3
