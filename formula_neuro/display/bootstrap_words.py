"""How a bootstrap test prints itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .digits import columns, p_value, p_values, statistics

if TYPE_CHECKING:
    from ..inference.bootstrap.bootstrap_test import BootstrapTest


def of_test(test: BootstrapTest) -> str:
    """What was simulated, the table of tests, how sure the p value is, and what else there is to say."""
    table = test.to_frame()
    statistic, df, resid, p = (table[name].tolist() for name in ("statistic", "df", "df_resid", "p_value"))
    body = [statistics(statistic), _words(df, 0), _words(resid, 1), p_values(p)]
    heads = ["statistic", "df", "df_resid", "p_value"]
    return "\n".join(
        [
            "Parametric bootstrap test of nested models",
            f"  smaller: {test.small}",
            f"  larger:  {test.large}",
            f"{len(test.draws)} replicates simulated from the smaller model (seed {test.seed}, {test.seconds:.1f} s):",
            f"  {test.n_used} used, {test.n_failed} failed, {test.n_extreme} as extreme as the data",
            "",
            columns(heads, body, names=list(table["test"])),
            "",
            f"bootstrap {p_value(test.p_value)}, with a Monte-Carlo standard error of {test.mc_error:.2g}",
            *_failed(test),
            *_undefined(test),
            *(f"note: {message}" for message in test.messages),
        ]
    )


def _words(values: list[float], decimals: int) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.{decimals}f}" for value in values]


def _failed(test: BootstrapTest) -> list[str]:
    if not test.n_failed:
        return []
    worst = (1 + test.n_extreme + test.n_failed) / (1 + len(test.draws))
    reasons = "; ".join(f"{count} x {reason}" for reason, count in list(test.failures.items())[:3])
    return [f"failed: {reasons}", f"had all that failed been extreme, the p value would be {worst:.3g}"]


def _undefined(test: BootstrapTest) -> list[str]:
    table = test.to_frame()
    if not table.loc[table["test"] == "F", "p_value"].isna().any():
        return []
    return ["the F test is not defined: the replicates' mean is not above the degrees of freedom"]
