"""Which two fits a bootstrap test takes, and what their reader must know."""

from __future__ import annotations

from ...errors import DataError, Unable
from ...result import Fit
from ..terms.anova import about_nesting, by_ml, check_comparable


def nested_by_ml(small: Fit, large: Fit) -> tuple[Fit, Fit, list[str]]:
    """The two models, the smaller first, by maximum likelihood, with what is to be said of that."""
    for fit in (small, large):
        if not isinstance(fit, Fit):
            raise TypeError(f"bootstrap_test takes two fits, got {type(fit).__name__}")
        if fit.request.model == "gee":
            raise Unable(
                "bootstrap_test needs a likelihood to simulate from and to compare, and GEE has none; "
                "fn.anova(small, large) is Wald's test of the same"
            )
        if not fit.request.family.likelihood:
            raise Unable(
                f"bootstrap_test needs a likelihood to simulate from and to compare, and {fit.request.family.name} has "
                "none; take the family without quasi, or fn.anova(..., test='F')"
            )
        if getattr(fit.request.estimator, "prior", None) is not None:
            raise Unable(
                "bootstrap_test compares maximised likelihoods, and this fit's estimator has a prior; refit it without"
            )
    small, large = sorted((small, large), key=lambda fit: fit.n_parameters)
    check_comparable((small, large))
    if small.n_parameters == large.n_parameters:
        raise DataError(
            f"{small.request.design.formula} and {large.request.design.formula} have {small.n_parameters} parameters "
            "each, so neither is nested in the other"
        )
    apart = about_nesting((small, large)) + _random_apart(small, large)
    if apart:
        raise DataError(apart[0])
    messages: list[str] = []
    small, large = by_ml(small, messages), by_ml(large, messages)
    return small, large, [m.replace("for the comparison", "for the test") for m in dict.fromkeys(messages)]


def _random_apart(small: Fit, large: Fit) -> list[str]:
    there = {term.group for term in large.request.design.random}
    lost = [term.group for term in small.request.design.random if term.group not in there]
    return [
        f"the smaller model has random effects of {group}, the larger one has not: they are not nested"
        for group in lost
    ]


def differ_in_variances(small: Fit, large: Fit) -> bool:
    return len(small.theta) != len(large.theta)


def about(small: Fit, large: Fit) -> list[str]:
    """What the reader must know of the two fits."""
    notes = [
        f"the {word} model did not converge: {'; '.join(fit.messages[-1:]) or 'see its messages'}"
        for word, fit in (("smaller", small), ("larger", large))
        if not fit.converged and not fit.infinite
    ]
    if small.infinite:
        notes.append(
            "the smaller model separates: responses are simulated from where its iterations stopped, near its limit"
        )
    if differ_in_variances(small, large):
        notes.append(
            "the models differ in variances, which cannot be negative: corrections of the chi-squared do not apply"
        )
    return notes
