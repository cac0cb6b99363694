"""lm, glm, lme4 and lmerTest of R as backends like any other; R starts when one of them is first used.

>>> from formula_neuro_r import data
>>> data("lme4", "sleepstudy").shape
(180, 3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from formula_neuro.registry import Backend, hookimpl

from .backend import RBackend

if TYPE_CHECKING:
    from .dataset import data as data

GLM_FAMILIES = {"gaussian", "binomial", "poisson", "Gamma", "inverse.gaussian"}


@hookimpl
def formula_neuro_backends() -> list[Backend]:
    fits = "formula_neuro_r.fits"
    return [
        RBackend(
            name="r-lm",
            models=frozenset({"lm"}),
            families=frozenset({"gaussian"}),
            estimators=frozenset({"ml"}),
            target=f"{fits}:lm",
            help="lm() of R",
        ),
        RBackend(
            name="r-glm",
            models=frozenset({"glm"}),
            families=frozenset(GLM_FAMILIES),
            estimators=frozenset({"ml"}),
            target=f"{fits}:glm",
            help="glm() of R",
        ),
        RBackend(
            name="lme4",
            models=frozenset({"lmm", "glmm"}),
            families=frozenset(GLM_FAMILIES),
            estimators=frozenset({"reml", "ml", "laplace", "agq"}),
            target=f"{fits}:lme4",
            help="lmer() and glmer() of lme4",
        ),
        RBackend(
            name="lmerTest",
            models=frozenset({"lmm"}),
            families=frozenset({"gaussian"}),
            estimators=frozenset({"reml", "ml"}),
            target=f"{fits}:lmertest",
            rank=1,
            help="lmer() of lmerTest: lme4's fit, with Satterthwaite and Kenward-Roger degrees of freedom",
        ),
    ]


def __getattr__(name: str) -> object:
    """`data` on first use, so that the records alone load nothing heavy."""
    if name == "data":
        from .dataset import data

        return data
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
