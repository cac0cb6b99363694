"""A fit in every voxel in words and small tables, as text and for notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from ...display import digits
from ...display.summary import model_words
from .own import own_convergence, own_tables
from .tables import BEYOND

if TYPE_CHECKING:
    from ..fit import MapFit

VERBS = "v.maps[...]  v.tidy()  v.plot()  v.report(path)  v.to_nifti(folder)  fn.contrast(v, ...).threshold()  "


def summary(fit: MapFit) -> str:
    """What was fitted where, the coefficients, separation, convergence, and what there is to say."""
    verbs = VERBS + ("fn.excursions(v, ...)" if fit.posterior else "fn.crosscheck(v)")
    return "\n\n".join(part for part in (body(fit), ending(fit), verbs) if part)


def body(fit: MapFit) -> str:
    """The summary without what was found on the way."""
    return "\n\n".join(
        [
            "\n".join([headline(fit), f"{model(fit)}; {fit.backend} in {fit.seconds:.1f} s"]),
            "\n".join([digits.columns(*coefficients(fit), list(fit.names)), *legend(fit)]),
            *map(str, own_tables(fit)),
            "\n".join([*separation(fit), convergence(fit)]),
        ]
    )


def ending(fit: MapFit) -> str:
    """What was found on the way, but for what the summary says already."""
    said = (*about(fit), own_convergence(fit))
    return "\n".join(note for note in dict.fromkeys(fit.messages) if note not in said)


def short_html(fit: MapFit) -> str:
    """The formula, the model and the table of coefficients as HTML for a notebook."""
    heads, columns = coefficients(fit)
    top = "".join(f"<th>{html.escape(head)}</th>" for head in ["", *heads])
    rows = zip(fit.names, *columns, strict=True)
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{html.escape(word)}</td>' for word in words)}</tr>"
        for name, *words in rows
    )
    lines = [headline(fit), model(fit)]
    below = [*separation(fit), convergence(fit), *legend(fit)]
    said = "".join(f"<div>{html.escape(line)}</div>" for line in below)
    return (
        f"<div><b>{html.escape(lines[0])}</b><br>{html.escape(lines[1])}</div>"
        '<table style="white-space: nowrap"><thead>'
        f"<tr>{top}</tr></thead><tbody>{body}</tbody></table><small>{said}</small>"
    )


def headline(fit: MapFit) -> str:
    """ "lesion ~ age in 8,982 voxels of 4 mm, 120 masks"."""
    images = fit.request.images
    size = images.grid.describe().split(" voxels of ")[1]
    kind = "masks" if images.binary else "images"
    return f"{fit.request.design.formula} in {fit.n_voxels:,} voxels of {size}, {fit.nobs:,} {kind}"


def model(fit: MapFit) -> str:
    """ "binomial(probit) generalized linear model by mean bias reduction in every voxel"."""
    return f"{model_words(fit.request)}{'' if fit.posterior else ' in every voxel'}"


LEGEND = (
    f"Where a coefficient is 0, about 5 % of the voxels have |z| > {BEYOND} (of masks fewer, where lesions are rare).",
    "Discoveries: voxels at a false discovery rate of 5 % (Benjamini and Hochberg), with z above and below 0.",
)
OF_POSTERIOR = (
    f"z: posterior mean by posterior standard deviation; where |z| > {BEYOND} the 95 % credible interval leaves 0 out.",
    "Discoveries: 2 Phi(-|z|) as p values at a false discovery rate of 5 % (Benjamini and Hochberg), a convention; "
    'the posterior itself says maps["positive", ...] of a voxel, and fn.excursions(v, ...) of voxels together.',
)


def legend(fit: MapFit) -> tuple[str, ...]:
    """What the columns of the table of coefficients mean."""
    return OF_POSTERIOR if fit.posterior else LEGEND


def coefficients(fit: MapFit) -> tuple[list[str], list[list[str]]]:
    """Heads and columns (words) of a table with one row a coefficient."""
    table = fit.tidy()
    counted, beyond = table["voxels"], table[f"beyond_{BEYOND}"]
    columns = {
        "voxels": [f"{n:,}" for n in counted],
        f"|z| > {BEYOND}": [_share(k, n) for k, n in zip(beyond, counted, strict=True)],
        "discoveries": [
            f"{n:,} ({up:,} above, {down:,} below)" if n else "0"
            for n, up, down in zip(table["discoveries"], table["positive"], table["negative"], strict=True)
        ],
        "lowest z": _numbers(table["z_min"], 2),
        "highest z": _numbers(table["z_max"], 2),
        "median estimate": [f"{value:.3g}" for value in table["median"]],
    }
    if table["separated"].any():
        infinite = zip(table["separated"], counted, strict=True)
        columns["separated"] = [_share(k, n) if k else "0" for k, n in infinite]
    return list(columns), list(columns.values())


def _share(count: int, of: int) -> str:
    """ "1,238 (13.8 %)"."""
    return f"{count:,} ({100 * count / of:.1f} %)" if of else f"{count:,}"


def _numbers(values: object, decimals: int) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.{decimals}f}" for value in np.asarray(values, dtype=float)]


def separation(fit: MapFit) -> list[str]:
    """How many voxels are separated or constant, and what that means for the estimates; nothing where none is."""
    from ..fit import ALL_ONE, ALL_ZERO, CLASSES, COMPLETE, QUASI

    if "class" not in fit.values or fit.family.name == "gaussian":  # whose estimates are always finite
        return []
    kinds = np.asarray(fit.values["class"], dtype=int)
    found = [(CLASSES[k], int((kinds == k).sum())) for k in (QUASI, COMPLETE, ALL_ZERO, ALL_ONE)]
    shown = [f"{_share(count, fit.n_voxels)} {name}" for name, count in found if count]
    if not shown:
        return ["No voxel is separated: every maximum-likelihood estimate is finite."]
    ours = "is" if fit.infinite.any() else "would be"
    other = "" if fit.infinite.any() else f"; the estimates here ({fit.request.estimator.word}) are finite"
    return [f"Separation, where maximum likelihood {ours} infinite: {', '.join(shown)}{other}."]


def convergence(fit: MapFit) -> str:
    """Whether all searches ended well, and in how many steps."""
    if whole := own_convergence(fit):
        return whole
    lost = int(fit.unfinished.sum())
    steps = np.asarray(fit.values.get("iterations", np.zeros(fit.n_voxels)))[fit.fitted & ~fit.infinite]
    most = f", in at most {int(steps.max())} iterations" if steps.max(initial=0) > 1 else ""
    finite = "" if not fit.infinite.any() else " where estimates are finite"
    if not lost:
        return f"Every voxel converged{finite}{most}."
    return f"{_share(lost, fit.n_voxels)} voxels did NOT converge: their numbers are only where the search stopped."


def about(fit: MapFit) -> tuple[str, ...]:
    """Messages that every fit in voxels owes: where estimates are infinite, and how many did not converge."""
    notes = []
    infinite = int(fit.infinite.sum())
    if infinite:
        notes.append(
            f"{infinite:,} of {fit.n_voxels:,} voxels are separated, so that maximum likelihood is infinite there: "
            "such coefficients are inf with their sign, or NaN where the data leave it open, and have no z; "
            'estimator="mean_br"' + (" of a model without random terms" * bool(fit.request.n_random)) + " is finite"
        )
    lost = int(fit.unfinished.sum())
    if lost:
        notes.append(
            f"{lost:,} of {fit.n_voxels:,} voxels did NOT converge: their numbers are only where the search stopped; "
            'see maps["converged"]'
        )
    return tuple(notes)
