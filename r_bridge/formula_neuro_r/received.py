"""From what R returned to a Fit, with everything put in the design's own order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.design import RandomTerm
from formula_neuro.errors import FitError
from formula_neuro.estimator import AGQ
from formula_neuro.family import Array
from formula_neuro.inflation import ZeroInflation
from formula_neuro.request import Request
from formula_neuro.result import Fit, RandomEffect

from .abilities import Refitting
from .engine import Answer
from .learnt import group_calls


def fit_from(request: Request, backend: str, answer: Answer, seconds: float, engine: Refitting) -> Fit:
    """The Fit of an answer; raises FitError where R coded the formula otherwise than we did."""
    value = answer.value
    number = {key: float(v[0]) for key, v in value.items() if isinstance(v, np.ndarray) and v.shape == (1,)}
    names = request.design.names
    _check_names(names, value["names"])
    _check_matrix(request, value["matrix"], value["columns"])
    loglik = number["loglik"] + _constant(request)
    criterion = -2 * loglik
    order, random = _random(request, value.get("random") or ())
    sigma = number["sigma"] if request.family.dispersed else 1.0  # R's sigma() of other families is their shape
    return Fit(
        request=_with_theta(request, number),
        backend=backend,
        beta=_by_name(value["beta"], value["names"], names),
        covariance=_square_by_name(value["covariance"], value["kept"], names),
        loglik=loglik,
        deviance=number["deviance"],
        criterion=criterion,
        n_parameters=int(number["n_parameters"]),
        df_resid=number["df_resid"],
        sigma=sigma,
        eta=value["eta"],
        converged=bool(number["converged"]),
        messages=(*request.messages, *answer.messages),
        seconds=seconds,
        random=random,
        theta=_theta(value.get("theta"), value.get("random") or (), order, random, sigma),
        iterations=int(number["iterations"]),
        engine=replace(engine, order=tuple(order)),
        null_deviance=number.get("null_deviance", float("nan")),
        inflation=_inflation(request, value),
        residual=dict(zip(value.get("residual_names", ()), map(float, value.get("residual", ())), strict=True)),
    )


def _with_theta(request: Request, number: Mapping[str, float]) -> Request:
    """The request with the theta that R estimated, if it did."""
    shape = request.family.shape
    if "nb_theta" not in number or shape is None:
        return request
    given: dict[str, Any] = {shape[0]: number["nb_theta"], f"{shape[0]}_se": number["nb_theta_se"]}
    return replace(request, family=replace(request.family, **given))


def _inflation(request: Request, value: Mapping[str, Any]) -> ZeroInflation | None:
    """The coefficients of zero inflation by our names; raises FitError where R coded the formula otherwise."""
    if request.inflation is None or value.get("zi") is None:
        return None
    names, theirs = request.inflation.names, value["zi_names"]
    _check_names(names, theirs)
    known = tuple(name for name, g in zip(theirs, value["zi"], strict=True) if np.isfinite(g))
    return ZeroInflation(_by_name(value["zi"], theirs, names), _square_by_name(value["zi_covariance"], known, names))


def _constant(request: Request) -> float:
    """What brings lme4's log-likelihood by quadrature to the scale of Laplace's: the saturated model's."""
    estimator = request.estimator
    if not isinstance(estimator, AGQ) or estimator.nodes == 1:
        return 0.0
    return request.family.loglik(request.y, request.y, request.weights, 1.0)


