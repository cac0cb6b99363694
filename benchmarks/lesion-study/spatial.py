"""What the paper found of the spatial model, each finding held against the numbers of a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from formula_neuro.lesions.accuracy import Z_CELLS, Z_LIMIT
from formula_neuro.lesions.study import LesionStudy

Row = tuple[str, str, bool]
OURS, BR = "spatial", "mean BR"


def spatial_findings(accuracy: Mapping[int, LesionStudy], null: Mapping[int, LesionStudy]) -> list[Row]:
    """A row a finding; studies by the number of subjects, the smaller first."""
    few, many = accuracy[min(accuracy)], accuracy[max(accuracy)]
    return [
        *(_best(study, "mse", "lowest mean squared error", lowest=True) for study in (few, many)),
        *(_best(study, "correlation", "best correlation with the truth", lowest=False) for study in (few, many)),
        _about_equal(few, many),
        *(_more_bias(study) for study in (few, many)),
        *(_overestimates(study) for study in (few, many)),
        *(_larger_z(study) for study in (few, many)),
        *(_spreads(study) for study in (few, many)),
        *(_lowest_overlap(study) for study in (few, many)),
        *(_most_conservative(study) for study in null.values()),
    ]


def _columns(study: LesionStudy, what: str) -> dict[str, np.ndarray]:
    """The values of a column, by method: of the bins, the rarest first, and of all."""
    table = study.to_frame()
    return {method: table.loc[table["method"] == method, what].to_numpy() for method in study.accuracies}


def _n(study: LesionStudy) -> str:
    return f"N\\* = {study.setting.n}"


def _best(study: LesionStudy, what: str, words: str, *, lowest: bool) -> Row:
    found = _columns(study, what)
    whole = {method: values[-1] for method, values in found.items()}
    rare = {method: values[0] for method, values in found.items()}
    shown = ", ".join(f"{method} {whole[method]:.3g} (rarest bin {rare[method]:.3g})" for method in found)
    best = min if lowest else max
    holds = best(whole, key=whole.__getitem__) == OURS and best(rare, key=rare.__getitem__) == OURS
    return f"spatial: {words}, {_n(study)}", shown, holds


def _about_equal(few: LesionStudy, many: LesionStudy) -> Row:
    a, b = (found[OURS][-1] / found[BR][-1] for found in (_columns(study, "mse") for study in (few, many)))
    return (
        f"spatial: about equal to mean BR with many subjects, {_n(many)}",
        f"mean squared error, spatial by mean BR: {a:.2f} at {few.setting.n}, {b:.2f} at {many.setting.n}",
        bool(0.67 < b < 1.5),
    )


def _more_bias(study: LesionStudy) -> Row:
    found = {method: np.abs(values) for method, values in _columns(study, "bias").items()}
    shown = ", ".join(f"{method} {values[-1]:.3g}" for method, values in found.items() if method != "ML")
    more = int((found[OURS][:-1] > found[BR][:-1]).sum())
    return (
        f"spatial: more bias than mean BR, {_n(study)}",
        f"{shown}; larger in {more} of {len(found[OURS]) - 1} bins",
        bool(found[OURS][-1] > found[BR][-1]),
    )


def _overestimates(study: LesionStudy) -> Row:
    share = _columns(study, "underestimated")[OURS]
    return (
        f"spatial: a slight tendency to overestimate, {_n(study)}",
        f"{share[-1]:.1%} below the truth; by bin {', '.join(f'{s:.0%}' for s in share[:-1])}",
        bool(share[-1] < 0.5),
    )


def mean_size(study: LesionStudy, method: str) -> float:
    """The mean of |z| over all voxels above the least incidence and all repetitions, to a cell's width (0.01)."""
    accuracy = study.accuracies[method]
    counts = accuracy.z[-1, accuracy.names.index(study.coefficient(None))]
    centres = -Z_LIMIT + (np.arange(Z_CELLS) + 0.5) * (2 * Z_LIMIT / Z_CELLS)
    return float(np.abs(centres) @ counts / counts.sum())


def _larger_z(study: LesionStudy) -> Row:
    sizes = {method: mean_size(study, method) for method in study.accuracies}
    shown = "mean size of z: " + ", ".join(f"{method} {size:.2f}" for method, size in sizes.items())
    return f"spatial: larger z than voxel by voxel, {_n(study)}", shown, max(sizes, key=sizes.__getitem__) == OURS


def _spreads(study: LesionStudy) -> Row:
    """Signal spreads to weak neighbours: estimates above the truth where it is weak and below where it is strong."""
    accuracy = study.accuracies[OURS]
    j = accuracy.names.index(study.coefficient(None))
    bias, truth, inside = accuracy.finite.rates()["bias"][:, j], study.target.truth[:, j], study.target.bins[-1]
    known = inside & np.isfinite(bias)
    low, high = np.quantile(truth[known], [0.25, 0.75])
    weak, strong = bias[known & (truth <= low)].mean(), bias[known & (truth >= high)].mean()
    shown = f"bias {weak:.2g} in the quarter of voxels with the smallest true effects, {strong:.2g} in the largest"
    return f"spatial: signal spreads to weak neighbours, {_n(study)}", shown, bool(weak > 0 > strong)


def _lowest_overlap(study: LesionStudy) -> Row:
    found = study.overlaps()
    shown = "; ".join(f"{m}: " + ", ".join(f"{method} {v:.2f}" for method, v in found[m].items()) for m in found)
    lowest = (found.loc[OURS] <= found.min()).mean()
    return f"spatial: lowest overlap of the strongest voxels, {_n(study)}", shown, bool(lowest == 1)


def _most_conservative(study: LesionStudy) -> Row:
    whole = {method: values[-1] for method, values in _columns(study, "beyond").items()}
    shown = ", ".join(f"{method} {rate:.2%}" for method, rate in whole.items())
    return f"spatial: fewest false positives, {_n(study)}", shown, min(whole, key=whole.__getitem__) == OURS
