"""ranova(): one test for each random term, as lmerTest's ranova()."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...design import RandomTerm, TermColumns
from ...errors import Unable
from ...estimator import REML
from ...foci.given import refuse_foci
from ...maps.lacking import refuse_maps
from ...nearest import not_known
from ...request import Request
from ...result import Fit
from ..ability import ability
from ..told import told
from . import exact_rlrt
from .variance_tests import loglik_without_random, p_value, reference, step, words


def ranova(
    fit: Fit,
    *,
    reduce: bool = True,
    method: str = "lrt",
    n: int = 10_000,
    seed: int | np.random.Generator | None = 1,
) -> pd.DataFrame:
    """What a mixed model loses with each random term: one row a term, "<none>" (the model itself) first.

    Columns: term, n_parameters, loglik, aic, statistic, df, p_value, reference. Log-likelihoods of a REML fit are
    restricted ones, which is right here because the fixed part stays (lmerTest does the same).
    reduce: a term with slopes loses them one at a time and keeps its intercept; False takes whole terms away.
    method: "lrt", p values of the mixture of chi-squareds for a variance that cannot be negative (`reference` says
    which; R's, of the plain one, are up to twice as large), or "exact", of a linear mixed model with one variance: the
    statistic's own distribution, from n draws with the given seed (Crainiceanu & Ruppert 2004), right in small samples.

    Raises Unable for a model without random effects, and where "exact" is not.

    >>> import formula_neuro as fn
    >>> d = fn.datasets.waterlick()
    >>> m = fn.fit("dff ~ lick + (1|mouseID)", d)
    >>> fn.ranova(m)[["term", "reference"]].iloc[1].tolist()
    ['(1 | mouseID)', '0.5 chi2_0 + 0.5 chi2_1']
    """
    refuse_foci(fit, "ranova", "c.dispersion() tests whether totals vary beyond Poisson's")
    refuse_maps(fit, "ranova", 'v.maps["lrt_<group>"] and v.maps["p_<group>"] test one random effect a level')
    if not fit.random:
        raise Unable(
            f"ranova() tests random terms, and this {fit.request.model} has none; drop1() tests the fixed ones"
        )
    if getattr(fit.engine, "by_formula", False):
        raise Unable(f"ranova() refits by changed designs, which {fit.backend} does not take; fit the model natively")
    if method not in ("lrt", "exact"):
        raise ValueError(not_known("method", method, ("lrt", "exact")))
    dropped = _reductions(fit.request, reduce)
    if fit.request.residuals and not all(one.request.design.random for one in dropped):
        raise Unable(
            "a residual structure is fitted beside random effects only, so the last of them cannot be tested; compare "
            "by AIC, or without the structure"
        )
    if method == "exact":
        _check_exact(fit)
    logliks = [fit.loglik, *(_loglik(fit, one) for one in dropped)]
    sizes = [fit.n_parameters, *(fit.n_parameters - one.lost for one in dropped)]
    table = pd.DataFrame(
        {
            "term": ["<none>", *(one.name for one in dropped)],
            "n_parameters": sizes,
            "loglik": logliks,
            "aic": [2 * k - 2 * value for k, value in zip(sizes, logliks, strict=True)],
            "statistic": [np.nan, *(max(0.0, 2 * (fit.loglik - value)) for value in logliks[1:])],
            "df": pd.array([None, *(one.lost for one in dropped)], dtype="Int64"),
        }
    )
    messages = _about_failures(fit, logliks[1:], dropped)
    if method == "exact":
        p, error = _exact(fit, float(table["statistic"].iloc[1]), n, np.random.default_rng(seed))
        table["p_value"], table["reference"] = [np.nan, p], ["", f"{n} draws of the exact distribution"]
        messages.append(f"the p value is simulated: its Monte-Carlo error is {error:.2g}")
    else:
        steps = [step(one.request, fit.request, one.lost) for one in dropped]
        statistics = table["statistic"].tolist()[1:]
        table["p_value"] = [np.nan, *(p_value(T, s) for T, s in zip(statistics, steps, strict=True))]
        table["reference"] = ["", *(reference(s) for s in steps)]
        said = (words(T, s) for T, s in zip(statistics, steps, strict=True))
        messages += [text for text in said if text is not None]
    table.attrs["messages"] = tuple(messages)
    return told(table)


# ---- smaller models ------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Reduced:
    """The request with one random term smaller, or gone."""

    name: str
    request: Request
    lost: int  # parameters


def _reductions(request: Request, reduce: bool) -> list[Reduced]:
    found = []
    for i, term in enumerate(request.design.random):
        shorter = _shorter(term) if reduce and len(term.parts) > 1 and term.structure in ("us", "diag") else []
        if not shorter:
            found.append(_reduced(request, i, None, text_of(term)))
        found += [_reduced(request, i, kept, f"{name} in {text_of(term)}") for name, kept in shorter]
    return found


def _reduced(request: Request, i: int, term: RandomTerm | None, name: str) -> Reduced:
    random = list(request.design.random)
    lost = _size(random[i]) - (0 if term is None else _size(term))
    random[i : i + 1] = [] if term is None else [term]
    return Reduced(name, replace(request, design=replace(request.design, random=tuple(random))), lost)


def _size(term: RandomTerm) -> int:
    """Parameters of its covariance."""
    K = len(term.columns)
    if term.structure == "us":
        return K * (K + 1) // 2
    return (1 if term.hom else K) + (term.structure in ("cs", "ar1"))


def _shorter(term: RandomTerm) -> list[tuple[str, RandomTerm]]:
    """The term without each of its parts that no other contains and that is not its intercept."""
    found = []
    for part in term.parts:
        inside = any(set(part.variables) < set(other.variables) for other in term.parts)
        if part.name == "(Intercept)" or inside:
            continue
        kept = [j for j in range(len(term.columns)) if not part.start <= j < part.stop]
        parts = tuple(_moved(other, part.start, part.stop) for other in term.parts if other is not part)
        columns = tuple(term.columns[j] for j in kept)
        basis = np.ascontiguousarray(term.basis[:, kept])
        found.append((part.name, replace(term, columns=columns, basis=basis, parts=parts)))
    return found


def _moved(part: TermColumns, start: int, stop: int) -> TermColumns:
    shift = stop - start if part.start >= stop else 0
    return replace(part, start=part.start - shift, stop=part.stop - shift)


def text_of(term: RandomTerm) -> str:
    """The term as it may be written: "(x | g)", "(0 + x | g)", "(1 | g)"; a tag before it."""
    names = [part.name for part in term.parts] or list(term.columns)
    inner = [name for name in names if name != "(Intercept)"]
    left = " + ".join(inner if len(inner) < len(names) else ["0", *inner]) or "1"
    return f"{'' if term.structure == 'us' else term.structure}({left} | {term.group})"


def _loglik(fit: Fit, one: Reduced) -> float:
    if not one.request.design.random and one.request.model == "lmm":
        return loglik_without_random(one.request)
    if not one.request.design.random:
        return float(ability(fit, "loglik_without_random", f"a test of {one.name}, the only random term,")(fit))
    smaller: Fit = ability(fit, "refit", "ranova()")(one.request)
    return smaller.loglik if smaller.converged else float("nan")


def _about_failures(fit: Fit, logliks: Sequence[float], dropped: Sequence[Reduced]) -> list[str]:
    found = [
        f"the model without {one.name} did not converge: no test"
        for value, one in zip(logliks, dropped, strict=True)
        if np.isnan(value)
    ]
    if any(value > fit.loglik + 1e-4 for value in logliks):
        found.append("a smaller model has a higher likelihood: the fit is not at its maximum; see fn.refit()")
    return found


# ---- the exact test ------------------------------------------------------------------------------
def _check_exact(fit: Fit) -> None:
    random = fit.request.design.random
    if fit.request.model == "lmm" and len(random) == 1 and len(random[0].columns) == 1:
        return
    reason = (
        f"this is a {fit.request.model}"
        if fit.request.model != "lmm"
        else f"this model has {sum(_size(term) for term in random)} variances and covariances"
    )
    raise Unable(
        f"method='exact' is for linear mixed models with one variance, as (1 | g), and {reason}; take method='lrt', or "
        "bootstrap_test(small, large)"
    )


def _exact(fit: Fit, statistic: float, n: int, rng: np.random.Generator) -> tuple[float, float]:
    request = fit.request
    used = request.weights > 0
    root = np.sqrt(request.weights[used])[:, None]
    kept = ~np.isnan(fit.beta)
    X = request.design.matrix[np.ix_(used, kept)] * root
    Z = request.design.random[0].Z[used].multiply(root).toarray()
    mu, xi = exact_rlrt.spectrum(X, Z)
    reml = isinstance(request.estimator, REML)
    null = exact_rlrt.simulated(mu, xi, len(X), X.shape[1], reml, n, rng)
    return exact_rlrt.p_value(statistic, null)
