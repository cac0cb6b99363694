"""lm, glm, lme4 and lmerTest of R as backends like any other; R starts when one of them is first used.

>>> from formula_neuro_r import data
>>> data("lme4", "sleepstudy").shape
(180, 3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from formula_neuro.estimator import BIAS_REDUCED
from formula_neuro.registry import Backend, hookimpl

from .backend import ClusterBackend, NestedBackend, RBackend, TemplateBackend

if TYPE_CHECKING:
    from .dataset import data as data
    from .engine import using as using

BRGLM2_FAMILIES = {"gaussian", "binomial", "poisson", "Gamma", "inverse.gaussian"}
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
            families=frozenset(GLM_FAMILIES | {"quasibinomial", "quasipoisson", "quasi", "nbinom2"}),
            estimators=frozenset({"ml"}),
            target=f"{fits}:glm",
            help="glm() of R, glm.nb() of MASS",
        ),
        RBackend(
            name="brglm2",
            models=frozenset({"lm", "glm"}),
            families=frozenset(BRGLM2_FAMILIES),
            estimators=frozenset(BIAS_REDUCED),
            target=f"{fits}:brglm2",
            help="brglmFit() of brglm2: AS_mean, AS_median, MPL_Jeffreys",
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
        NestedBackend(
            name="nlme",
            models=frozenset({"lmm"}),
            families=frozenset({"gaussian"}),
            estimators=frozenset({"reml", "ml"}),
            structures=frozenset({"us", "diag", "diag(..., hom = TRUE)", "cs(..., hom = TRUE)"}),
            residuals=frozenset({"VarIdent", "AR1"}),
            target=f"{fits}:nlme",
            rank=-1,  # a second opinion, by name
            help="lme() of nlme: nested grouping factors, degrees of freedom by containment",
        ),
        TemplateBackend(
            name="glmmTMB",
            models=frozenset({"lmm", "glmm"}),
            families=frozenset(
                {"gaussian", "binomial", "poisson", "Gamma", "nbinom1", "nbinom2", "beta", "betabinomial"}
            ),
            estimators=frozenset({"reml", "ml", "laplace"}),
            inflation=True,
            structures=frozenset({"us", "diag", "cs", "ar1"}),
            target=f"{fits}:glmmtmb",
            rank=-1,
            help="glmmTMB(): Laplace's approximation with automatic derivatives; diag, cs and ar1 structures",
        ),
        ClusterBackend(
            name="geepack",
            models=frozenset({"gee"}),
            families=frozenset({"gaussian", "binomial", "poisson", "Gamma"}),
            estimators=frozenset({"gee"}),
            target="formula_neuro_r.geepack:fit",
            max_random=0,
            help="geeglm() of geepack, its rows sorted by cluster first",
        ),
    ]


def __getattr__(name: str) -> object:
    """`data` and `using` on first use, so that the records alone load nothing heavy."""
    if name == "data":
        from .dataset import data

        return data
    if name == "using":
        from .engine import using

        return using
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
