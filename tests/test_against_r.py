"""The same models by the native backends and by live R, on data that R's packages carry and on our own.

The tolerances are the project's promise, not what a fit happens to give: an LM equals lm() to 1e-8; an LMM's
criterion never lies above lmer's by more than 1e-8 and a GLMM's log-likelihood never below glmer's by more
than 1e-6, while R may be the worse one by what its default settings leave open (formula_neuro/comparing/tolerances.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import formula_neuro as fn
from formula_neuro.comparing.agreement import Agreement
from formula_neuro.result import Fit
from formula_neuro_r import data as from_r
from formula_neuro_r.asked import arguments
from formula_neuro_r.engine import call

pytestmark = pytest.mark.r


@dataclass(frozen=True)
class Model:
    data: str
    formula: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        shown = "".join(f", {value}" for value in self.options.values())
        return f"{self.data}: {self.formula}{shown}"


BINOMIAL = {"family": "binomial"}
POISSON = {"family": "poisson"}
HERDS = "cbind(incidence, size - incidence)"

LM = [
    Model("sleepstudy", "Reaction ~ Days"),
    Model("sleepstudy", "log(Reaction) ~ poly(Days, 2) * Subject"),
    Model("sleepstudy", "Reaction ~ 0 + Subject + Subject:Days"),
    Model("sleepstudy", "Reaction ~ sin(2 * Days / 3) + I(Days^2) + offset(2 * Days)"),
    Model("cake", "angle ~ recipe * temperature"),
    Model("cake", "angle ~ recipe * temp", {"contrasts": {"recipe": "contr.sum"}}),
    Model("cake", "angle ~ (recipe + temp + replicate)^2"),
    Model("cake", "angle ~ temp + temperature + recipe"),  # temp is a column of temperature's space: aliased
    Model("Penicillin", "diameter ~ plate + sample"),
    Model("Pastes", "strength ~ batch/cask"),
    Model("cbpp", "incidence / size ~ period", {"weights": "size"}),
    Model("waterlick", "dff ~ lick + factor(mouseID)"),
]
LMM = [
    Model("sleepstudy", "Reaction ~ Days + (1 | Subject)"),
    Model("sleepstudy", "Reaction ~ Days + (1 | Subject)", {"estimator": "ml"}),
    Model("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    Model("sleepstudy", "Reaction ~ Days + (Days | Subject)", {"estimator": "ml"}),
    Model("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
    Model("sleepstudy", "Reaction ~ 1 + (0 + Days | Subject)"),
    Model("sleepstudy", "Reaction ~ Days + (1 | Subject)", {"weights": "Days + 1"}),
    Model("sleepstudy", "Reaction ~ offset(10 * Days) + (Days | Subject)", {"subset": "Days >= 2"}),
    Model("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    Model("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", {"estimator": "ml"}),
    Model("Pastes", "strength ~ 1 + (1 | batch/cask)"),
    Model("Pastes", "strength ~ 1 + (1 | sample) + (1 | batch)", {"estimator": "ml"}),
    Model("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)"),
    Model("cake", "angle ~ recipe + temp + (1 | replicate/recipe)"),
    Model("cake", "angle ~ recipe * temp + (1 | replicate)", {"contrasts": {"recipe": "contr.sum"}}),
    Model("Dyestuff", "Yield ~ 1 + (1 | Batch)"),
    Model("Dyestuff2", "Yield ~ 1 + (1 | Batch)"),  # the variance is 0
    Model("waterlick", "dff ~ lick + (1 | mouseID)"),
    Model("waterlick", "dff ~ lick + (lick | mouseID)", {"estimator": "ml"}),
]
GLMM = [
    Model("waterlick", "lick ~ dff + (1 | mouseID)", BINOMIAL),
    Model("waterlick", "lick ~ dff + (1 | mouseID)", BINOMIAL | {"estimator": "AGQ(10)"}),
    Model("waterlick", "lick ~ dff + (dff || mouseID)", BINOMIAL),
    Model("waterlick", "lick ~ dff + (1 | mouseID)", {"family": "binomial(probit)"}),
    Model("cbpp", f"{HERDS} ~ period + (1 | herd)", BINOMIAL),
    Model("cbpp", f"{HERDS} ~ period + (1 | herd)", BINOMIAL | {"estimator": "AGQ(9)"}),
    Model("cbpp", f"{HERDS} ~ period + (1 | herd)", {"family": "binomial(cloglog)"}),
    Model("cbpp", "incidence / size ~ period + (1 | herd)", BINOMIAL | {"weights": "size"}),
    Model("cbpp", "incidence ~ period + offset(log(size)) + (1 | herd)", POISSON),
    Model("grouseticks", "TICKS ~ YEAR + cHEIGHT + (1 | BROOD)", POISSON),
    Model("grouseticks", "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)", POISSON),
]


@cache
def table(name: str) -> pd.DataFrame:
    return fn.datasets.waterlick() if name == "waterlick" else from_r("lme4", name)


@cache
def both(model: Model) -> tuple[Fit, Agreement]:
    fit = fn.fit(model.formula, table(model.data), **model.options)
    assert fit.backend.startswith("native")
    return fit, fn.crosscheck(fit)


def value(agreement: Agreement, quantity: str) -> tuple[float, float]:
    """Ours and R's, of a quantity that is one number."""
    row = agreement.details.set_index("quantity").loc[quantity]
    return float(row["native"]), float(row["reference"])


