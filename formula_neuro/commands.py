"""What the commands do: run the package's verbs, print their answers, and turn errors into one line and a status."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import typer

from . import registry
from .display.json_words import agreement_record, fit_record, foci_record, map_record, plain
from .errors import FormulaError, NoBackend, RMissing, Unable

if TYPE_CHECKING:
    import pandas as pd

    from .agreement import Agreement
    from .foci.fit import FociFit
    from .foci.table import Foci
    from .maps.agreement import MapAgreement
    from .maps.fit import MapFit
    from .result import Fit

Fitted: TypeAlias = Any  # a Fit, a MapFit or a FociFit, which answer the same verbs
FAILED, USAGE, DISAGREES, R_MISSING = 1, 2, 3, 4
MANY = 12  # paths: more are counted


@dataclass(frozen=True)
class ImageOptions:
    """The arguments of `formula-neuro fit` that only images have."""

    mask: Path | None = None
    threshold: float | None = None
    min_count: int = 1
    resample: str | None = None
    layout: str = "bids"
    voxels: int = 200
    workers: int | None = None
    device: str = "cpu"

    @property
    def of_reading(self) -> bool:
        """Whether they ask for images to be read otherwise than fit() does."""
        return self.threshold is not None or self.min_count != 1 or self.resample is not None


@dataclass(frozen=True)
class FitOptions:
    """The arguments of `formula-neuro fit`."""

    formula: str
    data: Path
    family: str | None
    estimator: str | None
    backend: str | None
    weights: str | None
    offset: str | None
    out: Path | None
    report: Path | None
    crosscheck: bool
    images: ImageOptions = ImageOptions()
    seed: int = 1
    studies: Path | None = None
    space: str | None = None


# ---- errors --------------------------------------------------------------------------------------
@contextmanager
def answering(context: typer.Context, backend: str | None = None) -> Iterator[None]:
    """Turn an error into its message on stderr and an exit status; --debug lets the traceback through."""
    try:
        yield
    except typer.Exit:
        raise
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except Exception as error:
        if context.find_root().params.get("debug"):
            raise
        say(f"formula-neuro: {words(error, sys.stderr.isatty())}")
        raise typer.Exit(status(error, backend)) from None


def status(error: Exception, backend: str | None = None) -> int:
    """2 for what the user can type otherwise, 4 for a missing R, 1 for a fit that failed."""
    if isinstance(error, RMissing) or (isinstance(error, NoBackend) and _waits_for_r(backend)):
        return R_MISSING
    return USAGE if isinstance(error, (ValueError, NoBackend, OSError)) else FAILED


def _waits_for_r(backend: str | None) -> bool:
    """Whether the backend asked for is one of R's that is not ready here."""
    return any(b.name == backend and b.language == "R" and b.unready() for b in registry.installed().backends)


def words(error: Exception, terminal: bool) -> str:
    """The error in one line; on a terminal a formula's error keeps its caret.

    >>> words(FormulaError("a bar needs a group", "y ~ (1|)", 7), terminal=False)
    "a bar needs a group (at column 8 of 'y ~ (1|)')"
    """
    if terminal and isinstance(error, (FormulaError, NoBackend)):
        return str(error)
    if isinstance(error, FormulaError) and error.position is not None:
        return f"{error.message} (at column {error.position + 1} of {error.text!r})"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    known = isinstance(error, (ValueError, LookupError, ArithmeticError, OSError, ImportError, RuntimeError, TypeError))
    line = f"{first}: {'; '.join(rest)}" if rest else first
    return (
        line
        if known and type(error) not in (KeyError, IndexError, AttributeError)
        else f"{type(error).__name__}: {line}; --debug shows where"
    )


def say(text: str) -> None:
    """A line for the person, not for the pipe."""
    typer.echo(text, err=True)


# ---- fit and demo --------------------------------------------------------------------------------
def fit(options: FitOptions, as_json: bool) -> None:
    """Fit, print, write what was asked for, and compare with R."""
    from .fitting import fit as fit_formula

    _check_outputs(options)
    images = options.images
    m = fit_formula(
        options.formula,
        _data(options),
        family=options.family,
        estimator=options.estimator,
        backend=options.backend,
        weights=options.weights,
        offset=options.offset,
        mask=None if images.of_reading else images.mask,
        workers=images.workers,
        device=images.device,
        seed=options.seed,
    )
    _finish(m, options, as_json)


