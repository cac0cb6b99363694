"""The normal approximation beside exact chains in pieces of a mask."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from formula_neuro.errors import DataError
from formula_neuro_spatial import check as checks
from formula_neuro_spatial.laplace import given

sys.path.insert(0, str(Path(__file__).parent))
from spatial_lattices import Q, lattice


def test_a_piece_is_connected_and_of_the_size_that_was_asked_for() -> None:
    model, _ = lattice((9, 8, 7))
    voxels = checks.around(model.adjacency, 40, 60)
    assert len(voxels) == 60 and 40 in voxels and (np.diff(voxels) > 0).all()
    assert connected_components(model.adjacency[voxels][:, voxels])[0] == 1


def test_the_check_finds_little_where_events_are_common() -> None:
    model, _ = lattice((6, 6, 5), n=60, level=-0.5)
    table = checks.check(model.likelihood, model.graph, Q, ("(Intercept)", "age"), checks.Sizes(1, 60, 150), 1)
    assert list(table["piece"]) == [1, 1] and list(table["term"]) == ["(Intercept)", "age"]
    # 300 sweeps leave less than 0.1 of a deviation, and the largest of 60 voxels some three of these
    assert table["mean_error"].abs().max() < 0.25 and table["furthest"].abs().max() < 0.6
    assert table["sd_ratio"].between(0.85, 1.15).all() and table["z_slope"].between(0.85, 1.15).all()


def test_the_check_tells_another_precision_from_the_fits(monkeypatch) -> None:
    model, _ = lattice((6, 6, 5), n=60, level=-0.5)
    monkeypatch.setattr(checks, "given", lambda model, Q, *rest: given(model, 9 * Q, *rest))
    table = checks.check(model.likelihood, model.graph, Q, ("a", "b"), checks.Sizes(1, 60, 100), 1)
    assert table["sd_ratio"].max() < 0.8


def test_pieces_without_events_cannot_be_checked() -> None:
    model, Y = lattice((6, 6, 5), n=20)
    Y[:] = 0
    with pytest.raises(DataError, match="larger pieces"):
        checks.check(model.likelihood, model.graph, Q, ("a", "b"), checks.Sizes(1, 60, 100), 1)
