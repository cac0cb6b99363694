"""What other packages call the answers of a fit, and where these are here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .nearest import nearest

_OF_WORDS = {
    "m.coef": "params coefficients coefs coeffs fixef fe_params fixed_effects coef_ estimates",
    "m.se": "bse bse_fe std_err std_error stderr se_fixed",
    "m.vcov": "cov_params cov_scaled normalized_cov_params",
    "m.tidy(), in its columns statistic, p_value, conf_low and conf_high": "pvalues p_values pvalue tvalues zvalues",
    "m.tidy() for Wald's, fn.confint(m, method='profile') for others": "conf_int",
    "m.tidy(vcov='HC3') or m.tidy(vcov={'cluster': 'mouse'})": "get_robustcov_results",
    "fitted already; ask m.summary() or m.tidy()": "fit",
    "m.glance() of a linear model, fn.r2(m) of a mixed one": "rsquared rsquared_adj r_squared",
    "m.residuals()": "resid resid_pearson resid_response resid_deviance",
    "m.fitted": "fittedvalues fitted_values fits predicted",
    "m.predict(newdata, interval='confidence')": "get_prediction prediction_interval",
    "m.influence()": "get_influence cooks_distance hatvalues leverage",
    "m.loglik": "llf loglike log_likelihood logLik loglikelihood",
    "m.sigma (and its square, m.dispersion)": "scale mse_resid rse",
    "m.df_resid": "df_residual dof",
    "len(m.coef) - 1": "df_model",
    "m.nobs": "n n_obs rows",
    "m.ranef()": "random_effects raneff blups ranefs",
    "m.varcorr()": "cov_re vcomp ranef_var ranef_cov VarCorr random_effects_covariance",
    "fn.contrast(m, 'x = 0')": "t_test f_test wald_test wald_test_terms linear_hypothesis glht test",
    "fn.anova(smaller, larger)": "compare_lr_test compare_f_test lrt lr_test",
    "fn.emmeans(m, 'group', contrast='pairwise')": "post_hoc posthoc pairwise marginal_effects get_margeff emmean",
    "m.request.design.formula.text": "formula call terms",
    "m.request.design.data": "data frame model_frame",
    "m.request.design.X, or fn.model_matrix(formula, data)": "exog design_matrix X model",
    "m.request.y": "endog y response",
    "m.messages": "warnings message notes",
    "m.tidy().to_csv(path), or to_excel and to_html as of any DataFrame": "to_csv to_excel to_html to_frame save",
    "fn.compare(m).to_latex(), or to_markdown()": "to_latex to_markdown summary_col",
}
_VERBS = "all_fit anova bootstrap_test compare confint contrast crosscheck drop1 emmeans icc r2 ranova refit".split()
ELSEWHERE = {name: here for here, names in _OF_WORDS.items() for name in names.split()} | {
    verb: f"fn.{verb}(m, ...), a verb of the package" for verb in _VERBS
}


_FITS = set("lm glm lmer glmer lme gls aov glmmTMB Lmer ols OLS wls logit Logit probit mixedlm MixedLM feols".split())
_OF_FITS = set("augment glance influence plot predict ranef report residuals summary tidy varcorr".split())


def of_package(name: str) -> str | None:
    """What stands for a function of another package, or is asked of a fit; None for what is neither.

    >>> of_package("lmer"), of_package("tidy")
    ("fn.fit('y ~ x + (1 | g)', data) fits all models", 'a fit is asked for it, m.tidy()')
    """
    if name in _FITS:
        return "fn.fit('y ~ x + (1 | g)', data) fits all models"
    if name in _OF_FITS:
        return f"a fit is asked for it, m.{name}()"
    return f"of a fit m it is {ELSEWHERE[name]}" if name in ELSEWHERE else None


class OtherNames:
    """Of a missing attribute, an AttributeError that says where the answer is; of `dir()`, what users ask for.

    >>> OtherNames().params
    Traceback (most recent call last):
    AttributeError: OtherNames has no 'params': here it is m.coef
    """

    _within: frozenset[str] = frozenset()  # public attributes for other code, left out of dir()

    if not TYPE_CHECKING:  # type checkers know which attributes there are

        def __getattr__(self, name: str) -> Any:
            """Asked only where there is no such attribute, or where a property raised AttributeError itself."""
            if name in dir(type(self)):
                return object.__getattribute__(self, name)  # raises the property's own error
            raise AttributeError(_lacking(self, name))

    def __dir__(self) -> list[str]:
        return sorted(name for name in super().__dir__() if name not in self._within)


def _lacking(of: object, name: str) -> str:
    kind = type(of).__name__
    if name.startswith("_"):  # copy, pickle and editors probe these
        return f"{kind!r} object has no attribute {name!r}"
    if name in ELSEWHERE:
        return f"{kind} has no {name!r}: here it is {ELSEWHERE[name]}"
    known = [known for known in dir(of) if not known.startswith("_")]
    near = nearest(name, known)
    return f"{kind} has no {name!r}; " + (f"did you mean {near!r}?" if near else f"there are {', '.join(known)}")
