"""The findings of the paper in words, each held against the numbers of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from formula_neuro.lesions.study import LesionStudy

Row = tuple[str, str, bool]  # the finding, the numbers, whether it holds


def findings(accuracy: Mapping[int, LesionStudy], null: Mapping[int, LesionStudy]) -> list[Row]:
    """A row a finding; studies by the number of subjects, the smaller first."""
    few, many = accuracy[min(accuracy)], accuracy[max(accuracy)]
    return [
        _shrinks(few),
        _correlation(few),
        *(_smaller(study, "mse", "mean squared error") for study in (few, many)),
        _closer(few, many),
        *(_smaller(study, "bias", "size of the bias") for study in (few, many)),
        *(_nearer_half(few, many, method) for method in few.accuracies),
        *(_underestimates(study, method) for study in (few, many) for method in study.accuracies),
        *(_overlap(study, method) for study in (few, many) for method in study.accuracies),
        *(_conservative(study, method) for study in null.values() for method in study.accuracies),
        *(_rare_most(study, method) for study in null.values() for method in study.accuracies),
        _coverage(few, many),
    ]


def _by_bin(study: LesionStudy, method: str, what: str) -> Any:
    """The values of a column in the bins, rarest first, without the row of all."""
    table = study.to_frame()
    return table.loc[table["method"] == method, what].to_numpy()[:-1]


def _whole(study: LesionStudy, method: str, what: str) -> float:
    table = study.to_frame()
    return float(table.loc[table["method"] == method, what].iloc[-1])


def _n(study: LesionStudy) -> str:
    return f"N\\* = {study.setting.n}"


def _shrinks(study: LesionStudy) -> Row:
    away = _by_bin(study, "ML", "bias") - _by_bin(study, "mean BR", "bias")
    shown = f"mean of ML less mean BR: {away[0]:.4f} in the rarest bin, {away[-1]:.5f} in the commonest"
    holds = bool((away > 0).all() and away[0] > away[len(away) // 2] > away[-1])
    return f"mean BR shrinks towards 0, most at rare voxels, {_n(study)}", shown, holds


def _correlation(study: LesionStudy) -> Row:
    ml, br = (_by_bin(study, method, "correlation")[:2] for method in ("ML", "mean BR"))
    shown = f"two rarest bins: ML {ml[0]:.3f}, {ml[1]:.3f}; mean BR {br[0]:.3f}, {br[1]:.3f}"
    whole = [_whole(study, method, "correlation") for method in ("ML", "mean BR")]
    shown += f"; all voxels {whole[0]:.2f} and {whole[1]:.2f}"
    return (
        f"ML's correlation with the truth is ruined at rare voxels, {_n(study)}",
        shown,
        bool((ml < br).all() and whole[0] < whole[1] / 2),
    )


def _smaller(study: LesionStudy, what: str, words: str) -> Row:
    ml, br = (np.abs(_by_bin(study, method, what)) for method in ("ML", "mean BR"))
    shown = f"ML {abs(_whole(study, 'ML', what)):.3g}, mean BR {abs(_whole(study, 'mean BR', what)):.3g}; smaller in "
    shown += f"{int((br < ml).sum())} of {len(ml)} bins"
    holds = abs(_whole(study, "mean BR", what)) < abs(_whole(study, "ML", what)) and bool(br[0] < ml[0])
    return f"{words}: mean BR below ML, {_n(study)}", shown, holds


def _closer(few: LesionStudy, many: LesionStudy) -> Row:
    ratios = [_whole(study, "ML", "mse") / _whole(study, "mean BR", "mse") for study in (few, many)]
    return (
        "the two are closer with more subjects",
        f"mean squared error, ML by mean BR: {ratios[0]:.1f} at {few.setting.n}, {ratios[1]:.2f} at {many.setting.n}",
        ratios[1] < ratios[0],
    )


def _nearer_half(few: LesionStudy, many: LesionStudy, method: str) -> Row:
    a, b = (_whole(study, method, "underestimated") for study in (few, many))
    shown = f"{a:.1%} at {few.setting.n}, {b:.1%} at {many.setting.n}"
    return f"underestimation nearer 50 % with more subjects: {method}", shown, abs(b - 0.5) < abs(a - 0.5)


def _underestimates(study: LesionStudy, method: str) -> Row:
    share = _whole(study, method, "underestimated")
    rare = _by_bin(study, method, "underestimated")[0]
    return f"{method} tends to underestimate, {_n(study)}", f"{share:.1%} below; rarest bin {rare:.1%}", share > 0.5


def _overlap(study: LesionStudy, method: str) -> Row:
    found = study.overlaps().loc[method]
    shown = ", ".join(f"{m}: {value:.2f}" for m, value in found.items())
    return f"overlap of the strongest voxels above 0.7: {method}, {_n(study)}", shown, bool((found > 0.7).all())


def _conservative(study: LesionStudy, method: str) -> Row:
    """Conservative up to the Monte Carlo error of a bin, taken as half a percent."""
    rates = _by_bin(study, method, "beyond")
    shown = f"from {rates.min():.1%} to {rates.max():.1%} at a nominal 5 %"
    return f"no bin's false-positive rate is above 5.5 %: {method}, {_n(study)}", shown, bool((rates < 0.055).all())


def _rare_most(study: LesionStudy, method: str) -> Row:
    rates = _by_bin(study, method, "beyond")
    shown = ", ".join(f"{rate:.1%}" for rate in rates)
    return f"false positives rarest at rare voxels: {method}, {_n(study)}", shown, bool(rates.argmin() == 0)


def _coverage(few: LesionStudy, many: LesionStudy) -> Row:
    volume = float(np.prod(few.setting.reference.grid.voxel_size)) / 8
    a, b = (float(study.hit.mean()) * volume for study in (few, many))
    shown = f"{a:,.0f} and {b:,.0f} voxels of 2 mm; the paper has 23,404 and 40,286"
    return (
        "voxels with a lesion are as many as the paper's, within a fifth",
        shown,
        bool(abs(np.log(a / 23404)) < np.log(1.2) and abs(np.log(b / 40286)) < np.log(1.2)),
    )
