"""How far two right answers may lie apart, per model and quantity, each with its reason in one sentence.

R is exact for lm. glm stops its iterations early, lme4's optimiser stops near the optimum, and glmer takes
its standard errors from finite differences: there the tolerance is what R's default settings leave open,
as measured against independent exact codes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """The largest allowed difference, what it is measured in, and why it is not smaller.

    `worse` applies to the log-likelihood alone: how far ours may lie below the reference's.
    """

    allowed: float
    unit: str
    reason: str
    worse: float = 0.0


ERROR = "standard errors"
ROUNDED = "standard errors, or relative where the coefficient is larger"
RELATIVE = "relative"
SPREAD = "relative, or in residual sds (of the term's own columns) where the sd is smaller"
LARGE = "relative, or absolute where it is below 1"
RESPONSE = "standard deviations of the response"

DEVIANCE = "relative, or absolute where it is below 0.1"
EXACT = "both solve the same least squares; what is left is rounding"
STOPPED = "glm() stops when the deviance changes by less than 1e-8 of itself, some way before the limit"
BRGLM2 = "brglm2 is asked for 1e-10, but clips means at 2e-16 of 0 and 1, which still moves coefficients a little"
NEAR = "lmer's optimiser stops up to 1e-5 above the smallest criterion, where this still moves a little"
LOOSE = "glmer stops its inner iterations at 1e-7 and its optimiser near the optimum, where this still moves"

LM = {
    "coefficients": Tolerance(1e-8, ROUNDED, EXACT),
    "standard errors": Tolerance(1e-8, RELATIVE, EXACT),
    "sigma": Tolerance(1e-8, RELATIVE, EXACT),
    "log-likelihood": Tolerance(1e-8, RELATIVE, EXACT, worse=1e-8),
    "fitted values": Tolerance(1e-8, "relative to the largest", EXACT),
}
GLM = {
    "coefficients": Tolerance(1e-3, ERROR, STOPPED),
    "standard errors": Tolerance(1e-3, RELATIVE, STOPPED + "; its weights are those of the step before the last"),
    "sigma": Tolerance(1e-3, RELATIVE, STOPPED),
    "theta": Tolerance(1e-3, RELATIVE, "glm.nb() takes turns between theta and the coefficients, and stops both early"),
    "deviance": Tolerance(1e-5, DEVIANCE, STOPPED + "; theta moves it too, as far as that is off"),
    "null deviance": Tolerance(
        1e-5, DEVIANCE, "exact without an offset; with one R fits the intercept, and stops early"
    ),
    "log-likelihood": Tolerance(1e-4, "absolute", STOPPED, worse=1e-6),
    "fitted values": Tolerance(1e-3, RESPONSE, STOPPED),
}
GLM_BR = {
    "coefficients": Tolerance(1e-6, ERROR, BRGLM2),
    "standard errors": Tolerance(1e-6, RELATIVE, BRGLM2),
    "sigma": Tolerance(1e-6, RELATIVE, BRGLM2),
    "deviance": Tolerance(1e-6, DEVIANCE, BRGLM2),
    "log-likelihood": Tolerance(
        1e-5, "absolute", "not at its own maximum, so as far off as the coefficients", worse=1e-5
    ),
    "fitted values": Tolerance(1e-5, RESPONSE, BRGLM2),
}
LMM = {
    "coefficients": Tolerance(1e-3, ERROR, NEAR + " (5e-4 seen)"),
    "standard errors": Tolerance(1e-3, RELATIVE, NEAR + " (3e-4 seen)"),
    "sigma": Tolerance(1e-3, RELATIVE, NEAR),
    "random-effect sds": Tolerance(3e-3, SPREAD, NEAR + " (2e-3 seen)"),
    "random-effect covariances": Tolerance(6e-3, SPREAD, "a product of two sds, so twice their tolerance"),
    "residual parameters": Tolerance(1e-3, "absolute, or relative above 1", "lme takes turns between them and theta"),
    "log-likelihood": Tolerance(5e-6, "absolute", "lmer may stop 1e-5 above the smallest criterion", worse=1e-6),
    "fitted values": Tolerance(3e-3, RESPONSE, "the random effects shrink as their sd does"),
    "degrees of freedom": Tolerance(
        1e-2, RELATIVE, "lmerTest differentiates numerically, at variances that lmer leaves short of the optimum"
    ),
}
LMM |= {
    "F tests of terms": Tolerance(2e-3, LARGE, NEAR + ", twice as much as a standard error"),
    "df of F tests": LMM["degrees of freedom"],
    "Kenward-Roger F tests": Tolerance(2e-3, LARGE, NEAR + ", twice as much as a standard error"),
    "Kenward-Roger df": Tolerance(1e-2, RELATIVE, NEAR + "; the formulas agree to 1e-6 at one theta"),
}
GLMM = {
    "coefficients": Tolerance(1e-2, ERROR, LOOSE),
    "standard errors": Tolerance(2e-2, RELATIVE, "glmer's come from finite differences and are up to 1.3 % off"),
    "zero-inflation coefficients": Tolerance(1e-2, ERROR, "glmmTMB's optimiser stops early where the surface is flat"),
    "zero-inflation standard errors": Tolerance(2e-2, RELATIVE, "they move with the estimates"),
    "random-effect sds": Tolerance(1e-2, SPREAD, LOOSE),
    "random-effect covariances": Tolerance(2e-2, SPREAD, "a product of two sds, so twice their tolerance"),
    "log-likelihood": Tolerance(1e-3, "absolute", LOOSE, worse=1e-6),
    "fitted values": Tolerance(2e-2, RESPONSE, LOOSE),
}
SOLVED = "both solve the same equations; geeglm is asked for steps below 1e-12"
GEE = {
    "coefficients": Tolerance(1e-6, ERROR, SOLVED),
    "standard errors": Tolerance(1e-6, RELATIVE, SOLVED),
    "sigma": Tolerance(1e-6, RELATIVE, SOLVED),
    "residual parameters": Tolerance(1e-6, "absolute, or relative above 1", SOLVED),
    "fitted values": Tolerance(1e-6, RESPONSE, SOLVED),
}
BY_BIAS_REDUCTION = {"lm": GLM_BR, "glm": GLM_BR}
TOLERANCES: dict[str, dict[str, Tolerance]] = {"lm": LM, "glm": GLM, "lmm": LMM, "glmm": GLMM, "gee": GEE}
