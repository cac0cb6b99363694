"""The command line: `formula-neuro fit`, `simulate`, `explore`, `evolve`, `demo`, `backends`, `tasks`, `doctor`.

Results go to stdout, everything else to stderr. Exit status: 0 ok, 1 failed, 2 usage (a formula, file,
column or option that cannot be used), 3 disagrees with R, 4 R or an R package missing. A fit that R could not
finish is no disagreement: that is printed, and in JSON `ok` is null.
Only typer is imported here, so that --help answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .commands.evolve import evolve
from .commands.explore import explore
from .commands.optimize_design import optimize_design
from .commands.simulate import simulate

app = typer.Typer(
    name="formula-neuro",
    help="R's model formulas for neuroscience: fitted natively, checked against R.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, and only JSON, on stdout.")]


def _version(asked: bool) -> None:
    if asked:
        from . import __version__

        typer.echo(f"formula-neuro {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """The options before the command's name."""


@app.command()
def fit(
    context: typer.Context,
    formula: Annotated[str, typer.Argument(help="As in R and lme4: 'lick ~ dff + (1|mouseID)'.")],
    data: Annotated[
        Path,
        typer.Argument(
            help="A csv, tsv, txt or parquet file; of images also a BIDS folder; of foci a studyset, Sleuth text, ..."
        ),
    ],
    family: Annotated[
        str | None, typer.Option(help="gaussian (default), binomial, poisson (of foci the default), ...; see fn.fit.")
    ] = None,
    estimator: Annotated[
        str | None,
        typer.Option(
            help="ml, reml, laplace, AGQ(10), 'spatial(gibbs, draws=2000)', 'splines(10 mm)'; default: the model's."
        ),
    ] = None,
    backend: Annotated[str | None, typer.Option(help="A name from `formula-neuro backends`.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="COLUMN", help="Prior weights; trials, for shares.")] = None,
    offset: Annotated[str | None, typer.Option(metavar="COLUMN", help="Added to the linear predictor.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the tables, or the maps, here.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML report.")] = None,
    crosscheck: Annotated[bool, typer.Option("--crosscheck", help="Refit in R and compare; 3 if they differ.")] = False,
    mask: Annotated[Path | None, typer.Option(metavar="IMAGE", help="Of images and foci: the voxels to fit.")] = None,
    studies: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of foci: a table of the studies and their covariates.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="Of foci that state none: MNI (default) or TAL.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Of images: from which value on a voxel counts as 1.")] = None,
    min_count: Annotated[int, typer.Option(help="Of masks: images that must be 1 in a voxel.")] = 1,
    resample: Annotated[str | None, typer.Option(help="Of images: to this grid, '2 mm' or a file's.")] = None,
    layout: Annotated[str, typer.Option(help="Of maps in --out: bids, fsl or spm; of foci bids or nimare.")] = "bids",
    voxels: Annotated[int, typer.Option(help="Of maps: voxels that --crosscheck refits.")] = 200,
    workers: Annotated[int | None, typer.Option(help="Of images: processes.")] = None,
    seed: Annotated[int, typer.Option(help="Of models that draw random numbers, as spatial.")] = 1,
    device: Annotated[str, typer.Option(help="Of images: cpu or cuda.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Fit a formula to a table, to images or to foci.

    Prints R's summary. Images are fitted in every voxel; foci, 'foci ~ s(group) + x', become maps.
    """
    from .commands import fit as command
    from .commands.answering import answering

    images = command.ImageOptions(mask, threshold, min_count, resample, layout, voxels, workers, device)
    request = command.FitOptions(
        formula,
        data,
        family,
        estimator,
        backend,
        weights,
        offset,
        out,
        report,
        crosscheck,
        images,
        seed,
        studies,
        space,
    )
    with answering(context, backend):
        command.fit(request, as_json)


app.command()(optimize_design)
app.command()(simulate)
app.command()(explore)
app.command()(evolve)


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML report.")] = Path("waterlick.html"),
    as_json: AsJson = False,
) -> None:
    """Fit a mixed model to simulated trials, write a report.

    The numbers are compared with R's where R is there.
    """
    from .commands import demo as command
    from .commands.answering import answering

    with answering(context):
        command.demo(out, as_json)


@app.command()
def backends(context: typer.Context, as_json: AsJson = False) -> None:
    """List what can fit what, what is not ready, and why."""
    from .commands import lists
    from .commands.answering import answering

    with answering(context):
        lists.backends(as_json)


@app.command()
def tasks(context: typer.Context, as_json: AsJson = False) -> None:
    """List the verbs that are not fits."""
    from .commands import lists
    from .commands.answering import answering

    with answering(context):
        lists.tasks(as_json)


@app.command()
def doctor(
    context: typer.Context,
    r: Annotated[bool, typer.Option("--r", help="A missing R or R package is a failure too (status 4).")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is missing, and the command that installs it."""
    from .commands import lists
    from .commands.answering import answering

    with answering(context):
        lists.doctor(r, as_json)
