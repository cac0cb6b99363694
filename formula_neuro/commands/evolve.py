"""`formula-neuro evolve FILE.py:FUNCTION --bound NAME=LOW:HIGH`: parameters of best fitness from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .runs import (
    PICTURES,
    TABLES,
    Areas,
    AsJson,
    Bold,
    Delays,
    Dt,
    Duration,
    Every,
    Keys,
    Lengths,
    Network,
    Params,
    Report,
    Skip,
    Tr,
    Weights,
    check_files,
    function,
    time_of,
    values,
    write_files,
)


def evolve(
    context: typer.Context,
    objective: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:FUNCTION", help="A function of one individual (p.x), or of its run where --model is given."
        ),
    ],
    bound: Annotated[list[str], typer.Option(metavar="NAME=LOW:HIGH", help="A parameter's range; again for each.")],
    method: Annotated[str, typer.Option(help="adaptive, nsga2 or cma.")] = "adaptive",
    maximise: Annotated[bool, typer.Option("--maximise", help="The largest fitness is best, not the least.")] = False,
    population: Annotated[int | None, typer.Option(help="Individuals left after a generation.")] = None,
    initial: Annotated[int | None, typer.Option(help="Of the first generation; default: twice the population.")] = None,
    generations: Annotated[int, typer.Option(help="How many, with the first.")] = 10,
    seed: Annotated[int | None, typer.Option(help="Default: one is drawn and told.")] = None,
    model: Annotated[str | None, typer.Option(help="Simulate this model for each individual: aln, fhn, ...")] = None,
    duration: Duration = None,
    skip: Skip = None,
    param: Params = None,
    weights: Weights = None,
    lengths: Lengths = None,
    delays: Delays = None,
    key: Keys = None,
    areas: Areas = None,
    dt: Dt = None,
    every: Every = None,
    bold: Bold = False,
    tr: Tr = "2 s",
    workers: Annotated[int, typer.Option(help="Threads of simulations.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=".npz: all of it; .csv, .tsv, .parquet: all individuals; .png, .svg, .pdf: pictures."
        ),
    ] = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Evolve parameters within bounds towards the best fitness.

    The fitness is that of any function, or of a simulated model.
    """
    from .answering import answering, say

    with answering(context):
        import formula_neuro as fn

        check_files(out, (".npz", *TABLES, *PICTURES), report)
        params = values(param)
        run = {
            "duration": time_of(duration),
            "skip": time_of(skip),
            "params": params or None,
            "connectome": Network(weights, lengths, delays, tuple(key or ()), areas).connectome(params),
            "dt": time_of(dt),
            "every": time_of(every),
            "bold": {"tr": tr} if bold else None,
        }
        w = fn.evolve(
            function(objective),
            bounds(bound),
            method=method,
            weights=1.0 if maximise else None,
            population=population,
            initial=initial,
            generations=generations,
            seed=seed,
            simulate=_simulated(model, run, workers),
            workers=workers,
        )
        table = w.to_frame()
        written = write_files(w, {} if out is None else {out: table}, out, report)
        if as_json:
            rows = json.loads(table.to_json(orient="records"))
            typer.echo(json.dumps({"messages": list(w.messages), "individuals": rows}, ensure_ascii=False))
        else:
            typer.echo(str(w))
        if written:
            say(f"wrote {', '.join(written)}")


def _simulated(model: str | None, run: dict[str, Any], workers: int) -> dict[str, Any] | None:
    """The arguments of fn.simulate that were given; None without a model."""
    given = {name: value for name, value in run.items() if value is not None}
    if model is None and (given or workers > 1):
        first = next(iter(given), "workers")
        option = {"params": "param", "connectome": "weights"}.get(first, first)
        raise ValueError(f"--{option} is of simulations; give --model too")
    return None if model is None else {"model": model, **given}


def bounds(given: list[str]) -> dict[str, tuple[float, float]]:
    """Ranges by parameter from NAME=LOW:HIGH.

    >>> bounds(["x=-5:5", "y=0:1"])
    {'x': (-5.0, 5.0), 'y': (0.0, 1.0)}
    """
    found: dict[str, tuple[float, float]] = {}
    for text in given:
        name, _, told = text.partition("=")
        ends = told.split(":")
        try:
            low, high = (float(end) for end in ends)
        except ValueError:
            raise ValueError(f"--bound {text!r}: NAME=LOW:HIGH, two numbers, is expected, as x=-5:5") from None
        if not name or name in found:
            raise ValueError(f"--bound {text!r}: each parameter is named once")
        found[name] = (low, high)
    return found
