"""`formula-neuro simulate MODEL`: a run of a neural mass model from the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

ENDINGS = (".npz", ".csv", ".tsv", ".parquet", ".png", ".svg", ".pdf")
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, and only JSON, on stdout.")]
Params = Annotated[
    list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter; again for each other one.")
]

Keys = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="NAME", help="Which matrix of an npz or mat file; again for that of --lengths."),
]


def simulate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="aln, fhn, hopf, kuramoto, thalamus, wc, ww, ...")],
    duration: Annotated[str | None, typer.Option(help="ms, or as '60 s'; default: the model's.")] = None,
    param: Params = None,
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Connectome: csv, tsv, npy, npz or mat.")] = None,
    lengths: Annotated[Path | None, typer.Option(metavar="FILE", help="Its tracts' lengths, mm.")] = None,
    key: Keys = None,
    areas: Annotated[int | None, typer.Option(help="Instead: a made-up connectome of so many areas.")] = None,
    dt: Annotated[str | None, typer.Option(help="Step, ms; default: the model's.")] = None,
    every: Annotated[str | None, typer.Option(help="One sample in so long, its mean: '1 ms'.")] = None,
    bold: Annotated[bool, typer.Option("--bold", help="BOLD too.")] = False,
    tr: Annotated[str, typer.Option(help="Time between samples of BOLD.")] = "2 s",
    seed: Annotated[int | None, typer.Option(help="Of noise and start values; default: one is drawn and told.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=".npz: all of it; .csv, .tsv, .parquet: tables; .png, .svg, .pdf: pictures."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a neural mass model, of one node or a brain, and print what came of it."""
    from .answering import FAILED, answering, say

    with answering(context):
        network = Network(weights, lengths, areas, tuple(key or ()))
        n = _run(
            model, network, duration, values(param or []), time_of(dt), every, {"tr": tr} if bold else False, seed, out
        )
        written = _write(n, out) if out is not None else []
        if as_json:
            typer.echo(json.dumps(record(n) | {"written": written}, ensure_ascii=False, allow_nan=False))
        else:
            typer.echo(str(n))
        if written:
            say(f"wrote {', '.join(written)}")
        if not n.ok:
            raise typer.Exit(FAILED)


@dataclass(frozen=True)
class Network:
    """The connectome's options."""

    weights: Path | None
    lengths: Path | None
    areas: int | None
    keys: tuple[str, ...] = ()

    def connectome(self) -> Any:
        """The connectome that they name, None for none."""
        from ..dynamics.connectome import Connectome

        if self.areas is not None and self.weights is not None:
            raise ValueError("--areas makes up a connectome and --weights reads one; give one of them")
        if self.areas is not None:
            return Connectome.simulate(self.areas)
        if self.weights is None:
            if self.lengths is not None:
                raise ValueError("--lengths is of a connectome; give its --weights too")
            return None
        key = self.keys[0] if len(self.keys) == 1 else self.keys or None
        return Connectome.read(self.weights, self.lengths, key=key)


def _run(
    model: str,
    network: Network,
    duration: str | None,
    params: dict[str, float | str],
    dt: float | str | None,
    every: str | None,
    bold: Any,
    seed: int | None,
    out: Path | None,
) -> Any:
    import formula_neuro as fn

    if out is not None and out.suffix not in ENDINGS:
        raise ValueError(f"--out {out}: files may end in {', '.join(ENDINGS)}, not {out.suffix or 'nothing'!r}")
    return fn.simulate(
        model,
        network.connectome(),
        params,
        duration=time_of(duration),
        dt=dt,
        every=time_of(every),
        bold=bold,
        seed=seed,
    )


def values(given: list[str]) -> dict[str, float | str]:
    """Parameters from NAME=VALUE; a value that is no number is a word, as of coupling.

    >>> values(["x_ext=0.5", "coupling=additive"])
    {'x_ext': 0.5, 'coupling': 'additive'}
    """
    found: dict[str, float | str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise ValueError(f"--param {text!r}: NAME=VALUE is expected, as x_ext=0.5")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


def time_of(text: str | None) -> float | str | None:
    """A bare number is ms."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


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


def _write(n: Any, out: Path) -> list[str]:
    """The files written: BOLD's table stands beside that of the outputs."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npz":
        return [str(n.save(out))]
    if out.suffix in (".png", ".svg", ".pdf"):
        n.plot().savefig(out)
        return [str(out)]
    tables = {out: n.to_frame()}
    if n.bold is not None:
        tables[out.with_name(f"{out.stem}_bold{out.suffix}")] = n.to_frame("bold")
    for path, table in tables.items():
        if out.suffix == ".parquet":
            table.to_parquet(path, index=False)
        else:
            table.to_csv(path, sep="\t" if out.suffix == ".tsv" else ",", index=False)
    return [str(path) for path in tables]
