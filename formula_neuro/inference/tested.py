"""What contrast() answers about the coefficients of a table, or about the moderators of foci."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..family import Array


@dataclass(frozen=True, eq=False)
class Contrast:
    """Hypotheses matrix @ coef = value: `table` has one row each, `joint` tests all rows together.

    The table's columns are those of tidy(); estimates are of matrix @ coef, p values against `value`. `joint`
    has statistic ("F" with df and df_resid, or "chi-squared" with df), and p_value.
    """

    matrix: Array  # (q, p)
    value: Array  # (q,)
    table: pd.DataFrame
    joint: pd.DataFrame
    messages: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        return self.table

    def __repr__(self) -> str:
        shown = self.table.to_string(index=False)
        if len(self.table) > 1:
            shown += f"\n\njointly\n{self.joint.to_string(index=False)}"
        return "\n\n".join([shown, *self.messages])
