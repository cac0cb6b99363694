"""`formula-neuro evolve FILE.py:FUNCTION --bound NAME=LOW:HIGH`: parameters of best fitness from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .explore import TABLES
from .simulate import AsJson, Params, time_of, values


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
    duration: Annotated[str | None, typer.Option(help="Of its runs: ms, or as '2 s'.")] = None,
    param: Params = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="All individuals: .csv, .tsv or .parquet.")] = None,
    as_json: AsJson = False,
) -> None:
    """Evolve parameters within bounds towards the best fitness, of any function or of a simulated model."""
    from .answering import answering, say

    with answering(context):
        import formula_neuro as fn

        if out is not None and out.suffix not in TABLES:
            raise ValueError(f"--out {out}: files may end in {', '.join(TABLES)}")
        if model is None and (duration is not None or param):
            raise ValueError("--duration and --param are those of simulations; give --model too")
        run = {"model": model, "duration": time_of(duration), "params": values(param or [])}
        w = fn.evolve(
            function(objective),
            bounds(bound),
            method=method,
            weights=1.0 if maximise else None,
            population=population,
            initial=initial,
            generations=generations,
            seed=seed,
            simulate=None if model is None else {name: value for name, value in run.items() if value is not None},
        )
        table = w.to_frame()
        if out is not None:
            _write(table, out)
        if as_json:
            rows = json.loads(table.to_json(orient="records"))
            typer.echo(json.dumps({"messages": list(w.messages), "individuals": rows}, ensure_ascii=False))
        else:
            typer.echo(str(w))
        if out is not None:
            say(f"wrote {out}")


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


def function(told: str) -> Callable[[Any], Any]:
    """The function that FILE.py:FUNCTION names; the file is run."""
    import runpy

    file, sign, name = told.rpartition(":")
    if not (file and sign and name):
        raise ValueError(f"{told!r}: FILE.py:FUNCTION is expected, as fitness.py:distance")
    if not Path(file).is_file():
        raise FileNotFoundError(f"no such file: {file}")
    found = runpy.run_path(file).get(name)
    if not callable(found):
        raise ValueError(f"{file} defines no function {name!r}")
    wanted: Callable[[Any], Any] = found
    return wanted


def _write(table: Any, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".parquet":
        table.to_parquet(out, index=False)
    else:
        table.to_csv(out, sep="\t" if out.suffix == ".tsv" else ",", index=False)
