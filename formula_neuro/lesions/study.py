"""lesion_study(): simulate, fit, compare with the truth, again and again; how accurate each method is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.lengths import written
from ..errors import DataError
from ..family import Array
from ..fitting import fit
from ..images.stack import Images
from ..maps.fit import OVERLAP, MapFit
from ..running.bar import bar
from ..running.fingerprint import fingerprint
from ..running.kept import Kept
from ..running.pieces import finished
from .accuracy import EDGES, Accuracy, Target
from .reference import LesionReference, lesion_reference
from .simulate import simulate_lesions

Method = Callable[[Images], MapFit]
METHODS = {"ML": "ml", "mean BR": "mean_br"}
LARGEST = (1000, 2000, 5000, 10000)  # voxels


@dataclass(frozen=True)
class VoxelProbit:
    """A method: the reference's formula fitted in every voxel by an estimator."""

    formula: str
    estimator: str

    def __call__(self, images: Images) -> MapFit:
        fitted: Any = fit(self.formula, images, family="binomial(probit)", estimator=self.estimator, progress=False)
        return cast("MapFit", fitted)


@dataclass(frozen=True, eq=False)
class Setting:
    """What all repetitions share, small enough to be pickled; called with a repetition's number it runs that one.

    The answer's arrays have the reference's voxels first: finite (whether the maximum-likelihood estimate is), lesions
    (how many subjects have one), and of method k `k.coef` and `k.z` (V, P).
    """

    reference: LesionReference
    methods: tuple[tuple[str, Method], ...]
    n: int
    ell: str
    seed: int

    def __call__(self, repetition: int) -> dict[str, NDArray[Any]]:
        images = self.images(repetition)
        answer: dict[str, NDArray[Any]] = {"lesions": images.counts.astype(np.int32)}
        for k, (_, method) in enumerate(self.methods):
            found = method(images)
            coef, z = self._spread(found)
            answer |= {f"{k}.coef": coef, f"{k}.z": z}
            if "class" in found.values and "finite" not in answer:
                answer["finite"] = self._overlapping(found)
        return answer

    def images(self, repetition: int) -> Images:
        """The masks of one repetition, at all voxels of the reference."""
        return simulate_lesions(
            self.n,
            reference=self.reference,
            ell=self.ell,
            seed=int(np.random.SeedSequence([self.seed, self.n, repetition]).generate_state(1)[0]),
            min_count=0,
            progress=False,
        ).images

    def _spread(self, found: MapFit) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coefficients and z at all voxels, NaN where they are not finite; in single precision, as they are kept."""
        at = np.searchsorted(self.reference.voxels, found.request.images.voxels)
        coef, se = np.asarray(found.values["coef"]), np.asarray(found.values["se"])
        good = np.isfinite(coef) & np.isfinite(se)
        result = []
        for values in (coef, coef / np.where(good, se, 1.0)):
            full = np.full(self.reference.coefficients.shape, np.nan, dtype=np.float32)
            full[at] = np.where(good, values, np.nan)
            result.append(full)
        return result[0], result[1]

    def _overlapping(self, found: MapFit) -> NDArray[np.bool_]:
        finite = np.zeros(len(self.reference.voxels), dtype=bool)
        finite[np.searchsorted(self.reference.voxels, found.request.images.voxels)] = found.values["class"] == OVERLAP
        return finite

    @property
    def key(self) -> str:
        """A digest of all that decides the numbers, so that a folder never mixes two studies."""
        named, at = [(name, repr(method)) for name, method in self.methods], self.reference
        shape = (self.n, self.ell, self.seed)
        return fingerprint((named, shape, at.names, at.voxels, at.coefficients, at.design.matrix))


@dataclass(frozen=True, eq=False)
class LesionStudy:
    """The accuracy of each method over the repetitions of a study.

    `first` is the answer of the first repetition, as Setting gives it; `hit` the number of voxels with a lesion, one a
    repetition; `separated` the share of repetitions with lesions whose maximum-likelihood estimate is infinite, (V,).
    """

    setting: Setting
    target: Target
    accuracies: Mapping[str, Accuracy]
    first: Mapping[str, NDArray[Any]]
    hit: NDArray[np.int64]
    separated: Array
    seconds: float

    @property
    def replicates(self) -> int:
        return len(self.hit)

    def to_frame(self, coefficient: str | None = None, estimates: str = "finite") -> pd.DataFrame:
        """One row a method and bin of incidence: bias, mse, underestimated, correlation, beyond; see
        Accuracy.to_frame.

        coefficient: by default the last. estimates: "finite" (where maximum likelihood is finite) or "every".
        """
        if estimates not in ("finite", "every"):
            raise ValueError(f'estimates={estimates!r} is not known; there are "finite" and "every"')
        name = self.coefficient(coefficient)
        each = self.accuracies.items()
        parts = [accuracy.to_frame(name, estimates).assign(method=method) for method, accuracy in each]
        table = pd.concat(parts, ignore_index=True)
        return table[["method", *(c for c in table.columns if c != "method")]]

    def overlaps(self, coefficient: str | None = None) -> pd.DataFrame:
        """Dice's coefficient of the strongest voxels and the reference's, a row a method and a column a number."""
        name = self.coefficient(coefficient)
        return pd.DataFrame({method: a.overlap(name) for method, a in self.accuracies.items()}).T

    def coefficient(self, name: str | None) -> str:
        """The name, or that of the last coefficient; raises DataError for one that there is not."""
        names = self.setting.reference.names
        if name is not None and name not in names:
            raise DataError(f"{name!r} is no coefficient of the study; there are {', '.join(names)}")
        return names[-1] if name is None else name

    def __repr__(self) -> str:
        kind = "a synthetic reference" if self.setting.reference.synthetic else "a fitted reference"
        words = f"{self.replicates} replicates of {self.setting.n} subjects from {kind}, {self.coefficient(None)}:"
        return f"{words}\n{self.to_frame().to_string(index=False)}"


def lesion_study(
    reference: LesionReference | None = None,
    *,
    n: int = 250,
    replicates: int = 50,
    methods: Mapping[str, str | Method] = METHODS,
    ell: float | str = "1.5 voxels",
    edges: Sequence[float] = EDGES,
    largest: Sequence[int] = LARGEST,
    seed: int = 1,
    out: str | os.PathLike[str] | None = None,
    workers: Any = None,
    progress: bool | None = None,
) -> LesionStudy:
    """Bias, mean squared error, underestimation, correlation and overlap of methods on simulated lesions.

    methods: a name with the word of an estimator, or with a function of images that returns a MapFit.
    edges: limits of the bins of incidence. largest: numbers of the strongest voxels whose overlap is asked for.
    ell: the length scale of the lesions, as in simulate_lesions().
    replicates: simulated data sets. out: a folder; finished ones are kept there, and the same call goes on from them.
    workers: a number of processes, or a dask client, among which repetitions are shared.

    >>> import formula_neuro as fn
    >>> study = fn.lesion_study(fn.lesion_reference(spacing=10), n=60, replicates=2, edges=(0.05, 1), largest=(50,))
    >>> study.to_frame()["method"].tolist(), study.overlaps().shape
    (['ML', 'ML', 'mean BR', 'mean BR'], (2, 1))
    """
    known = lesion_reference(spacing=4) if reference is None else reference
    right = known.design.formula.text.split("~", 1)[1].strip()
    chosen = tuple(
        (name, VoxelProbit(f"lesion ~ {right}", how) if isinstance(how, str) else how) for name, how in methods.items()
    )
    setting = Setting(known, chosen, n, written(ell), seed)
    target = Target(known.coefficients, known.z(), known.incidence, tuple(edges), tuple(largest))
    started = time.perf_counter()
    gathered = _gather(setting, target, replicates, out, workers, progress)
    return LesionStudy(setting, target, *gathered, time.perf_counter() - started)


def _gather(
    setting: Setting,
    target: Target,
    replicates: int,
    out: str | os.PathLike[str] | None,
    workers: Any,
    progress: bool | None,
) -> tuple[dict[str, Accuracy], dict[str, NDArray[Any]], NDArray[np.int64], Array]:
    """The sums over repetitions, the first of them, the voxels hit in each, and how often each was separated."""
    kept = Kept(None if out is None else Path(out) / setting.key, "repetition")
    names = setting.reference.names
    sums = {method: Accuracy.empty(target, names) for method, _ in setting.methods}
    first: dict[str, NDArray[Any]] = {}
    hit = np.zeros(replicates, dtype=np.int64)
    lesioned, infinite = np.zeros(len(target.truth)), np.zeros(len(target.truth))
    with bar("replicates", replicates, progress, workers) as advance:
        for number, answer in _answers(setting, replicates, kept, workers):
            first = answer if number == 0 else first
            found = answer["lesions"] > 0
            hit[number] = found.sum()
            finite = answer.get("finite", found)
            lesioned, infinite = lesioned + found, infinite + (found & ~finite)
            for k, (method, _) in enumerate(setting.methods):
                sums[method] = sums[method].plus(answer[f"{k}.coef"], answer[f"{k}.z"], finite)
            advance(1)
    return sums, first, hit, infinite / np.maximum(lesioned, 1)


def _answers(setting: Setting, replicates: int, kept: Kept, workers: Any) -> Any:
    """The number and the answer of every repetition: those kept, then the rest as they come in, which are kept too."""
    left = []
    for number in range(replicates):
        held = kept.load((number, number + 1))
        if held is None:
            left.append(number)
        else:
            yield number, held
    for place, answer in finished(setting, left, workers):
        kept.save((left[place], left[place] + 1), answer)
        yield left[place], answer
