"""`formula-neuro explore MODEL --vary NAME=FROM:TO:COUNT`: a table of runs from the command line."""

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
    ModelName,
    Network,
    Params,
    Report,
    Seed,
    Skip,
    Tr,
    Weights,
    check_files,
    function,
    time_of,
    values,
    write_files,
)


def explore(
    context: typer.Context,
    model: ModelName,
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUES", help="What is explored, 0:3:21 (from, to, how many) or 1,2,5; again for each."
        ),
    ],
    measure: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:FUNCTION", help="Of a run, n: a number, or a dict of them. Default: of the first output."
        ),
    ] = None,
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
    kind: Annotated[str, typer.Option(help="grid, zip or sequence.")] = "grid",
    replicates: Annotated[int, typer.Option(help="Repetitions of each set.")] = 1,
    seed: Seed = None,
    workers: Annotated[int, typer.Option(help="Threads.")] = 1,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Finished batches; the same command goes on from them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help=".csv, .tsv, .parquet: the table; .png, .svg, .pdf: a picture.")
    ] = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Run a neural mass model over parameters, a row a run.

    The table holds the mean, maximum, minimum and sd of the model's first output, or what --measure gives.
    """
    from .answering import answering, say

    with answering(context):
        import formula_neuro as fn

        check_files(out, (*TABLES, *PICTURES), report)
        params = values(param)
        e = fn.explore(
            model,
            varied(vary),
            Network(weights, lengths, delays, tuple(key or ()), areas).connectome(params),
            params,
            measure=None if measure is None else function(measure),
            kind=kind,
            replicates=replicates,
            duration=time_of(duration),
            dt=time_of(dt),
            every=time_of(every),
            skip=time_of(skip),
            bold={"tr": tr} if bold else False,
            seed=seed,
            workers=workers,
            out=keep,
        )
        written = write_files(e, {} if out is None else {out: e.table}, out, report)
        if as_json:
            rows = json.loads(e.table.to_json(orient="records"))
            told = {"model": model, "seed": int(e.table["seed"].iloc[0]), "messages": list(e.messages), "runs": rows}
            typer.echo(json.dumps(told, ensure_ascii=False, allow_nan=False))
        else:
            typer.echo(str(e))
        if written:
            say(f"wrote {', '.join(written)}")


def varied(given: list[str]) -> dict[str, list[Any]]:
    """Values by parameter from NAME=FROM:TO:COUNT or NAME=VALUE,VALUE; a value that is no number is a word.

    >>> varied(["x_ext=0:1:3", "tau=10,20", "coupling=additive"])
    {'x_ext': [0.0, 0.5, 1.0], 'tau': [10.0, 20.0], 'coupling': ['additive']}
    """
    found: dict[str, list[Any]] = {}
    for text in given:
        name, sign, told = text.partition("=")
        if not (name and sign and told):
            raise ValueError(f"--vary {text!r}: NAME=FROM:TO:COUNT or NAME=VALUE,VALUE is expected, as x_ext=0:1:5")
        if name in found:
            raise ValueError(f"--vary names {name} twice; give all of its values at once")
        found[name] = _spaced(text, told) if ":" in told else [_value(part) for part in told.split(",")]
    return found


def _spaced(text: str, told: str) -> list[float]:
    import numpy as np

    try:
        low, high, count = told.split(":")
        if int(count) < 2:
            raise ValueError
        return [float(value) for value in np.linspace(float(low), float(high), int(count))]
    except ValueError:
        raise ValueError(f"--vary {text!r}: FROM:TO:COUNT, two numbers and a count from 2, is expected") from None


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
