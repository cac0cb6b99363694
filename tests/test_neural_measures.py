"""Measures of series agree with neurolib's; what has no value is said and not turned into 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError

# neurolib's numbers on the series below: benchmarks/neuralmass/peer_measures.py
NEUROLIB = dict(np.load(Path(__file__).parent / "neural_measures.npz"))
SAME = {"rtol": 0, "atol": 1e-10}  # the same formulas in float64; sums run in another order


def series(seed: int, samples: int = 200, nodes: int = 6) -> np.ndarray:
    """(time, node), as peer_measures.py makes them."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples)
    waves = np.sin(2 * np.pi * t * np.linspace(0.04, 0.05, nodes)[:, None])
    return (20 * waves + rng.standard_normal((nodes, nodes)) @ rng.standard_normal((nodes, samples))).T


A, B = series(1), series(2)


def test_fc_is_neurolibs():
    np.testing.assert_allclose(fn.measures.fc(A), NEUROLIB["fc"], **SAME)


def test_fcd_is_neurolibs_by_its_definition():
    np.testing.assert_allclose(fn.measures.fcd(A, definition="neurolib"), NEUROLIB["fcd"], **SAME)
    np.testing.assert_allclose(fn.measures.fcd(A, 40, 10, definition="neurolib"), NEUROLIB["fcd_10"], **SAME)


def test_distances_between_matrices_are_neurolibs():
    a, b = fn.measures.fc(A), fn.measures.fc(B)
    assert fn.measures.matrix_correlation(a, b) == pytest.approx(float(NEUROLIB["matrix_correlation"]), abs=1e-12)
    assert fn.measures.matrix_kolmogorov(a, b) == pytest.approx(float(NEUROLIB["matrix_kolmogorov"]), abs=1e-12)
    found = fn.measures.ts_kolmogorov(A, B, definition="neurolib")
    assert found == pytest.approx(float(NEUROLIB["ts_kolmogorov"]), abs=1e-12)


def test_weighted_correlation_is_neurolibs():
    found = fn.measures.weighted_correlation(A[:, 0], B[:, 0], np.arange(200.0))
    assert found == pytest.approx(float(NEUROLIB["weighted_correlation"]), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "settings"), [("kuramoto", {}), ("kuramoto_strict", {"distance": 5, "prominence": 12})]
)
def test_kuramotos_order_is_neurolibs(name, settings):
    np.testing.assert_allclose(fn.measures.kuramoto(A, **settings), NEUROLIB[name], **SAME)


def test_the_spectrum_is_neurolibs():
    found = fn.measures.power_spectrum(series(3, samples=3000), dt=1.0)
    np.testing.assert_allclose(found.to_numpy().T, NEUROLIB["spectrum"], **SAME)


def test_windows_of_fcd_are_compared_by_their_triangles_and_the_last_is_used():
    found = fn.measures.fcd(A, window=50, step=25)
    first, last = (fn.measures.fc(A[at : at + 50])[np.triu_indices(6, 1)] for at in (0, 150))
    assert found.shape == (7, 7)
    assert found[0, -1] == pytest.approx(np.corrcoef(first, last)[0, 1], abs=1e-12)


def test_a_constant_node_has_no_correlation_and_is_named():
    flat = A.copy()
    flat[:, 2] = 1.0
    with pytest.warns(UserWarning, match=r"1 of 6 nodes are constant .*: 2"):
        found = fn.measures.fc(flat)
    assert np.isnan(found[2]).all() and np.isfinite(np.delete(np.delete(found, 2, 0), 2, 1)).all()


def test_a_matrix_with_a_missing_value_has_no_correlation_nor_distance():
    hole = fn.measures.fc(A)
    hole[0, 1] = hole[1, 0] = np.nan
    assert np.isnan(fn.measures.matrix_correlation(hole, fn.measures.fc(B)))
    assert np.isnan(fn.measures.matrix_kolmogorov(hole, fn.measures.fc(B)))


def test_a_series_shorter_than_a_window_is_refused():
    with pytest.raises(DataError, match="20 samples in time; 30 or more"):
        fn.measures.fcd(A[:20])
    with pytest.raises(DataError, match="200 samples in time; 1000 or more"):
        fn.measures.power_spectrum(A, dt=1.0)


def test_nodes_without_a_peak_have_no_order_parameter():
    flat = A.copy()
    flat[:, 1] = np.linspace(0, 1, len(flat))
    with pytest.warns(UserWarning, match="1 of 6 nodes have no peak"):
        found = fn.measures.kuramoto(flat)
    assert np.isnan(found).all() and len(found) == len(flat)


def test_nodes_in_phase_have_the_order_1():
    wave = 10 * np.sin(np.arange(300) / 5)
    np.testing.assert_allclose(fn.measures.kuramoto(np.column_stack([wave, 2 * wave])), 1.0, atol=1e-12)


def test_infinite_series_are_refused_and_counted():
    with pytest.raises(DataError, match="1 missing or infinite values in 1 nodes"):
        fn.measures.fc(np.where(np.arange(A.size).reshape(A.shape) == 7, np.inf, A))


def test_fisher_z_is_infinite_at_1_and_refuses_what_is_no_correlation():
    assert fn.measures.fisher_z(1.0) == np.inf and fn.measures.fisher_z([0.0, -0.5])[1] == pytest.approx(
        -0.549306, 1e-5
    )
    with pytest.raises(DataError, match="between -1 and 1"):
        fn.measures.fisher_z(1.2)


@pytest.mark.parametrize("order", [np.arange(6)[::-1], np.array([2, 0, 1, 5, 3, 4])])
def test_relabelled_nodes_have_relabelled_connectivity(order):
    np.testing.assert_allclose(fn.measures.fc(A[:, order]), fn.measures.fc(A)[np.ix_(order, order)], atol=1e-14)
