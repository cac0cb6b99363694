"""Maximum likelihood and restricted maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import Estimator
from .residual_structure import as_structures


@dataclass(frozen=True, repr=False)
class _Likelihood(Estimator):
    """What ML and REML share: the structure of a linear mixed model's residuals."""

    residual: Any = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "residual", as_structures(self.residual))

    def __repr__(self) -> str:
        shown = self.residual[0] if len(self.residual) == 1 else list(self.residual)
        return f"{type(self).__name__}({f'residual={shown!r}' if self.residual else ''})"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for structure in self.residual for name in structure.columns))


@dataclass(frozen=True, repr=False)
class ML(_Likelihood):
    """Maximum likelihood; "ml" is the word for it. residual: of linear mixed models, as REML's.

    >>> import formula_neuro as fn
    >>> m = fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick(), estimator=fn.ML())
    >>> m.varcorr()["covariance"].round(2).tolist()  # smaller than REML's
    [2.38, 21.89]
    """

    word = "ml"


@dataclass(frozen=True, repr=False)
class REML(_Likelihood):
    """Restricted maximum likelihood, the default of linear mixed models; "reml" is the word for it.

    residual: VarIdent("treatment") gives each level of a column a residual standard deviation of its own, AR1("time",
    group="mouse") correlates residuals in time; a list takes both.

    >>> import formula_neuro as fn
    >>> m = fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick(), estimator=fn.REML())
    >>> m.varcorr()["covariance"].round(2).tolist()
    [2.77, 21.94]
    """

    word = "reml"
