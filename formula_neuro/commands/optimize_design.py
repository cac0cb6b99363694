"""`formula-neuro optimize-design FORMULA DATA`: a design matrix and contrast from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, and only JSON, on stdout.")]
Several = list[str] | None


def optimize_design(
    context: typer.Context,
    formula: Annotated[
        str, typer.Argument(help="'~ center(shift(dose, 0, 49)) + center(drift)' or '~ hrf(trial_type) + cosine(128)'.")
    ],
    data: Annotated[Path, typer.Argument(help="A table with a row a scan, or of events (BIDS' events.tsv).")],
    contrast: Annotated[list[str], typer.Option(help="A variable or 'go - stop'; again for each other one.")],
    columns: Annotated[str, typer.Option(help="Of the design, fixed ones counted; auto, or paper.")] = "auto",
    fix: Annotated[Several, typer.Option(metavar="NAME", help="A column that stays; again for each other one.")] = None,
    snr: Annotated[
        Several, typer.Option(help="Amplitudes by the noise: 0.6, or 'dose=1,drift=0.5'; again for another block.")
    ] = None,
    nuisance: Annotated[
        Several, typer.Option(metavar="NAME=SD", help="An amplitude of either sign, by its standard deviation.")
    ] = None,
    phi: Annotated[Several, typer.Option(help="Variance's share, in [0, 1); A or B. Once, or for each block.")] = None,
    k: Annotated[float | None, typer.Option(help="Of phi A and B: how much more the bias weighs.")] = None,
    max_bias: Annotated[float | None, typer.Option(help="Instead: the largest bias, a share, as 0.05.")] = None,
    minimax: Annotated[bool, typer.Option("--minimax", help="Weights that make the largest bias small.")] = False,
    free_contrast: Annotated[bool, typer.Option("--free-contrast", help="Find the contrast too.")] = False,
    tr: Annotated[float | None, typer.Option(help="Of events: seconds from volume to volume.")] = None,
    volumes: Annotated[int | None, typer.Option(help="Of events: volumes of the run.")] = None,
    slice_time: Annotated[float, typer.Option(help="Of events: the reference slice's share of tr.")] = 0.0,
    hrf: Annotated[
        Several,
        typer.Option(help="half-cosine (default), 'double-gamma(latency=-2:4)', spm, ...; again for another block."),
    ] = None,
    confounds: Annotated[Path | None, typer.Option(metavar="FILE", help="Columns that the formula names.")] = None,
    noise: Annotated[str, typer.Option(help="white, ar1, or the correlation of neighbouring scans.")] = "white",
    method: Annotated[str, typer.Option(help="exact, or paper: its Algorithm 1.")] = "exact",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the design for nilearn (csv), FSL and SPM here.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML report.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find a design matrix for late or varying responses.

    The columns and the contrast are those of small bias and variance over a whole family of delays or shapes.
    """
    from .answering import answering, say

    with answering(context):
        _check_outputs(out, report)
        import formula_neuro as fn

        d = fn.optimize_design(
            formula,
            data,
            contrast=contrast[0] if len(contrast) == 1 else contrast,
            columns=int(columns) if columns.isdecimal() else columns,
            fix=fix or [],
            snr=_one_or_all([amplitudes(text, "--snr") for text in snr or ["1"]]),
            nuisance={k: v for text in nuisance for k, v in _named(text, "--nuisance").items()} if nuisance else None,
            phi=_one_or_all([_number_or_word(text) for text in phi or ["0.5"]]),
            k=k,
            max_bias=max_bias,
            weights="minimax" if minimax else 1.0,
            free_contrast=free_contrast,
            tr=tr,
            volumes=volumes,
            slice_time=slice_time,
            hrf=_one_or_all(hrf) if hrf else None,
            confounds=confounds,
            noise=_number_or_word(noise),
            method=method,
        )
        if not as_json:
            typer.echo(d.summary())
        written = _write(d, out, report, say)
        if as_json:
            typer.echo(json.dumps(_record(d) | {"written": written}, ensure_ascii=False, allow_nan=False))
        if written:
            say(f"wrote {', '.join(written)}")


# ---- words -------------------------------------------------------------------------------------------
def amplitudes(text: str, option: str) -> float | dict[str, float]:
    """One number for all variables, or numbers by name.

    >>> amplitudes("0.6", "--snr"), amplitudes("dose=1, drift=-0.5", "--snr")
    (0.6, {'dose': 1.0, 'drift': -0.5})
    """
    try:
        return float(text)
    except ValueError:
        return _named(text, option)


def _named(text: str, option: str) -> dict[str, float]:
    found = {}
    for part in text.split(","):
        name, sign, value = part.rpartition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            sign = ""
        if not sign or not name.strip():
            raise ValueError(f"{option} {text!r}: NAME=NUMBER is expected, as dose=1; several with commas")
    return found


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _one_or_all(given: list[Any]) -> Any:
    return given[0] if len(given) == 1 else given


# ---- files ---------------------------------------------------------------------------------------
def _check_outputs(out: Path | None, report: Path | None) -> None:
    """Raise before the work starts where its results could not be written."""
    if report is not None:
        from ..display.page import check_page

        check_page(report)
    if out is not None:
        from .answering import check_folder

        check_folder(out)


def _write(d: Any, out: Path | None, report: Path | None, say: Callable[[str], None]) -> list[str]:
    """The files written; a design that FSL and SPM would change is said and not written for them."""
    written: list[str] = []
    if report is not None:
        written.append(d.report(report))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        written += map(str, d.to_csv(out / "design"))
        d.to_frame().to_csv(out / "designs.csv", index=False)
        (out / "summary.txt").write_text(f"{d.summary()}\n", encoding="utf-8")
        written += [str(out / "designs.csv"), str(out / "summary.txt")]
        try:
            written += [*map(str, d.to_fsl(out / "design")), str(d.to_spm(out / "design"))]
        except ValueError as error:
            say(f"no files for FSL and SPM: {error}")
    return written


def _record(d: Any) -> dict[str, Any]:
    from ..display.json_words import plain

    found: dict[str, Any] = plain(d.to_dict())
    return found
