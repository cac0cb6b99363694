"""`formula-neuro explore MODEL --vary NAME=FROM:TO:COUNT`: a table of runs from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .simulate import AsJson, Keys, Network, Params, time_of, values

TABLES = (".csv", ".tsv", ".parquet")
PICTURES = (".png", ".svg", ".pdf")


def explore(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="aln, fhn, hopf, kuramoto, thalamus, wc, ww, ...")],
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUES", help="What is explored, 0:3:21 (from, to, how many) or 1,2,5; again for each."
        ),
    ],
    duration: Annotated[str | None, typer.Option(help="ms, or as '60 s'; default: the model's.")] = None,
    skip: Annotated[str | None, typer.Option(help="Time that is left out of the measures.")] = None,
    param: Params = None,
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Connectome: csv, tsv, npy, npz or mat.")] = None,
    lengths: Annotated[Path | None, typer.Option(metavar="FILE", help="Its tracts' lengths, mm.")] = None,
    key: Keys = None,
    areas: Annotated[int | None, typer.Option(help="Instead: a made-up connectome of so many areas.")] = None,
    kind: Annotated[str, typer.Option(help="grid, zip or sequence.")] = "grid",
    replicates: Annotated[int, typer.Option(help="Repetitions of each set.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Of noise and start values; default: one is drawn and told.")] = None,
    workers: Annotated[int, typer.Option(help="Threads.")] = 1,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Finished batches; the same command goes on from them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help=".csv, .tsv, .parquet: the table; .png, .svg, .pdf: a picture.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a neural mass model over parameters: mean, maximum, minimum and sd of its first output, a row a run."""
    from .answering import answering, say

    with answering(context):
        import formula_neuro as fn

        if out is not None and out.suffix not in (*TABLES, *PICTURES):
            raise ValueError(f"--out {out}: files may end in {', '.join((*TABLES, *PICTURES))}")
        e = fn.explore(
            model,
            varied(vary),
            Network(weights, lengths, areas, tuple(key or ())).connectome(),
            values(param or []),
            kind=kind,
            replicates=replicates,
            duration=time_of(duration),
            skip=time_of(skip),
            seed=seed,
            workers=workers,
            out=keep,
        )
        if out is not None:
            _write(e, out)
        if as_json:
            rows = json.loads(e.table.to_json(orient="records"))
            told = {"model": model, "seed": int(e.table["seed"].iloc[0]), "messages": list(e.messages), "runs": rows}
            typer.echo(json.dumps(told, ensure_ascii=False, allow_nan=False))
        else:
            typer.echo(str(e))
        if out is not None:
            say(f"wrote {out}")


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


def _write(e: Any, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix in PICTURES:
        e.plot().savefig(out)
    elif out.suffix == ".parquet":
        e.table.to_parquet(out, index=False)
    else:
        e.table.to_csv(out, sep="\t" if out.suffix == ".tsv" else ",", index=False)
