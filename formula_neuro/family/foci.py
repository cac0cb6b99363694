"""Families of foci: what the numbers of foci of analyses and voxels are taken to be."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Family
from .links import Link, Log


@dataclass(frozen=True)
class FociFamily:
    """A distribution of the foci of analyses and voxels, with a log link."""

    name: str
    likelihood: bool = True
    about: str = ""

    @property
    def link(self) -> Link:
        return Log()

    def __str__(self) -> str:
        return f"{self.name}(log)"


FOCI_FAMILIES = {
    family.name: family
    for family in (
        FociFamily("poisson", about="foci fall independently"),
        FociFamily("quasipoisson", likelihood=False, about="Poisson, variances times a dispersion that is estimated"),
        FociFamily("negative_binomial", about="totals of voxels are overdispersed, one dispersion a cell"),
        FociFamily("clustered_negative_binomial", about="totals of analyses are overdispersed, one dispersion a cell"),
    )
}
OF_TABLES = ("nbinom2", "nbinom1")


def as_foci_family(given: str | Family | FociFamily | None) -> FociFamily:
    """The family of foci that a text or a family of tables names; None: poisson.

    >>> as_foci_family("poisson(log)").name, str(as_foci_family("clustered_negative_binomial"))
    ('poisson', 'clustered_negative_binomial(log)')
    """
    if isinstance(given, FociFamily):
        return given
    word = "poisson" if given is None else str(given).replace(" ", "").removesuffix("(log)").removesuffix("()")
    if word in FOCI_FAMILIES:
        return FOCI_FAMILIES[word]
    known = "; ".join(f"{family.name} ({family.about})" for family in FOCI_FAMILIES.values())
    near = "; of counts of foci by analysis it is called clustered_negative_binomial" if word in OF_TABLES else ""
    raise ValueError(f"family={given!s} does not exist for foci; there are {known}{near}")