# ---- fixed effects -------------------------------------------------------------------------------
def _check_names(ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    if set(ours) != set(theirs):
        raise FitError(
            "R names the coefficients otherwise than we do, so that they cannot be compared; please report it\n"
            f"  only here: {', '.join(n for n in ours if n not in theirs) or '-'}\n"
            f"  only in R: {', '.join(n for n in theirs if n not in ours) or '-'}"
        )


def _check_matrix(request: Request, theirs: Array, columns: tuple[str, ...]) -> None:
    """The columns that both have must hold the same numbers, to rounding."""
    places = [request.design.names.index(name) for name in columns]
    ours = request.design.matrix[:, places]
    scale = np.abs(ours).max(axis=0, initial=1e-300)
    apart = np.abs(ours - theirs).max(axis=0, initial=0.0) / scale
    bad = [name for name, gap in zip(columns, apart, strict=True) if gap > 1e-8]
    if bad:
        raise FitError(
            f"R makes other numbers of the column{'s' * (len(bad) > 1)} {', '.join(bad)} than we do, so that the two "
            "fits cannot be compared; please report it"
        )


def _by_name(values: Array, names: tuple[str, ...], wanted: tuple[str, ...]) -> Array:
    known = dict(zip(names, values, strict=True))
    return np.array([known[name] for name in wanted], dtype=float)


def _square_by_name(values: Array, names: tuple[str, ...], wanted: tuple[str, ...]) -> Array:
    """NaN in the rows and columns of what R dropped."""
    places = [wanted.index(name) for name in names]
    square = np.full((len(wanted), len(wanted)), np.nan)
    square[np.ix_(places, places)] = values.reshape(len(places), len(places))
    return square


# ---- random effects ------------------------------------------------------------------------------
def _random(request: Request, items: tuple[dict[str, Any], ...]) -> tuple[list[int], tuple[RandomEffect, ...]]:
    """R's random terms in the design's order, and where each stood in R's."""
    free, items = list(range(len(items))), tuple(_as_written(item, request) for item in items)
    order: list[int] = []
    for term in request.design.random:
        found = [i for i in free if items[i]["group"][0] == term.group and items[i]["columns"] == term.columns]
        if not found:
            theirs = "; ".join(f"{', '.join(item['columns'])} | {item['group'][0]}" for item in items)
            raise FitError(
                f"R has no random term {', '.join(term.columns)} | {term.group}; it has {theirs}. Please report it"
            )
        order.append(found[0])
        free.remove(found[0])
    effects = tuple(_effect(term, items[i]) for term, i in zip(request.design.random, order, strict=True))
    return order, effects


def _as_written(item: dict[str, Any], request: Request) -> dict[str, Any]:
    """The item with the formula's calls in the name of its group, in place of the names that they crossed under."""
    name = item["group"][0]
    for short, call in group_calls(request.design).items():
        name = name.replace(short, call["label"])
    return {**item, "group": (name,)}


def _effect(term: RandomTerm, item: dict[str, Any]) -> RandomEffect:
    K, L = len(term.columns), len(term.levels)
    place = _levels(term, item["codes"].astype(np.intp) - 1, len(item["levels"]))
    modes = item["modes"].reshape(K, -1).T[place]
    about = item["about"].reshape(K, K, -1, order="F").transpose(2, 0, 1)[place]
    assert modes.shape == (L, K)
    return RandomEffect(term.group, term.columns, term.levels, item["covariance"].reshape(K, K), modes, about)


def _levels(term: RandomTerm, theirs: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """R's place of each of our levels, found through the rows, so that no spelling of a level matters."""
    place = np.full(len(term.levels), -1, dtype=np.intp)
    place[term.codes] = theirs
    if count != len(term.levels) or not np.array_equal(place[term.codes], theirs):
        raise FitError(f"R groups the rows of {term.group} otherwise than we do ({count} levels); please report it")
    return place


def _theta(
    theta: Array | None,
    items: tuple[dict[str, Any], ...],
    order: list[int],
    random: tuple[RandomEffect, ...],
    sigma: float,
) -> Array:
    """Relative covariance factors in the design's order: as R gave them, or those of the covariances."""
    if not items:
        return np.empty(0)
    if theta is None:
        return np.concatenate([_factor(effect.covariance / sigma**2) for effect in random])
    sizes = [len(item["columns"]) * (len(item["columns"]) + 1) // 2 for item in items]
    pieces = np.split(theta, np.cumsum(sizes)[:-1])
    return np.concatenate([pieces[i] for i in order])


def _factor(V: Array) -> Array:
    """The lower triangle, column by column, of L with L L' = V (K, K), which may be singular."""
    d, U = np.linalg.eigh(V)
    L = np.linalg.qr((U * np.sqrt(np.maximum(d, 0))).T)[1].T
    L *= np.where(np.diag(L) < 0, -1.0, 1.0)  # of each column
    rows, columns = np.triu_indices(len(V))[::-1]
    return L[rows, columns]
