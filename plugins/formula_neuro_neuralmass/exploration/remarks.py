"""What a model of an exploration's table must know."""

from __future__ import annotations

import pandas as pd

from .runs import Runs


def before(runs: Runs, noisy: bool) -> tuple[str, ...]:
    """Before anything is run: what the design means for errors and tests."""
    told = [message for asked in runs.asked.values() for message in asked.messages]
    if not noisy:
        told.append(
            "these runs have no noise: the table has no sampling error, so that p-values and standard errors of a "
            "model of it mean nothing; R squared says how well the model describes the surface (set the noise, as "
            "sigma_ou, and replicates= for tests)"
        )
    elif runs.replicates < 2:
        told.append(
            "each set was run once: what a model of it leaves over mixes noise and lack of fit; replicates=2 or more "
            "tell them apart"
        )
    if noisy and not runs.own:
        told.append(
            "sets share their random numbers (random='common'): their differences are sharper, their errors depend on "
            "each other, so that p-values need (1|replicate) or mean nothing"
        )
    if runs.measures.targets and "" in runs.asked:
        told.append(
            f"each run is compared with {len(runs.measures.targets)} subjects, who share its noise: a model of the "
            "table takes (1|subject) + (1|run)"
        )
    return tuple(dict.fromkeys(told))


def found_in(table: pd.DataFrame) -> tuple[str, ...]:
    """After it: runs that failed, and look-ups beyond a table's edge."""
    told = []
    runs = table.drop_duplicates("run")
    failed = runs["status"] != "ok"
    if failed.any():
        told.append(
            f"{int(failed.sum())} of {len(runs)} runs became infinite, the first at {runs['failed_at'].min():g} ms; "
            "their measures are missing (a smaller dt may help)"
        )
    if "clamped" in runs and (share := runs["clamped"].max()) > 0:
        told.append(
            f"{int((runs['clamped'] > 0).sum())} of {len(runs)} runs looked values up beyond the edge of the model's "
            f"tables, in up to {100 * share:.2g} % of the look-ups (column clamped)"
        )
    return tuple(told)
