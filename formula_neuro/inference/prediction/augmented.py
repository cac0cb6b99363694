"""augment(): the rows of a fit, or new ones, with what the model says of each beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...data.table import as_table
from ...errors import Unable
from ...family import Array
from ...result import Fit
from ..rows.influence import cooks_distance, measured, standardized
from ..rows.working import working
from ..told import told
from .residual_types import residuals


def augment(fit: Fit, newdata: Any = None) -> pd.DataFrame:
    """The columns that the formula names, on the rows used, with broom's columns (without dots) beside them.

    fitted (means), residual (R's default of the model), and of linear and generalized linear models: hat (leverage),
    sigma (without the row), cooks_distance, std_residual, se_fit (of the fitted means). Rows of weight 0 have the
    fitted values alone. New data keeps all its columns and gets fitted and, where the model has it, se_fit.
    Raises Unable where the data already has such a column.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1., 2, 3, 4], "y": [1., 3, 2, 5]})
    >>> m.augment().columns.tolist()
    ['y', 'x', 'fitted', 'residual', 'hat', 'sigma', 'cooks_distance', 'std_residual', 'se_fit']
    """
    plain = fit.request.model in ("lm", "glm")
    if newdata is not None:
        table = as_table(newdata)
        return _beside(table, _predicted(fit, newdata) if plain else {"fitted": fit.predict(newdata).to_numpy()})
    design = fit.request.design
    table = design.data.set_axis(design.index, axis=0)
    added = {"fitted": fit.fitted.to_numpy(), "residual": residuals(fit).to_numpy()}
    return _beside(table, {**added, **_measures(fit)} if plain else added)


def _predicted(fit: Fit, newdata: Any) -> dict[str, Array]:
    found = fit.predict(newdata, se=True)
    return {"fitted": found["fitted"].to_numpy(), "se_fit": found["std_error"].to_numpy()}


def _measures(fit: Fit) -> dict[str, Array]:
    base = working(fit, "augment() is")
    rows = measured(fit, base)
    found = {
        "hat": rows.hat,
        "sigma": rows.sigma,
        "cooks_distance": cooks_distance(rows, base.Q.shape[1]),
        "std_residual": standardized(rows),
    }
    return {
        **{name: base.on_rows(v) for name, v in found.items()},
        "se_fit": fit.predict(se=True)["std_error"].to_numpy(),
    }


def _beside(table: pd.DataFrame, added: dict[str, Array]) -> pd.DataFrame:
    taken = [name for name in added if name in table.columns]
    if taken:
        raise Unable(f"augment: the data already has a column {taken[0]!r}; rename it before the fit")
    return told(table.assign(**{name: np.asarray(values) for name, values in added.items()}))
