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
