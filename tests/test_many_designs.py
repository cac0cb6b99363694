"""Families of more designs than scans: their basis in chunks, and why not from HH'."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from formula_neuro.errors import FitError
from formula_neuro.family import Array
from formula_neuro_design import reduced as module
from formula_neuro_design.constraints import first_columns
from formula_neuro_design.family import Family
from formula_neuro_design.reduced import Coordinates, coordinates
from formula_neuro_design.solver import solve


def bumps(n: int = 60, m: int = 500) -> tuple[Family, Array]:
    """Smooth responses of many widths and delays, whose singular values fall to rounding, and two drifts."""
    rng = np.random.default_rng(1)
    t = np.linspace(0, 30, n)
    v = np.exp(-(((t[:, None] - rng.uniform(4, 10, m)) / rng.uniform(2, 5, m)) ** 2))
    family = Family(v, np.ones(m), np.full(m, 0.5), rng.uniform(0.5, 1.5, m))
    return family, np.column_stack([np.ones(n), t])


def from_svd(family: Family, B: Array) -> Coordinates:
    """The same basis from the singular vectors of the whole of H."""
    H = family.v * np.sqrt(family.w)
    Q_B = np.linalg.qr(B)[0]
    rest = H - Q_B @ (Q_B.T @ H)
    U, size, _ = np.linalg.svd(rest - Q_B @ (Q_B.T @ rest), full_matrices=False)
    Q = np.hstack([Q_B, U[:, size > 1e-10 * size[0]]])
    return Coordinates(Q, B.shape[1], Q.T @ family.v)


def from_gram(family: Family, B: Array) -> Coordinates:
    """The basis from eigenvectors of HH', cut where singular values may be cut: the squares are rounding there."""
    H = family.v * np.sqrt(family.w)
    Q_B = np.linalg.qr(B)[0]
    rest = H - Q_B @ (Q_B.T @ H)
    values, vectors = np.linalg.eigh(rest @ rest.T)
    Q = np.hstack([Q_B, vectors[:, np.sqrt(np.maximum(values, 0)) > 1e-10 * np.sqrt(values[-1])]])
    return Coordinates(Q, B.shape[1], Q.T @ family.v)


def test_the_basis_is_orthonormal_and_holds_family_and_fixed_columns():
    family, B = bumps()
    space = coordinates(family, B)
    np.testing.assert_allclose(space.Q.T @ space.Q, np.eye(space.Q.shape[1]), atol=1e-12)
    np.testing.assert_allclose(space.Q[:, :2] @ (space.Q[:, :2].T @ B), B, atol=1e-12)
    np.testing.assert_allclose(space.Q @ space.v, family.v, atol=1e-8)  # directions below 1e-10 are left out


@pytest.mark.parametrize("m", [61, 240, 241, 500])
def test_a_basis_made_in_chunks_is_that_of_the_whole(m: int):
    family, B = bumps(m=m)
    constraints = first_columns(B, 5, np.eye(5)[2])
    whole = solve(family, constraints, space=from_svd(family, B))
    assert solve(family, constraints).objective == pytest.approx(whole.objective, rel=1e-12)


def test_the_size_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    family, B = bumps()
    constraints = first_columns(B, 5, np.eye(5)[2])
    before = solve(family, constraints).objective
    monkeypatch.setattr(module, "CHUNK", 1)
    assert solve(family, constraints).objective == pytest.approx(before, rel=1e-12)


def test_a_basis_from_the_products_of_designs_is_found_out():
    family, B = bumps()
    wrong = from_gram(family, B)
    assert np.abs(wrong.Q.T @ wrong.Q - np.eye(wrong.Q.shape[1])).max() > 0.01  # noise that is not off B
    with pytest.raises(FitError, match="the search said"):
        solve(family, first_columns(B, 5, np.eye(5)[2]), space=wrong)


def test_designs_of_weight_0_are_not_needed_in_the_basis():
    family, B = bumps(n=40, m=80)
    some = replace(family, w=np.where(np.arange(80) < 6, 1.0, 0.0))
    few = Family(family.v[:, :6], np.ones(6), np.full(6, 0.5), np.ones(6))
    constraints = first_columns(B, 4, np.eye(4)[2])
    assert coordinates(some, B).Q.shape[1] == 8
    assert solve(some, constraints).objective == pytest.approx(solve(few, constraints).objective, rel=1e-11)


def test_the_same_family_has_the_same_answer_however_its_designs_are_ordered():
    family, B = bumps(m=300)
    order = np.random.default_rng(2).permutation(300)
    mixed = Family(family.v[:, order], family.l, family.phi, family.w[order])
    constraints = first_columns(B, 4, np.eye(4)[2])
    assert solve(mixed, constraints).objective == pytest.approx(solve(family, constraints).objective, rel=1e-10)