def _data(options: FitOptions) -> Any:
    """What is fitted: the path, or the images that it names where they are read in another way.

    What fit() refuses before it reads any image is refused here as well.
    """
    images = options.images
    if options.studies is not None or options.space is not None:
        return _foci(options)
    if not images.of_reading:
        return options.data
    from .estimator import as_estimator
    from .family import Binomial, as_family
    from .images.reading import read_images
    from .maps.asking import Asked, unread_request

    family = as_family(options.family or "gaussian")
    estimator = None if options.estimator is None else as_estimator(options.estimator)
    asked = Asked(
        options.formula,
        options.data,
        family,
        estimator,
        weights=options.weights,
        offset=options.offset,
        backend=options.backend,
    )
    return read_images(
        options.data,
        unread_request(asked).images.response,
        binary=True if isinstance(family, Binomial) and images.threshold is None else None,
        mask=images.mask,
        threshold=images.threshold,
        min_count=images.min_count,
        resample=images.resample or False,
    )


def _foci(options: FitOptions) -> Foci:
    """Foci with what --studies and --space say of them."""
    from .foci.given import names_foci
    from .foci.reading import read_foci

    if not names_foci(options.formula):
        raise ValueError(
            f"--studies and --space are of foci, 'foci ~ s(group) + x'; the formula is {options.formula!r}"
        )
    return read_foci(options.data, options.studies, space=options.space)


def _check_outputs(options: FitOptions) -> None:
    """Raise before the work starts where its results could not be written."""
    from .foci.files import LAYOUTS as OF_FOCI
    from .foci.given import names_foci
    from .maps.files.output import LAYOUTS as OF_IMAGES

    layouts = OF_FOCI if names_foci(options.formula) else OF_IMAGES
    if options.images.layout not in layouts:
        raise ValueError(f"--layout {options.images.layout} is not known; there are {', '.join(layouts)}")
    if options.images.voxels < 1:
        raise ValueError(f"--voxels is how many voxels are refitted, 1 or more; got {options.images.voxels}")
    if options.report is not None:
        from .display.page import check_writable

        check_writable(options.report)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)


def _finish(m: Fitted, options: FitOptions, as_json: bool) -> None:
    body, found = _words(m)
    if not as_json:
        typer.echo(body)
    if found:
        say(found)
    check, missing, failed = _checked(m, options.images.voxels) if options.crosscheck else (None, "", 0)
    if check is not None and not as_json:
        typer.echo(f"\n{check}")
    written = _write(m, options, check)
    if as_json:
        record = _record(m) | {
            "crosscheck": agreement_record(check),
            "written": written,
        }
        typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
    if missing:
        say(f"formula-neuro: {missing}")
        raise typer.Exit(failed)
    if check is not None and check.ok is False:  # None: R did not finish
        raise typer.Exit(DISAGREES)


def _of_foci(m: Fitted) -> bool:
    return bool(getattr(m.request, "of_foci", False))


def _record(m: Fitted) -> dict[str, Any]:
    if _of_foci(m):
        return foci_record(m)
    return map_record(m) if m.request.of_images else fit_record(m)


def _words(m: Fitted) -> tuple[str, str]:
    """The summary, and what was found on the way."""
    if _of_foci(m):
        from .foci.display import words as of_foci

        return of_foci.body(m), of_foci.ending(m)
    if m.request.of_images:
        from .maps.display import words

        return words.body(m), words.ending(m)
    from .display import summary

    return summary.body(m), summary.ending(m)


def _checked(m: Fitted, voxels: int | None = None) -> tuple[Agreement | MapAgreement | None, str, int]:
    """R's agreement, or what is missing for it and the exit status of that."""
    from .agreement import crosscheck

    try:
        return crosscheck(m, voxels=voxels) if m.request.of_images else crosscheck(m), "", 0
    except RMissing as error:
        return None, words(error, terminal=False), R_MISSING
    except Unable as error:
        return None, words(error, terminal=False), FAILED


