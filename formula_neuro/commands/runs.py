"""What the commands about simulated runs share: their options, the files they read and those they write."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

TABLES = (".csv", ".tsv", ".parquet")
PICTURES = (".png", ".svg", ".pdf")
File = Path | None
Text = str | None

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, and only JSON, on stdout.")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="aln, fhn, hopf, kuramoto, thalamus, wc, ww, ...")]
Params = Annotated[
    list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter; again for each other one.")
]
Duration = Annotated[Text, typer.Option(help="ms, or as '60 s'; default: the model's.")]
Skip = Annotated[Text, typer.Option(help="Time at the start that is not recorded.")]
Weights = Annotated[File, typer.Option(metavar="FILE", help="Connectome: csv, tsv, npy, npz or mat.")]
Lengths = Annotated[File, typer.Option(metavar="FILE", help="Its tracts' lengths, mm.")]
Delays = Annotated[File, typer.Option(metavar="FILE", help="Instead of lengths: its tracts' delays, ms.")]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="NAME", help="Which matrix of an npz or mat file; again for that of --lengths."),
]
Areas = Annotated[int | None, typer.Option(help="Instead: a made-up connectome of so many areas.")]
Dt = Annotated[Text, typer.Option(help="Step, ms; default: the model's.")]
Every = Annotated[Text, typer.Option(help="One sample in so long, its mean: '1 ms'.")]
Bold = Annotated[bool, typer.Option("--bold", help="BOLD too.")]
Tr = Annotated[str, typer.Option(help="Time between samples of BOLD.")]
Seed = Annotated[int | None, typer.Option(help="Of noise and start values; default: one is drawn and told.")]
Report = Annotated[File, typer.Option(metavar="FILE", help="Write an HTML report.")]


@dataclass(frozen=True)
class Network:
    """The connectome's options."""

    weights: Path | None
    lengths: Path | None = None
    delays: Path | None = None
    keys: tuple[str, ...] = ()
    areas: int | None = None

    def connectome(self, params: dict[str, float | str]) -> Any:
        """The connectome that they name, None for none; params: of the run, which may turn delays off."""
        from ..dynamics.connectome import Connectome

        if self.areas is not None and self.weights is not None:
            raise ValueError("--areas makes up a connectome and --weights reads one; give one of them")
        if self.areas is not None:
            return Connectome.simulate(self.areas)
        if self.weights is None:
            if self.lengths is not None or self.delays is not None:
                raise ValueError("--lengths and --delays are of a connectome; give its --weights too")
            return None
        if self.lengths is None and self.delays is None and params.get("signalV") != 0:
            raise ValueError(
                "--weights has no lengths of tracts: give --lengths FILE (mm), --delays FILE (ms), or "
                "--param signalV=0 for no delays"
            )
        key = self.keys[0] if len(self.keys) == 1 else self.keys or None
        return Connectome.read(self.weights, self.lengths, delays_ms=self.delays, key=key)


def values(given: list[str] | None) -> dict[str, float | str]:
    """Parameters from NAME=VALUE; a value that is no number is a word, as of coupling.

    >>> values(["x_ext=0.5", "coupling=additive"])
    {'x_ext': 0.5, 'coupling': 'additive'}
    """
    found: dict[str, float | str] = {}
    for text in given or []:
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


def check_files(out: Path | None, endings: Collection[str], report: Path | None) -> None:
    """Raise before any work what cannot be written after it."""
    if out is not None and out.suffix not in endings:
        raise ValueError(f"--out {out}: files may end in {', '.join(endings)}, not {out.suffix or 'nothing'!r}")
    if report is not None:
        from ..display.page import check_page

        check_page(report)


def write_files(answer: Any, tables: dict[Path, Any], out: Path | None, report: Path | None) -> list[str]:
    """The files written: a picture, the answer as its save() has it, or these tables; and the report."""
    written = []
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix in PICTURES:
            answer.plot().savefig(out)
            written.append(str(out))
        elif out.suffix == ".npz":
            written.append(str(answer.save(out)))
        else:
            written += [_table(path, table) for path, table in tables.items()]
    if report is not None:
        written.append(str(answer.report(report)))
    return written


def _table(path: Path, table: Any) -> str:
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False)
    return str(path)
