"""What symbols learn of equations, and that the machine code made of it does the same arithmetic."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest

from formula_neuro.dynamics import mathematics as m
from formula_neuro.dynamics.model import Model, Parameter
from formula_neuro.dynamics.tables import Table
from formula_neuro.errors import DataError
from formula_neuro_neuralmass.symbols import Graph, evaluate, needed
from formula_neuro_neuralmass.tracing import step_program

FEW_ULP = 1e-14  # the C library and numpy round elementary functions differently, each by a few 1e-16


def model(drift, **more):
    return Model("toy", "", ("x",), {"a": Parameter(2.0), "b": Parameter(3.0)}, drift, ("x",), {"x": 0.1}, **more)


def test_constants_are_folded():
    graph = Graph()
    x = graph.leaf("x")
    y = x * (m.exp(graph.constant(0.0)) + 1) * 1.0 + 0
    assert [node.operation for node in needed({"y": y})] == ["leaf", "mul"]
    assert y.arguments[1].value == 2.0


def test_the_same_arithmetic_is_one_node():
    graph = Graph()
    x, y = graph.leaf("x"), graph.leaf("y")
    assert (x * y + m.exp(x)) is (x * y + m.exp(x))


def test_what_depends_on_parameters_alone_is_evaluated_once_before_the_run():
    program = step_program(model(lambda s, p: {"x": -s.x * m.sqrt(p.a * p.b) / (p.a + 1)}))
    values = [evaluate(node, {"p.a": 2.0, "p.b": 8.0, "dt": 0.1}, {}) for node in program.steady]
    assert sorted(float(value) for value in values) == pytest.approx([0.1, 1 / 3, 4.0])
    assert not {"exp", "sqrt", "div"} & {node.operation for node in program.nodes}


def test_a_parameter_under_a_stimulus_changes_in_every_step():
    of_a = model(lambda s, p: {"x": m.sqrt(p.a) - s.x}, external=("a",))
    assert "p.a" not in step_program(of_a).rows
    assert "p.a" in step_program(of_a, frozenset({"a"})).rows


def test_an_if_on_a_state_is_refused_with_what_to_write():
    with pytest.raises(DataError, match=r"where\(condition, x, y\)"):
        step_program(model(lambda s, p: {"x": 1.0 if s.x > 0 else s.x}))


def test_functions_of_the_module_math_are_refused():
    with pytest.raises(DataError, match=r"use those of formula_neuro\.dynamics\.mathematics"):
        step_program(model(lambda s, p: {"x": math.exp(s.x)}))


def test_an_array_among_the_equations_is_refused():
    with pytest.raises(DataError, match="of type ndarray; numbers, states and parameters are expected"):
        step_program(model(lambda s, p: {"x": s.x * np.ones(3)}))


def test_a_name_that_a_model_has_not_is_answered_with_those_that_it_has():
    with pytest.raises(DataError, match="the equations of toy use 'c', which is not among its values: a, b"):
        step_program(model(lambda s, p: {"x": p.c * s.x}))


def test_a_drift_without_a_state_is_refused():
    with pytest.raises(DataError, match="the drift of toy has no derivative of the state x"):
        step_program(model(lambda s, p: {"y": s.x}))


def test_a_drift_that_is_no_mapping_is_refused():
    with pytest.raises(DataError, match="the drift of toy returned a Symbol; a mapping by name is expected"):
        step_program(model(lambda s, p: -s.x))


# ---- machine code --------------------------------------------------------------------------------
def everything(x, y, a):
    """Every operation that equations may use, of two values that change and one that does not."""
    above = x > y
    return {
        "powers": x**3 + y**-2 + m.absolute(x) ** 0.5 + m.absolute(y) ** 1.7 + 2.0**x + m.absolute(y) ** a + a**2,
        "elementary": m.exp(x) + m.expm1(y) + m.log(m.absolute(x)) + m.sin(x) * m.cos(y) - m.tanh(x) + m.sqrt(x * x),
        "chosen": m.where(above, x, y) + m.maximum(x, a) * m.minimum(y, 0.5),
        "conditions": m.where((x < 0) & (y >= 0) | ~above, 1.0, m.where(x <= a, np.float64(2) * x, 3.0)),
        "turned": m.remainder(x, 0.7) + x % a + 1.5 % y,
        "signs": -x + abs(y) - +a / x + (3 - y) / a,
        "equal": m.where(x == y, 1.0, 0.0) + m.where(x != y, 2.0, 0.0) + m.where(a > 0, x, y),
    }


def of_numbers(x, y, a):
    values = everything(x, y, a)
    return {name: np.broadcast_to(value, x.shape) for name, value in values.items()}


def compiled(outputs, leaves, steady=(), dtype="float64"):
    """The outputs of a program's machine code at leaves, each (n,)."""
    pytest.importorskip("numba")
    from formula_neuro_neuralmass.layout import Block
    from formula_neuro_neuralmass.tracing import _program

    given = {name: np.reshape(value, (-1, 1)) for name, value in {**leaves, **dict(steady)}.items()}
    block = Block(_program(outputs), len(next(iter(leaves.values()))), 1, dtype, given)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(block.code.address)
    function(block.numbers.ctypes.data, block.constants.ctypes.data, len(block.numbers))
    return {name: block.row(name, 1)[:, 0] for name in outputs}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", FEW_ULP), ("float32", 1e-5)])
