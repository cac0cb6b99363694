"""The summary of a GEE: what geepack's prints, and what the standard errors and tests rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import digits

if TYPE_CHECKING:
    from ..estimator import GEE
    from ..result import Fit

SANDWICHES = {
    "md": "sandwich, corrected for few clusters by Mancl and DeRouen (2001)",
    "kc": "sandwich, corrected for few clusters by Kauermann and Carroll (2001)",
    "none": "sandwich, uncorrected (geepack's san.se)",
}
MOST_CORRELATIONS = 15


def gee_parts(fit: Fit, coefficients: str) -> list[str]:
    """The blocks of the summary."""
    request, about = fit.request, fit.engine.about(fit) if hasattr(fit.engine, "about") else {}
    how: GEE = request.estimator  # type: ignore[assignment]
    lines = [
        f"Call:\ngeeglm(formula = {request.design.formula}, family = {request.family.name}(link = "
        f"{request.family.link.name}), id = {how.cluster}, corstr = {how.corr})",
        coefficients,
        f"Standard errors: {SANDWICHES[how.bias]}\nTests: {_tests(fit)}",
        f"Dispersion: {digits.aligned([fit.dispersion], 4)[0]}\n{_correlations(fit, how)}",
    ]
    sizes = f"Number of clusters: {about['clusters']}   Largest cluster: {about['largest_cluster']}" if about else ""
    qic = f"QIC: {about['qic']:.5g}   QICu: {about['qicu']:.5g}" if "qic" in about else ""
    return [*lines, "\n".join(line for line in (sizes, qic) if line)]


def _tests(fit: Fit) -> str:
    return f"t on {fit.df_resid:g} degrees of freedom, clusters less coefficients"


def _correlations(fit: Fit, how: GEE) -> str:
    if not fit.residual:
        return f"Working correlation: {how.corr}"
    names, values = list(fit.residual)[:MOST_CORRELATIONS], list(fit.residual.values())[:MOST_CORRELATIONS]
    left = len(fit.residual) - len(names)
    more = f"\n(and {left} more in fit.residual)" if left else ""
    return f"Working correlation: {how.corr}\n{digits.named(names, digits.aligned(values, 4))}{more}"