def _write(m: Fitted, options: FitOptions, check: Agreement | MapAgreement | None) -> list[str]:
    """Write the report and the folder of tables or maps; the paths written."""
    written = []
    if options.report is not None:
        written.append(m.report(options.report, crosscheck=check))
    if options.out is not None:
        written += _maps(m, options) if m.request.of_images or _of_foci(m) else _tables(m, options.out)
    if written:
        inside = [path for path in written if Path(path).parent == options.out]
        shown = [p for p in written if p not in inside] + [f"{len(inside)} files in {options.out}"]
        say(f"wrote {', '.join(written if len(written) < MANY else shown)}")
    return written


def _maps(m: MapFit | FociFit, options: FitOptions) -> list[str]:
    folder = options.out
    assert folder is not None
    paths = m.to_nifti(folder, options.images.layout)
    (folder / "summary.txt").write_text(m.summary() + "\n", encoding="utf-8")
    return [*paths, str(folder / "summary.txt")]


def _tables(m: Fit, folder: Path) -> list[str]:
    from .display.summary import summary

    tables = {"coefficients": m.tidy(), "fit": m.glance(), "rows": m.augment()}
    if m.random:
        tables |= {"variances": m.varcorr(), "random_effects": m.ranef()}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=name == "rows", index_label="row" if name == "rows" else None)
    (folder / "summary.txt").write_text(summary(m) + "\n", encoding="utf-8")
    return [str(folder / f"{name}.csv") for name in tables] + [str(folder / "summary.txt")]


def demo(out: Path, as_json: bool) -> None:
    """The main job on simulated data: a native fit, a sentence, a report, and R's verdict where R is there."""
    from .datasets import waterlick
    from .display.page import check_writable
    from .display.sentences import sentences
    from .fitting import fit as fit_formula

    check_writable(out)
    trials = waterlick()
    say(f"{len(trials)} {trials.attrs['note']}")
    m: Fitted = fit_formula("lick ~ dff + (1|mouseID)", trials, family="binomial")
    if not as_json:
        typer.echo(f"\n{m.summary()}\n")
        typer.echo("\n".join(sentences(m)))
    check, missing, _ = _checked(m)
    path = m.report(out, crosscheck=check)
    if as_json:
        record = fit_record(m) | {
            "crosscheck": agreement_record(check),
            "written": [path],
        }
        typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
    elif check is not None:
        typer.echo(f"\n{check}")
    say(f"\nwrote {path}: open it in a browser")
    if missing:
        say(f"not checked against R: {missing}")
    if check is not None and check.ok is False:  # None: R did not finish
        raise typer.Exit(DISAGREES)


# ---- lists ---------------------------------------------------------------------------------------
def backends(as_json: bool) -> None:
    """All backends as a table, or as JSON with every column."""
    table = registry.backends()
    if as_json:
        return _print_json(table)
    shown = table.assign(
        ready=table["ready"].map({True: "yes", False: "no"}),
        note=table["why_not"].where(table["why_not"] != "", table["help"]),
    )
    _print_table(shown[["name", "ready", "models", "families", "estimators", "note"]])


def tasks(as_json: bool) -> None:
    """All tasks as a table, or as JSON."""
    table = registry.tasks()
    if as_json:
        _print_json(table)
    elif table.empty:
        say("no plugin installed here brings a task")
    else:
        _print_table(table)


def doctor(require_r: bool, as_json: bool) -> None:
    """The findings, one line each; status 1 where something that all need is missing, 4 where R is asked for."""
    from . import doctor as medicine

    findings = medicine.examine()
    typer.echo(medicine.as_json(findings) if as_json else medicine.as_text(findings))
    if not medicine.complete(findings):
        raise typer.Exit(FAILED)
    if require_r and not medicine.complete(findings, require_r=True):
        raise typer.Exit(R_MISSING)


def _print_json(table: pd.DataFrame) -> None:
    typer.echo(json.dumps(plain(table.to_dict("records")), ensure_ascii=False, allow_nan=False))


def _print_table(table: pd.DataFrame) -> None:
    """A table that fits the terminal; a pipe gets it whole."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for name in table.columns:
        grid.add_column(str(name), overflow="fold", no_wrap=name == "name")
    for row in table.itertuples(index=False):
        grid.add_row(*map(_cell, row))
    console.print(grid)


def _cell(value: Any) -> str:
    from rich.markup import escape

    return escape(str(value))