def test_every_operation_of_the_machine_code_is_numpys(dtype, tolerance):
    graph, rng = Graph(), np.random.default_rng(0)
    x, y, a = rng.normal(size=21), rng.normal(size=21), 1.3  # no multiple of the lanes
    x[3] = y[3]
    outputs = everything(graph.leaf("x"), graph.leaf("y"), graph.leaf("a", steady=True))
    found = compiled(outputs, {"x": x, "y": y}, {"a": a}, dtype)
    for name, expected in of_numbers(x, y, a).items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=tolerance * scale, err_msg=name)


def test_missing_values_stay_missing_in_maximum_and_minimum():
    graph = Graph()
    x, y = graph.leaf("x"), graph.leaf("y")
    values = {"x": np.array([np.nan, 1.0, 1.0]), "y": np.array([1.0, np.nan, 2.0])}
    found = compiled({"high": m.maximum(x, y), "low": m.minimum(x, y)}, values)
    np.testing.assert_array_equal(found["high"], [np.nan, np.nan, 2.0])
    np.testing.assert_array_equal(found["low"], [np.nan, np.nan, 1.0])


def test_look_ups_are_the_tables_and_those_beyond_an_edge_are_told():
    rng = np.random.default_rng(1)
    tables = [
        Table("one", rng.random((5, 4, 3)), -1.0, 0.5, 2.0, 0.25),
        Table("two", rng.random((2, 6, 1)), 0, 1, 0, 1),
    ]
    x, y = rng.uniform(-1.5, 1.5, 40), rng.uniform(1.8, 3.0, 40)
    x[:3], y[3] = [-1.0, 1.0, np.nan], 2.75  # the edges themselves are inside
    graph = Graph()
    sx, sy = graph.leaf("x"), graph.leaf("y")
    first, second = tables[0](sx, sy), tables[1](sx, sy)
    outputs = {"a": first[0], "c": first[2], "second": second[0], "beyond": graph.beyond(first[0].arguments[0])}
    found = compiled(outputs, {"x": x, "y": y})
    sound = ~np.isnan(x)
    for name, expected in (("a", tables[0](x[sound], y[sound])[0]), ("c", tables[0](x[sound], y[sound])[2]),
                           ("second", tables[1](x[sound], y[sound])[0])):  # fmt: skip
        np.testing.assert_allclose(found[name][sound], expected, rtol=0, atol=1e-15 * 16)  # a few sums near 1
        assert np.isnan(found[name][~sound]).all()
    outside = (x < -1) | (x > 1) | (y < 2) | (y > 2.75)
    np.testing.assert_array_equal(found["beyond"], outside)
