"""The usual analyses of a response of unknown shape or delay, as designs and contrasts."""

from __future__ import annotations

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .comparison import Rival

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
    return _informed(x[:, None], rest[:, None], nuisance, ("regressor", "derivative"))


def of_responses(
    events: tuple[Array, Array, Array], tr: float, n: int, nuisance: Array, model: str = "spm"
) -> list[Rival]:
    """Canonical response, + derivative, + dispersion, derivative boost and finite impulse responses, by nilearn.

    events: onsets and durations in s, and heights; tr in s; n scans, the first at 0 s; model: "spm" or "glover". Finite
    impulse responses are 10 lags of a scan, and the contrast is the mean of those from 4 to 8 s after onset. Raises
    ImportError where nilearn is missing.
    """
    try:
        from nilearn.glm.first_level import compute_regressor
    except ImportError as error:
        raise ImportError('responses of other packages need nilearn: pip install "formula-neuro[plot]"') from error
    times, given = tr * np.arange(n), np.vstack(events)
    full, _ = compute_regressor(given, f"{model} + derivative + dispersion", times, oversampling=OVERSAMPLING)
    lags = np.arange(LAGS)
    fir, _ = compute_regressor(given, "fir", times, fir_delays=lags, oversampling=OVERSAMPLING)
    inside = (lags * tr >= WINDOW[0]) & (lags * tr <= WINDOW[1])
    if not inside.any():
        raise DataError(f"no lag of {LAGS} scans of {tr:g} s lies between 4 and 8 s after onset")
    names = (f"{model} response", "derivative", "dispersion")
    return [
        *_informed(full[:, :1], full[:, 1:], nuisance, names),
        _rival(f"FIR {LAGS} lags, mean of 4 to 8 s", fir, nuisance, inside / inside.sum()),
    ]


def of_components(signals: Array, nuisance: Array, count: int = COMPONENTS) -> Rival:
    """The leading left singular vectors of training responses (n, m), off the nuisance; the contrast is the first.

    FLOBS has such a basis, and tests it by F.
    """
    Q = np.linalg.qr(nuisance)[0]
    left = signals - Q @ (Q.T @ signals)
    U = np.linalg.svd(left, full_matrices=False)[0][:, :count]
    U *= np.where(U[:, :1].T @ left.sum(axis=1) < 0, -1.0, 1.0)
    return _rival(f"{count} principal components, the first", U, nuisance, np.eye(U.shape[1])[0])


def _informed(first: Array, others: Array, nuisance: Array, names: tuple[str, ...]) -> list[Rival]:
    """The first column alone, then with more and more of the others, contrast on the first; then the boost."""
    found = []
    for k in range(others.shape[1] + 1):
        own = np.hstack([first, others[:, :k]])
        found.append(_rival(" + ".join(names[: k + 1]), own, nuisance, np.eye(k + 1)[0]))
    two = np.hstack([first, others[:, :1], nuisance])
    boost = Rival("derivative boost", _without(two, 2), np.eye(two.shape[1])[0], 2, boost=True)
    return [*found, boost]


def _rival(name: str, own: Array, nuisance: Array, contrast: Array) -> Rival:
    Z, k = np.hstack([own, nuisance]), own.shape[1]
    return Rival(name, Z, np.concatenate([contrast, np.zeros(nuisance.shape[1])]), k)


def _without(Z: Array, k: int) -> Array:
    """The first k columns off the others: coefficients stay, lengths are those that the nuisance leaves."""
    Q = np.linalg.qr(Z[:, k:])[0]
    return np.hstack([Z[:, :k] - Q @ (Q.T @ Z[:, :k]), Z[:, k:]])
