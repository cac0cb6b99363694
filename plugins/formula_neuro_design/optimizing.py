"""fn.optimize_design: from a formula to a design matrix and contrast for a family of responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.hrf import HRF, Shape

from .advice import MUCH, advice, of_columns
from .answer import OptimalDesign
from .asking import Data, as_noise, check, check_kinds, fixed_names, names_in, whitened
from .blocks import Asked, Blocks, Phi, Snr, Weights, blocks
from .candidates import Candidates
from .choosing import Chosen, Problem, Search, chosen, columns_by
from .constraints import Constraints, null_space
from .keeping import Kept, readable
from .measures import measures
from .noise import Noise
from .sentences import called


def optimize_design(
    formula: str,
    data: Any,
    *,
    contrast: Any,
    columns: int | str = "auto",
    fix: Sequence[str] | str = (),
    snr: Snr | list[Snr] = 1.0,
    nuisance: Mapping[str, float] | None = None,
    phi: Phi | list[Phi] = 0.5,
    k: float | None = None,
    max_bias: float | None = None,
    weights: Weights | list[Weights] | str = 1.0,
    free_contrast: bool = False,
    tr: float | None = None,
    volumes: int | None = None,
    slice_time: float = 0.0,
    hrf: HRF | str | Sequence[Shape] | Sequence[HRF | str] | Mapping[str, Shape] | None = None,
    confounds: Any = None,
    noise: str | float | Array = "white",
    method: str = "exact",
    starts: int = 1,
    seed: int = 1,
) -> OptimalDesign:
    """The design matrix and contrast whose estimate has the least bias and variance over a family of true designs.

    One signed amplitude per voxel although the delay or shape of the response varies. The objective is the sum over
    designs of 2 phi times the expected estimated variance and 2 - 2 phi times the squared bias, in units of the noise's
    variance. It is reached to rounding; that no better optimum lies elsewhere is not proved (`starts`).

    The family, from a table with a row a scan: each shift of shift(x, from, to), in scans, later above 0, zeros
    entering, is one true design; or `data` is a list of tables, each a design, and what is fixed is that of the first.
    No intercept is added, so take means out of the data or have a fixed column of ones.

    The family, from events: the formula is as ~ hrf(trial_type) + cosine(128), `data` a table as BIDS has it (onset,
    duration, trial_type, perhaps modulation), and each response of `hrf` is one true design: "half-cosine" (default),
    "double-gamma", fn.HalfCosine(...), fn.DoubleGamma(...), fn.Shapes(...), or functions of seconds or arrays. `tr`
    (seconds) and `volumes` say the run, slice_time the reference slice's share of tr. cosine(128) adds drifts of
    periods down to 128 s and a constant; other terms are columns of the table `confounds`. All times are seconds.

    contrast: a variable or type of event, "go - stop", weights by name or a vector; several, in a list or by label, are
    met by one design. It stands at fixed columns, or at a free one of its own; free_contrast=True lets it be found too,
    except that drifts, confounds and other types of events have no part in it.
    fix: variables whose term is a column as it is, at shift 0 or by the canonical response. columns: of the design,
    those of fix counted; drifts, confounds and types of events that nothing names come besides. "auto" has the least
    objective for each degree of freedom left, "paper" is the paper's Algorithm 2.

    snr: amplitudes in standard deviations of the noise, one for all variables or one for each by name; a response of
    peak 1 to an event of a second has the amplitude 1. nuisance: standard deviations of amplitudes of either sign,
    about 0, by name, in place of snr. A list in snr or hrf has a block of designs for each entry (other signs; null
    designs, whose shifted variable has 0: one design); phi and weights may then be lists too.

    phi: in [0, 1), or "A", "B" for the paper's weights, in which bias squared (A, k = 1000) or bias (B, k = 100) weighs
    k times as much as the variance; or max_bias, a share: the least variance with no larger bias in any design.
    weights: of designs, 1 unless given; "minimax" makes the largest bias small. noise: "white", "ar1" (neighbouring
    scans correlate by .3), that correlation, or a covariance (n, n); the design is for an analysis that whitens.
    method: "exact", or "paper", the paper's Algorithm 1, for comparison. starts: searches from so many points, drawn
    with `seed`.

    Choose the family by prior knowledge or on other data: one chosen on the data that it then fits biases inference.
    Raises FormulaError, DataError and FitError. Source: the manuscript on optimal design matrices for fMRI (2010).

    >>> import numpy as np
    >>> import formula_neuro as fn
    >>> scans = np.arange(120)
    >>> frame = {"dose": np.clip((scans - 30) / 20, 0, 1), "drift": scans / 120}
    >>> d = fn.optimize_design("~ center(shift(dose, 0, 9)) + center(drift)", frame, contrast="dose", columns=3,
    ...                        fix=["dose", "drift"], snr={"dose": 1, "drift": 0.5})
    >>> list(d.design.columns), d.design.shape, d.contrast
    (['dose', 'drift', 'free1'], (120, 3), array([1., 0., 0.]))
    >>> events = {"onset": [10, 60, 95], "duration": [1, 1, 1], "trial_type": ["go", "go", "go"]}
    >>> d = fn.optimize_design("~ hrf(trial_type) + cosine(128)", events, tr=2.0, volumes=75, contrast="go", columns=2,
    ...                        hrf=fn.DoubleGamma(latency=(-2, 4)))
    >>> list(d.design.columns)
    ['free1', 'free2', 'drift_1', 'drift_2', 'constant']
    """
    call = called(optimize_design, locals())
    search = Search(method, starts, seed, max_bias, isinstance(weights, str) and weights == "minimax")
    check_kinds(k, max_bias, nuisance, free_contrast)
    check(search, columns, weights, phi, k)
    given = Data(data, tr, volumes, slice_time, hrf, confounds)
    designs, W, labels = given.designs(formula, contrast, [*(nuisance or {}), *names_in(snr)])
    kept = Kept(designs[0], fixed_names(fix), W, free_contrast)
    coloured = as_noise(noise, len(designs[0].first))
    asked = Asked(snr, phi, k, 1.0 if isinstance(weights, str) else weights, nuisance)
    family = blocks([whitened(one, coloured) for one in designs], W, asked)
    kept.check_apart(family.family.truth, labels)
    problem = _problem(family, kept, coloured)
    p, tried = _columns(columns, problem, search, kept)
    asked_for = _Asked(formula, labels, kept, coloured, max_bias, call, given.table)
    return _answer(asked_for, family, chosen(problem, search, p), tried)


@dataclass(frozen=True, eq=False)
class _Asked:
    formula: str
    labels: list[str]
    kept: Kept
    noise: Noise | None
    max_bias: float | None
    call: dict[str, str]
    data: pd.DataFrame | None


def _problem(family: Blocks, kept: Kept, noise: Noise | None) -> Problem:
    def constraints(p: int) -> Constraints:
        found = kept.constraints(p)
        return found if noise is None else noise.constraints(found)

    return Problem(family.family, family.g, family.signal, constraints, kept.fewest)


def _columns(columns: int | str, problem: Problem, search: Search, kept: Kept) -> tuple[int, tuple[str, ...]]:
    """The number of columns, nuisance counted, and what is told of how it was chosen. Raises DataError."""
    stops = 'Algorithm 1 stops where its steps gain little; compare the objective of method="exact"'
    told = (stops,) if search.method == "paper" else ()
    if isinstance(columns, str):
        p, table = columns_by(columns, problem, search)
        return p, (*of_columns(columns, table, p), *told)
    n, p = len(problem.signal), int(columns) + kept.apart.shape[1]
    if p >= n:
        more = f" besides {kept.apart.shape[1]} of nuisance" if kept.apart.shape[1] else ""
        raise DataError(f"columns is {columns}{more} and the data has {n} scans; fewer columns than scans are expected")
    return p, told


def _answer(asked: _Asked, family: Blocks, found: Chosen, tried: tuple[str, ...]) -> OptimalDesign:
    kept, noise = asked.kept, asked.noise
    p = found.solution.Z.shape[1]
    Z = found.solution.Z if noise is None else noise.colour(found.solution.Z)
    fixed = kept.places(p)
    Z, c = readable(Z, found.solution.c, kept.scaled(p), kept.contrast(p))
    constraints = kept.constraints(p)
    Z[:, fixed] = kept.B  # equal to rounding before, as are the entries of c that are kept
    c[..., constraints.C.argmax(axis=1)] = constraints.d
    white = Z if noise is None else noise.whiten(Z)
    seen = measures(white, c, found.family, family.g)
    designs = kept.designs
    own, solved = (
        replace(one, v=one.v if noise is None else noise.colour(one.v), phi=found.family.phi, w=found.family.w)
        for one in (family.known, found.family)
    )
    told = advice(designs, family, kept.W, kept.fixed, kept.free_contrast, seen, asked.max_bias or MUCH)
    named = ["contrast"] if len(asked.labels) == 1 else [f"contrast {label}" for label in asked.labels]
    truth = dict(zip(named, (family.b @ kept.W.T).T, strict=True))
    firsts = tuple(_undelayed(designs, w, label) for w, label in zip(kept.W, asked.labels, strict=True))
    if solved.of is not None:
        leaks = ["leak" if name == "contrast" else f"leak into {name.removeprefix('contrast ')}" for name in named]
        truth |= dict(zip(leaks, np.atleast_2d(seen.leak), strict=True))
    return OptimalDesign(
        formula=asked.formula,
        name=", ".join(asked.labels),
        design=pd.DataFrame(Z, columns=kept.names(p)),
        contrast=c,
        objective=found.solution.objective,
        bias=seen.bias,
        variance_change=seen.variance_change,
        variance_bias=seen.variance_bias,
        messages=(*designs.messages, *tried, *told),
        iterations=found.solution.iterations,
        table=family.table.assign(phi=np.atleast_2d(own.phi)[0], weight=own.w, **truth),
        family=own,
        solved=solved,
        g=family.g,
        constraints=constraints,
        first=firsts[0],
        firsts=firsts,
        noise=noise,
        call=asked.call,
        trace=found.solution.trace,
        steps=found.solution.steps,
        weights=kept.W,
        evoked=designs.evoked,
        labels=tuple(asked.labels),
        data=asked.data,
    )


def _undelayed(designs: Candidates, w: Array, label: str) -> pd.DataFrame:
    """The undelayed columns (n, .): that of the contrast w (k,), then the others and the nuisance columns.

    Of a contrast of several variables, the columns are turned so that it is the coefficient of the first one.
    """
    own = np.flatnonzero(w)
    if len(own) == 1 and w[own[0]] == 1:
        first = pd.DataFrame(designs.first, columns=list(designs.names))
        first.insert(0, designs.names[own[0]], first.pop(designs.names[own[0]]))
    else:
        others = designs.first @ null_space(w[None])
        names = [label, *(f"beside{i + 1}" for i in range(others.shape[1]))]
        first = pd.DataFrame(np.column_stack([designs.first @ w / (w @ w), others]), columns=names)
    return pd.concat([first, designs.nuisance], axis=1)
