"""The usual analyses of a response of unknown shape or delay, as designs and contrasts."""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .comparison import Rival
from .regressors import Evoked

WINDOW = (4.0, 8.0)  # s after onset, where finite impulse responses are averaged
LAGS = 10
COMPONENTS = 3  # as many as FLOBS keeps
OVERSAMPLING = 50  # per scan, nilearn's


def of_regressor(x: Array, nuisance: Array) -> list[Rival]:
    """The regressor x (n,) alone, with its temporal derivative, and the derivative boost; nuisance (n, q) beside.

    The derivative is the slope of x from scan to scan, made orthogonal to x as SPM and FSL do.
    """
    slope = np.gradient(x)
    rest = slope - x * (x @ slope) / (x @ x)
    return _informed([np.column_stack([x, rest])], np.ones(1), nuisance, ("regressor", "derivative"))


def of_responses(evoked: Evoked, weights: Array, nuisance: Array, model: str = "spm") -> list[Rival]:
    """Canonical response, + derivative, + dispersion, derivative boost, finite impulse responses and components.

    The first ones by nilearn; model: "spm" or "glover". weights (k,): the contrast over the types of events. Finite
    impulse responses are 10 lags of a scan, whose mean from 4 to 8 s after onset is the response, and left out where no
    lag lies there. Principal components are those of the family's shapes, as in FLOBS, the first being the response.
    The boost is of one type alone. Raises ImportError where nilearn is missing.
    """
    names = (f"{model} response", "derivative", "dispersion")
    full = _by_nilearn(evoked, f"{model} + derivative + dispersion")
    lags = np.arange(LAGS) * evoked.run.tr
    inside = (lags >= WINDOW[0]) & (lags <= WINDOW[1])
    found = _informed(full, weights, nuisance, names)
    if inside.any() and LAGS * len(full) + nuisance.shape[1] < len(nuisance):
        mean = np.kron(weights, inside / inside.sum())
        found.append(
            _rival(f"FIR {LAGS} lags, mean of 4 to 8 s", np.hstack(_by_nilearn(evoked, "fir")), nuisance, mean)
        )
    U = _leading(evoked.kernels.h, COMPONENTS)
    first = np.kron(weights, np.eye(U.shape[1])[0])
    name = f"{U.shape[1]} components of the shapes, the first"
    return [*found, _rival(name, np.hstack(evoked.regressors(U)), nuisance, first)]


def of_components(signals: Array, nuisance: Array, count: int = COMPONENTS) -> Rival:
    """The leading left singular vectors of training responses (n, m), off the nuisance; the contrast is the first."""
    Q = np.linalg.qr(nuisance)[0]
    U = _leading(signals - Q @ (Q.T @ signals), count)
    return _rival(f"{U.shape[1]} principal components, the first", U, nuisance, np.eye(U.shape[1])[0])


def _by_nilearn(evoked: Evoked, model: str) -> list[Array]:
    """The columns (n, .) of each type of events."""
    try:
        from nilearn.glm.first_level import compute_regressor
    except ImportError as error:
        raise ImportError('responses of other packages need nilearn: pip install "formula_neuro[plot]"') from error
    found = []
    for own in evoked.events:
        given = np.vstack([own.onset, own.duration, own.size])
        delays = np.arange(LAGS) if model == "fir" else None
        columns, _ = compute_regressor(given, model, evoked.run.times, oversampling=OVERSAMPLING, fir_delays=delays)
        found.append(np.asarray(columns))
    return found


def _leading(x: Array, count: int) -> Array:
    """The first left singular vectors, the first with the sign of the mean."""
    U = np.linalg.svd(x, full_matrices=False)[0][:, :count]
    return np.asarray(U * np.where(U.T @ x.sum(axis=1) < 0, -1.0, 1.0))


def _informed(types: list[Array], weights: Array, nuisance: Array, names: tuple[str, ...]) -> list[Rival]:
    """The first column of each type, then with more and more of the others, contrast on the first ones; the boost."""
    found = []
    for k in range(1, types[0].shape[1] + 1):
        own = np.hstack([columns[:, :k] for columns in types])
        found.append(_rival(" + ".join(names[:k]), own, nuisance, np.kron(weights, np.eye(k)[0])))
    if len(types) > 1:
        return found
    two = np.hstack([types[0][:, :2], nuisance])
    boost = Rival("derivative boost", _without(two, 2), np.eye(two.shape[1])[0], 2, boost=True)
    return [*found, boost]


def _rival(name: str, own: Array, nuisance: Array, contrast: Array) -> Rival:
    Z, k = np.hstack([own, nuisance]), own.shape[1]
    return Rival(name, Z, np.concatenate([contrast, np.zeros(nuisance.shape[1])]), k)


def _without(Z: Array, k: int) -> Array:
    """The first k columns off the others: coefficients stay, lengths are those that the nuisance leaves."""
    Q = np.linalg.qr(Z[:, k:])[0]
    return np.hstack([Z[:, :k] - Q @ (Q.T @ Z[:, :k]), Z[:, k:]])
