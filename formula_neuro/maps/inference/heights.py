"""What nested models of the same images are compared by in every voxel: deviances, or penalised likelihoods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import Unable
from ...estimator import BIAS_REDUCED, Jeffreys, MeanBR
from ...family import Array
from ...running.bar import bar
from ...running.estimates import planned
from ...running.pieces import finished
from .nulls import NullModel, Nulls, blocks, every, fitted, needed, null_model
from .permuted import Scores, without

if TYPE_CHECKING:
    from ...images.stack import Images
    from ..fit import MapFit


def penalised(fit: MapFit) -> bool:
    """Whether the estimator maximises a penalised likelihood: Jeffreys' prior, and mean_br with the logit link."""
    how = fit.request.estimator
    return isinstance(how, Jeffreys) or (isinstance(how, MeanBR) and fit.family.link.name == "logit")


def check_ratio(fit: MapFit) -> None:
    """Raise Unable where likelihoods of nested models cannot be compared."""
    if fit.request.estimator.word in BIAS_REDUCED and not penalised(fit):
        raise Unable(
            f"{fit.request.estimator.word} with {fit.family} maximises no penalised likelihood, so there is no "
            "likelihood ratio; take a score test (contrast: test='score', anova: test='Rao'), which needs no estimate "
            "of what is tested, or refit by estimator='jeffreys'"
        )


@dataclass(frozen=True, eq=False)
class Nested:
    """Models of some columns of one design X (n, p), each fitted once in every voxel and kept."""

    fit: MapFit
    X: Array
    offset: Array
    known: dict[tuple[int, ...], Nulls] = field(default_factory=dict)

    def null(self, columns: tuple[int, ...]) -> tuple[NullModel, Nulls]:
        """Maximum likelihood with these columns alone."""
        model = null_model(self.fit, self.X[:, columns], self.offset, "a test of nested models")
        if columns not in self.known:
            running = self.fit.request.running
            self.known[columns] = fitted(model, self.fit.request.images, running.workers, running.progress)
        return model, self.known[columns]

    def height(self, columns: tuple[int, ...]) -> Array:
        """(V,) deviance, or -2 penalised log-likelihood with the other columns held at 0; NaN where there is none."""
        if penalised(self.fit):
            return -2 * self._penalised(columns)
        whole = self.fit.values["deviance"] if len(columns) == self.X.shape[1] else None
        if whole is not None and self.fit.request.estimator.word == "ml" and not np.isnan(whole[self._classed]).any():
            return np.where(self._classed, whole, np.nan)
        nulls = self.null(columns)[1]
        complete = ~nulls.fine & self._complete if len(columns) == self.X.shape[1] else np.zeros_like(nulls.fine)
        return np.where(nulls.fine, nulls.deviance, np.where(complete, 0.0, np.nan))

    @property
    def _classed(self) -> NDArray[np.bool_]:
        """Voxels that are neither constant nor undefined."""
        return np.asarray(self.fit.values["class"] < 3)

    @property
    def _complete(self) -> NDArray[np.bool_]:
        """Voxels that the whole model separates completely, so that nothing is left to explain."""
        return np.asarray(self.fit.values["class"] == 2)

    def _penalised(self, columns: tuple[int, ...]) -> Array:
        rest = tuple(j for j in range(self.X.shape[1]) if j not in columns)
        make = getattr(self.fit.engine, "held", None)
        if make is None:
            raise Unable(f"a penalised likelihood ratio needs a fit that can hold columns; {self.fit.backend} cannot")
        request = self.fit.request
        model = make(self.X[:, (*columns, *rest)], len(rest), request.weights, self.offset)
        pieces, answers = blocks(request.images), dict[int, Array]()
        plan = planned("voxels", needed(request.images), len(pieces))
        with bar(plan, self.fit.n_voxels, request.running.progress, request.running.workers) as advance:
            for number, answer in finished(Held(model, request.images), pieces, request.running.workers):
                answers[number] = answer
                advance(pieces[number][1] - pieces[number][0])
        return np.concatenate([answers[k] for k in range(len(pieces))])

    def scores(self, small: tuple[int, ...], tested: tuple[int, ...]) -> Array:
        """(V,) Rao's statistic of the columns `tested` at the model of the columns `small`; signed of one column."""
        model, nulls = self.null(small)
        used = (self.fit.request.weights > 0).astype(float)
        Q = np.linalg.qr(self.X[:, small] * used[:, None])[0]
        method = Scores(without(self.X[:, tested] * used[:, None], Q, used), Q)
        here = np.arange(len(used))[None, :]
        parts = [method.statistics(rows, here)[:, 0] for rows in every(model, nulls, self.fit.request.images)]
        return np.concatenate(parts)


class HeldModel(Protocol):
    """What an engine's ability `held` makes of a design."""

    def fit(self, Y: NDArray[Any]) -> Array: ...


@dataclass(frozen=True, eq=False)
class Held:
    """Fit one block of voxels; small enough for other processes."""

    model: HeldModel
    images: Images

    def __call__(self, block: tuple[int, int]) -> Array:
        return self.model.fit(self.images.block(*block))
