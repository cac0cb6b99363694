from __future__ import annotations

import numpy as np
import pytest
from mylab_neuro import LM

import formula_neuro as fn
from formula_neuro.errors import FitError
from formula_neuro.testing import check_backend

D = {"y": [3.1, 4.9, 7.2, 9.1, 10.8], "x": [1.0, 2, 3, 4, 5], "n": [1.0, 2, 1, 3, 2]}


def test_the_contract_is_kept():
    check_backend(LM)


def test_the_numbers_are_those_of_the_native_backend():
    mine = fn.fit("y ~ x", D, weights="n", backend="mylab-lm")
    native = fn.fit("y ~ x", D, weights="n")
    # two factorisations of one well-conditioned matrix differ by rounding
    np.testing.assert_allclose(mine.tidy().iloc[:, 1:], native.tidy().iloc[:, 1:], rtol=1e-10)
    assert mine.aic == pytest.approx(native.aic, rel=1e-12)


def test_a_column_that_others_contain_is_refused():
    with pytest.raises(FitError, match="3 columns of rank 2"):
        fn.fit("y ~ x + I(2*x)", D, backend="mylab-lm")


def test_verbs_ask_the_engine():
    mine = fn.fit("y ~ x", D, backend="mylab-lm")
    native = fn.fit("y ~ x", D)
    for table, expected in ((fn.anova(mine), fn.anova(native)), (fn.drop1(mine), fn.drop1(native))):
        np.testing.assert_allclose(
            table.select_dtypes("number"), expected.select_dtypes("number"), rtol=1e-8
        )  # rounding, as above
    assert fn.bootstrap_test(fn.refit(mine, ". ~ 1"), mine, n=5, seed=1).n_failed == 0
