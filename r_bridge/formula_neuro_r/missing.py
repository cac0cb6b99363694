"""What to type when R, rpy2 or an R package is missing."""

from __future__ import annotations

from formula_neuro.errors import RMissing

NO_R = (
    "needs R, found neither by R_HOME nor on the PATH: apt-get install r-base-core   (conda: conda install r-base); "
    "`formula-neuro doctor` has one command for R and all packages"
)
NO_RPY2 = 'needs rpy2: pip install "formula_neuro[r]"   (R 4.6 and later: [r-new])'


def missing_package(package: str, reason: str) -> RMissing:
    """The error for an R package that cannot be loaded, with the commands that install it.

    >>> print(missing_package("lme4", "there is no package called 'lme4'"))
    the R package lme4 cannot be loaded (there is no package called 'lme4'); install it with
      apt-get install r-cran-lme4   (conda: conda install -c conda-forge r-lme4; in R: install.packages("lme4"))
    """
    low = package.lower()
    reason = " ".join(reason.split())
    return RMissing(
        f"the R package {package} cannot be loaded ({reason}); install it with\n"
        f"  apt-get install r-cran-{low}   (conda: conda install -c conda-forge r-{low}; "
        f'in R: install.packages("{package}"))'
    )


def missing_rpy2(error: Exception) -> RMissing:
    """The error for an rpy2 that is not installed, does not fit this R, or finds no R."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "rpy2":
        return RMissing(f"R inside this process {NO_RPY2}")
    return RMissing(
        f"rpy2 is installed but cannot start R ({type(error).__name__}: {error}). Is R there "
        "(apt-get install r-base-core; conda install r-base)? R up to 4.5 needs the extra [r], later ones [r-new]: "
        'make a new environment and pip install "formula_neuro[r]"'
    )