def of(*lists: list[Model]) -> pytest.MarkDecorator:
    models = [model for each in lists for model in each]
    return pytest.mark.parametrize("model", models, ids=str)


@of(LM, LMM, GLMM)
def test_every_number_agrees_with_r(model):
    _, agreement = both(model)
    assert agreement.ok, f"\n{agreement}"


@of(LM)
def test_coefficients_of_an_lm_equal_rs_to_8_digits(model):
    table = both(model)[1].details
    table = table[table["quantity"].isin(["coefficients", "standard errors"])]
    # beside the relative bound a coefficient of rounding's size is measured in its standard errors
    assert (table["difference"] <= 1e-8).all()


@of(LMM)
def test_the_criterion_of_an_lmm_is_never_above_lmers(model):
    ours, theirs = value(both(model)[1], "log-likelihood")
    assert -2 * ours <= -2 * theirs + 1e-8


@of(GLMM)
def test_the_log_likelihood_of_a_glmm_is_never_below_glmers(model):
    ours, theirs = value(both(model)[1], "log-likelihood")
    assert ours >= theirs - 1e-6


@of(LMM, GLMM)
def test_x_and_z_are_rs(model):
    request = both(model)[0].request
    theirs = call("matrices", arguments(request)).value
    assert theirs["columns"] == request.design.names
    # poly() and ns() may differ in the last digits
    assert np.allclose(theirs["matrix"], request.design.matrix, rtol=1e-10, atol=1e-12)
    assert theirs["groups"] == tuple(term.group for term in request.design.random)
    shape = (int(theirs["levels"][0]), request.shape[0])
    Zt = sparse.csc_array((theirs["values"], theirs["indices"], theirs["pointers"]), shape=shape)
    ours = sparse.hstack([term.Z for term in request.design.random])
    assert abs(ours.T - Zt).max() < 1e-12


@of(LMM, GLMM)
def test_modes_and_their_covariances_are_lme4s(model):
    fit, _ = both(model)
    other = fn.fit(model.formula, table(model.data), **model.options, backend="lme4")
    for ours, theirs in zip(fit.random, other.random, strict=True):
        sd = np.sqrt(np.maximum(np.diag(theirs.covariance), 1e-12))
        # theta of lme4's defaults is up to 2e-3 off, and the modes move with it
        assert np.abs((ours.modes - theirs.modes) / sd).max() < 1e-2
        assert np.abs((ours.mode_covariance - theirs.mode_covariance) / np.outer(sd, sd)).max() < 1e-2


def test_there_are_enough_models():
    assert len(LM) + len(LMM) + len(GLMM) >= 25
