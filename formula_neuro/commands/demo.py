"""`formula-neuro demo`: the main job on simulated data."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from ..display.json_words import agreement_record, fit_record
from .answering import DISAGREES, say
from .fit import Fitted, checked


def demo(out: Path, as_json: bool) -> None:
    """The main job on simulated data: a native fit, a sentence, a report, and R's verdict where R is there."""
    from ..datasets import waterlick
    from ..display.page import check_page
    from ..display.sentences import sentences
    from ..fitting import fit as fit_formula

    try:
        check_page(out)
        no_page = ""
    except ImportError as error:
        no_page = str(error)
    trials = waterlick()
    say(f"{len(trials)} {trials.attrs['note']}")
    m: Fitted = fit_formula("lick ~ dff + (1|mouseID)", trials, family="binomial")
    if not as_json:
        typer.echo(f"\n{m.summary()}\n")
        typer.echo("\n".join(sentences(m)))
    check, missing, _ = checked(m)
    written = [] if no_page else [m.report(out, crosscheck=check)]
    if as_json:
        record = fit_record(m) | {
            "crosscheck": agreement_record(check),
            "written": written,
        }
        typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
    elif check is not None:
        typer.echo(f"\n{check}")
    say(f"\nno report: {no_page}" if no_page else f"\nwrote {written[0]}: open it in a browser")
    if missing:
        say(f"not checked against R: {missing}")
    if check is not None and check.ok is False:  # None: R did not finish
        raise typer.Exit(DISAGREES)
