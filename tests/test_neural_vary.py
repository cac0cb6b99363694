"""vary: a parameter's values by a formula on a table of nodes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError

NODES = pd.DataFrame(
    {
        "node": ["V1", "M1", "PFC", "A1"],
        "myelin": [1.0, 0.8, 0.2, 0.9],
        "net": ["s", "m", "a", "s"],
        "a": [0.4, 0.3, 0.1, 0.4],
    }
)


def test_values_are_the_formulas_columns_times_the_coefficients():
    found = fn.vary("a ~ myelin + net", NODES, {"(Intercept)": 0.1, "myelin": 0.5, "netm": 1.0, "nets": 2.0})
    assert found.index.tolist() == NODES["node"].tolist() and found.name == "a"
    np.testing.assert_allclose(found, [2.6, 1.5, 0.2, 2.55])


def test_coefficients_may_stand_in_the_columns_order():
    np.testing.assert_allclose(fn.vary("~ 0 + myelin", NODES, [2.0]), 2 * NODES["myelin"])


def test_an_offset_adds_a_column():
    np.testing.assert_allclose(fn.vary("~ 1 + offset(myelin)", NODES, [1.0]), 1 + NODES["myelin"])


def test_without_coefficients_the_tables_own_column_is_fitted():
    fitted = fn.fit("a ~ myelin", NODES).predict(NODES)
    np.testing.assert_allclose(fn.vary("a ~ myelin", NODES), fitted, atol=1e-12)


def test_the_connectomes_names_are_the_order():
    c = fn.Connectome(np.ones((2, 2)), delays_ms=1.0, names=["PFC", "V1"])
    assert fn.vary("~ 0 + myelin", NODES, [1.0], connectome=c).to_dict() == {"PFC": 0.2, "V1": 1.0}


def test_values_act_node_by_node_in_a_run():
    names = list(NODES["node"])
    c = fn.Connectome(np.zeros((4, 4)), delays_ms=0.0, names=names[::-1])  # another order than the table's
    drive = fn.vary("x_ext ~ myelin", NODES, {"(Intercept)": 0.0, "myelin": 1.0})
    n = fn.simulate("fhn", c, {"x_ext": drive}, {"x": 0.0, "y": 0.0}, duration="5 ms", seed=1)
    alone = fn.simulate("fhn", params={"x_ext": 0.2}, init={"x": 0.0, "y": 0.0}, duration="5 ms", seed=1)
    np.testing.assert_allclose(n["x"][:, n.nodes.index("PFC")], alone["x"][:, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: fn.vary("a ~ myelin", NODES, {"myelin": 1.0}), r"no value for \(Intercept\)"),
        (lambda: fn.vary("a ~ myelin", NODES, {"(Intercept)": 0, "mielin": 1}), "did you mean 'myelin'"),
        (lambda: fn.vary("a ~ myelin", NODES, [1.0]), "the columns .Intercept., myelin"),
        (lambda: fn.vary("~ myelin", NODES), "give coef="),
        (lambda: fn.vary("a ~ (1|net)", NODES, [1.0]), "bars"),
        (lambda: fn.vary("~ 0 + myelin", NODES, [1.0], within=(0, 0.9)), "values from 0.2 to 1; 0 to 0.9"),
        (lambda: fn.vary("~ 0 + myelin", NODES, [1.0], connectome=["V1", "S1"]), "no row for 1 of the 2 nodes.*S1"),
        (lambda: fn.vary("~ 0 + myelin", pd.concat([NODES, NODES]), [1.0]), "2 rows for the node A1"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, told):
    with pytest.raises((DataError, FormulaError), match=told):
        make()
