"""What a spatial fit has beside its maps: tables of Sigma and the level, joint draws, and words for what it has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from formula_neuro.errors import Unable
from formula_neuro.family import Array
from formula_neuro.maps.display.own import OwnTable

from .answer import Answer, Posterior
from .posterior import Normal

ALONE = 'fn.refit(v, estimator="mean_br") fits every voxel alone'
LACKS: Mapping[str, str] = {
    "null": "its voxels are fitted together, under a prior that no null model shares. fn.excursions(v, ...) has joint "
    f"posterior probabilities; {ALONE}, for tests",
    "at": f"a voxel borrows from its neighbours and has no fit of its own; {ALONE}",
    "crosscheck": "no R package fits it to a brain. v.engine.check() holds the normal approximation against exact "
    f"chains in pieces of the mask; {ALONE}, which R's brglm2 checks",
}


@dataclass(frozen=True, eq=False)
class Engine:
    """The parts of a spatial fit that are no maps.

    sigma: of differences between neighbours, on the scale of the data: a row a pair of terms, the posterior mean and
    standard deviation of standard deviations (term2 empty) and correlations, and the interval of 95 %.
    level: of the mean of every coefficient over the voxels: estimate and posterior standard deviation.
    diagnostics: of the search, or of the chains. convergence: the same in a sentence.
    """

    sigma: pd.DataFrame
    level: pd.DataFrame
    diagnostics: pd.DataFrame
    convergence: str
    posterior: Posterior | None
    T: Array  # (P, P), to the scale of the data

    @property
    def lacks(self) -> Mapping[str, str]:
        """Why the fit has not what other models of voxels have."""
        if self.posterior is not None:
            return LACKS
        return {
            **LACKS,
            "draws": "its chains kept moments alone; take fn.Spatial('gibbs', maps=200), or method='laplace'",
        }

    @property
    def draws(self) -> Draws | None:
        """Joint draws of the coefficients on the scale of the data; None where none were kept."""
        return None if self.posterior is None else Draws(self.posterior, self.T)

    def check(self, pieces: int = 3, voxels: int = 300, sweeps: int = 500, seed: int = 1) -> pd.DataFrame:
        """The normal approximation beside exact chains in random connected pieces of the mask, a row a piece and term.

        pieces, voxels: how many and how large; sweeps: kept of each of two chains. Q is held at the fit's. Columns:
        incidence, mean_error and furthest (of the means, in exact standard deviations: on average, and the largest),
        sd_ratio and z_slope (by and on the exact ones), monte_carlo (error of the chains, in the same unit) and rhat:
        above 1.05 the chains have not met, and want more sweeps.
        """
        if not isinstance(self.posterior, Normal) or self.posterior.likelihood is None:
            raise Unable("check() is of the normal approximation; chains report their own convergence (.diagnostics)")
        from .check import Sizes, check

        own, likelihood, names = self.posterior, self.posterior.likelihood, tuple(self.level["term"])
        return check(likelihood, own.graph, own.system.Q, names, Sizes(pieces, voxels, sweeps), seed)

    @property
    def tables(self) -> list[OwnTable]:
        """Level and Sigma as the summary and the report show them."""
        names = list(self.level["term"])
        sd = self.sigma[self.sigma["term2"] == ""]
        columns = {
            "mean over voxels": self.level["estimate"],
            "its sd": self.level["sd"],
            "sd between neighbours": sd["estimate"],
            "2.5 %": sd["conf_low"],
            "97.5 %": sd["conf_high"],
        }
        words = [[f"{value:.3g}" for value in column] for column in columns.values()]
        return [OwnTable("Level and smoothness", list(columns), words, names, _correlations(self.sigma))]


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws (V, P, K) of these numbers; the same number and seed give the same draw."""

    posterior: Posterior
    T: Array

    @property
    def most(self) -> int | None:
        """How many there are; None: as many as are asked for."""
        return self.posterior.most

    def __call__(self, numbers: range, seed: int) -> Array:
        return np.asarray(np.einsum("pq,vqk->vpk", self.T, self.posterior.draws(numbers, seed)))


def engine(answer: Answer, T: Array, names: tuple[str, ...]) -> Engine:
    """The tables of an answer, T (P, P) taking coefficients to the scale of the data."""
    variance = T @ answer.level_covariance @ T.T
    level = pd.DataFrame({"term": names, "estimate": T @ answer.level, "sd": np.sqrt(np.diag(variance))})
    sigma = _sigma_table(T @ answer.sigma @ T.T, names)
    return Engine(sigma, level, answer.diagnostics, _convergence(answer), answer.posterior, T)


def _sigma_table(sigma: Array, names: tuple[str, ...]) -> pd.DataFrame:
    sd = np.sqrt(np.diagonal(sigma, axis1=1, axis2=2))
    shown = [(name, "", sd[:, j]) for j, name in enumerate(names)]
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            shown.append((names[i], names[j], sigma[:, i, j] / (sd[:, i] * sd[:, j])))
    rows = [[a, b, x.mean(), x.std(ddof=1), *np.quantile(x, [0.025, 0.975])] for a, b, x in shown]
    return pd.DataFrame(rows, columns=["term", "term2", "estimate", "sd", "conf_low", "conf_high"])


def _correlations(sigma: pd.DataFrame) -> str:
    """The correlations of differences between neighbours in a sentence."""
    pairs = sigma[sigma["term2"] != ""]
    if pairs.empty:
        return ""
    said = [
        f"{r.term} and {r.term2} {r.estimate:.2f} [{r.conf_low:.2f}, {r.conf_high:.2f}]" for r in pairs.itertuples()
    ]
    return f"Correlations of their differences between neighbours: {'; '.join(said)}."


def _convergence(answer: Answer) -> str:
    """Whether the search, or the chains, ended well."""
    table = answer.diagnostics
    if "rhat" in table:
        return next(note for note in answer.notes if note.startswith("the chains have"))
    word = f"{int(table['steps'][0])} steps, the last of {table['last_change'][0]:.1g}"
    return f"The search for Sigma {'converged' if answer.converged else 'did NOT end'}: {word}."
