"""`formula-neuro simulate MODEL`: a run of a neural mass model from the command line."""

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
    Tr,
    Weights,
    check_files,
    time_of,
    values,
    write_files,
)

ENDINGS = (".npz", *TABLES, *PICTURES)


def simulate(
    context: typer.Context,
    model: ModelName,
    duration: Duration = None,
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
    seed: Seed = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=".npz: all of it; .csv, .tsv, .parquet: tables; .png, .svg, .pdf: pictures."),
    ] = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a neural mass model, of one node or a brain."""
    from .answering import FAILED, answering, say

    with answering(context):
        import formula_neuro as fn

        check_files(out, ENDINGS, report)
        params = values(param)
        n = fn.simulate(
            model,
            Network(weights, lengths, delays, tuple(key or ()), areas).connectome(params),
            params,
            duration=time_of(duration),
            dt=time_of(dt),
            every=time_of(every),
            bold={"tr": tr} if bold else False,
            seed=seed,
        )
        written = write_files(n, _tables(n, out), out, report)
        if as_json:
            typer.echo(json.dumps(record(n) | {"written": written}, ensure_ascii=False, allow_nan=False))
        else:
            typer.echo(str(n))
        if written:
            say(f"wrote {', '.join(written)}")
        if not n.ok:
            raise typer.Exit(FAILED)


def record(n: Any) -> dict[str, Any]:
    """A run as plain values."""
    import numpy as np

    from ..display.json_words import plain

    def course(values: Any) -> dict[str, Any]:
        sound = values[np.isfinite(values)]
        told = {"mean": sound.mean(), "min": sound.min(), "max": sound.max()} if sound.size else {}
        return {"samples": len(values), **told}

    series = {**n.outputs, **({"bold": n.bold} if n.bold is not None else {})}
    found: dict[str, Any] = plain(
        {
            "model": n.model,
            "nodes": len(n.nodes),
            "duration": n.asked.duration,
            "dt": n.asked.dt,
            "seed": n.seed,
            "status": n.status,
            "params": n.params,
            "outputs": {name: course(values) for name, values in series.items()},
            "messages": list(n.messages),
        }
    )
    return found


def _tables(n: Any, out: Path | None) -> dict[Path, Any]:
    """BOLD's table stands beside that of the outputs."""
    if out is None or out.suffix not in TABLES:
        return {}
    bold = {} if n.bold is None else {out.with_name(f"{out.stem}_bold{out.suffix}"): n.to_frame("bold")}
    return {out: n.to_frame(), **bold}
