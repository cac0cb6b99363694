"""What separation makes of combinations of coefficients."""

from __future__ import annotations

import numpy as np

from ..family import Array
from ..result import Fit


def about_infinite(fit: Fit, L: Array, what: str = "hypotheses") -> tuple[str, ...]:
    """A note where rows L (q, p) take part of a coefficient that is infinite under maximum likelihood."""
    used = [n for n, column in zip(fit.names, np.nan_to_num(L).T, strict=True) if n in fit.infinite and column.any()]
    if not used:
        return ()
    finite = "estimator=fn.Laplace(prior=fn.Normal(2.5))" if fit.random else "estimator='mean_br'"
    are = "are infinite" if len(used) > 1 else "is infinite"
    return (
        f"NOTE: {', '.join(used)} {are} (separation): {what} that take part of it stand where the search stopped, and "
        f"mean nothing; {finite} keeps them finite",
    )
