"""Quasi-Poisson: Poisson's estimates, the variances times the dispersion of the analyses' totals."""

from __future__ import annotations

from dataclasses import dataclass

from formula_neuro.errors import FitError
from formula_neuro.family import Array

LARGE = 1.5  # dispersion from which standard errors of Poisson are said to be too small
SMALL = 1 / LARGE
NONE = 1e-9  # what rounding leaves of totals that are as expected


@dataclass(frozen=True)
class Dispersion:
    """phi, the totals' variance over Poisson's, with the degrees of freedom that it is estimated from."""

    phi: float
    df: int


def dispersion(t: Array, means: Array, columns: int) -> Dispersion:
    """phi = sum_i (t_i - L_i)^2 / L_i / (M - columns) of totals t (M,) with fitted means L (M,).

    `columns` counts the levels of the maps and the global columns. Over analyses and voxels instead of totals it would
    be near 1 whatever the data. Raises FitError where no degree of freedom is left.
    """
    df = len(t) - columns
    if df < 1:
        raise FitError(
            f"the dispersion of totals needs more analyses than columns: {len(t)} analyses, {columns} columns; leave "
            "terms out, or use vcov='fisher'"
        )
    return Dispersion(float(((t - means) ** 2 / means).sum() / df), df)


def about(found: Dispersion) -> tuple[str, ...]:
    """What there is to say of totals that vary much more, or much less, than Poisson's."""
    if found.phi > LARGE:
        return (
            f"totals vary {found.phi:.3g} times as much as Poisson's: standard errors of Poisson would be "
            f"{found.phi**0.5:.2g} times too small for levels and moderators",
        )
    if found.phi < SMALL:
        return (
            f"totals vary {_less(found.phi)} Poisson's: p values of moderators by Poisson would be too large; was the "
            "number of foci fixed by design or by a program?",
        )
    return ()


def _less(phi: float) -> str:
    return "not at all, unlike" if phi < NONE else f"less, {phi:.2g} times as much as"
