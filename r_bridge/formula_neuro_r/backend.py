"""The record of an R backend: what the core asks before anything of R is loaded."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from formula_neuro.estimator import BIAS_REDUCED
from formula_neuro.registry import Backend

from .missing import NO_R, NO_RPY2

if TYPE_CHECKING:
    from formula_neuro.maps.request import MapRequest
    from formula_neuro.request import Request

# One record serves lmer and glmer, which take different estimators.
FIXED = ("ml", *BIAS_REDUCED)
ESTIMATORS_OF = {"lmm": ("reml", "ml"), "glmm": ("laplace", "agq"), "lm": FIXED, "glm": FIXED, "gee": ("gee",)}


@dataclass(frozen=True)
class RBackend(Backend):
    """A backend that runs in R: by rpy2 where that is installed, else by Rscript."""

    extra: str = "r"
    language: str = "R"
    weights_in_laplace: str = "expected"

    def unready(self) -> str | None:
        """Why this backend cannot run on this machine, or None; R packages are looked for when it runs."""
        if not r_is_here():
            return NO_R
        if sys.platform == "win32" and not rpy2_is_here():  # Rscript is spoken to by POSIX means
            return NO_RPY2
        return Backend.unready(self)

    def refuses(self, request: Request | MapRequest) -> str | None:
        """As for any backend; quadrature is taken for one random effect, in families without a dispersion."""
        takes = ESTIMATORS_OF.get(request.model, ())
        word = request.estimator.word
        if request.model in self.models and word not in takes:
            return f"does not fit a {request.model} by {word!r} (takes {', '.join(takes)})"
        if word == "agq" and request.family.dispersed:
            return f"takes quadrature for binomial and poisson, not for {request.family.name}"
        if getattr(request.estimator, "prior", None) is not None:
            return "has no prior of the coefficients; the native backend has"
        chosen = getattr(request.estimator, "weights", None)
        if request.model == "glmm" and chosen not in (None, self.weights_in_laplace):
            return f"takes {self.weights_in_laplace} weights in Laplace's approximation, not {chosen} ones"
        effects = [len(term.columns) for term in request.design.random]
        if word == "agq" and effects != [1] and getattr(request.estimator, "nodes", 1) > 1:
            return "takes quadrature for one scalar random effect such as (1|g) alone; use estimator='laplace'"
        return Backend.refuses(self, request)


@dataclass(frozen=True)
class NestedBackend(RBackend):
    """nlme's lme: grouping factors nested in one another, no offset."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        """As for any R backend; crossed grouping factors are refused by name."""
        reason = RBackend.refuses(self, request)
        if reason is not None:
            return reason
        from .nested import crossed  # numpy is loaded where a request is

        if request.design.offset.any():
            return "takes no offset; subtract it from the response"
        pair = crossed(request.design.random)
        return f"takes grouping factors that are nested; {pair[0]} and {pair[1]} are crossed" if pair else None


@dataclass(frozen=True)
class TemplateBackend(RBackend):
    """glmmTMB, whose weights multiply a row's log-likelihood."""

    weights_in_laplace: str = "observed"

    def refuses(self, request: Request | MapRequest) -> str | None:
        """As for any R backend; weights are taken where they are numbers of trials or of equal rows."""
        reason = RBackend.refuses(self, request)
        if reason is not None:
            return reason
        family = request.family
        if (family.dispersed or family.name == "nbinom2") and (request.weights != 1).any():
            return f"reads weights as numbers of equal rows, which they are not for {family.name}; leave them out"
        if getattr(family, "fixed", False):
            return "estimates theta; leave it out of the family"
        return None


@dataclass(frozen=True)
class ClusterBackend(RBackend):
    """geepack's geeglm, whose links and variance functions are its own."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        """As for any R backend; links that geepack has not, and other denominators, are refused."""
        reason = RBackend.refuses(self, request)
        if reason is not None:
            return reason
        links = ("identity", "logit", "probit", "cloglog", "log", "inverse")
        if request.family.link.name not in links:
            return f"has no {request.family.link.name} link (has {', '.join(links)})"
        if getattr(request.estimator, "denominators", "n") != "n":
            return "divides by numbers of rows and pairs; GEE(denominators='n') does the same"
        return None


def r_is_here() -> bool:
    """Whether an R can be found, without starting it (Windows keeps it in the registry: rpy2 looks there)."""
    return bool(os.environ.get("R_HOME")) or shutil.which("R") is not None or sys.platform == "win32"


def rpy2_is_here() -> bool:
    """Whether rpy2 is installed; from 3.6 on it is a namespace package, which `requires` would not find."""
    spec = importlib.util.find_spec("rpy2")
    folders = spec.submodule_search_locations if spec is not None else None
    return any((Path(folder) / "rinterface_lib" / "__init__.py").is_file() for folder in folders or ())
