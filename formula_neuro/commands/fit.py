"""`formula-neuro fit`: fit, print, write what was asked for, and compare with R."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import typer

from ..display.json_words import agreement_record, fit_record, foci_record, map_record
from ..errors import RMissing, Unable
from .answering import DISAGREES, FAILED, R_MISSING, check_folder, say, words

if TYPE_CHECKING:
    from ..comparing.agreement import Agreement
    from ..foci.fit import FociFit
    from ..foci.table import Foci
    from ..maps.agreement import MapAgreement
    from ..maps.fit import MapFit
    from ..result import Fit

Fitted: TypeAlias = Any  # a Fit, a MapFit or a FociFit, which answer the same verbs
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


def fit(options: FitOptions, as_json: bool) -> None:
    """Fit, print, write what was asked for, and compare with R."""
    from ..fitting import fit as fit_formula

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
    from ..asking import Asked
    from ..family import Binomial
    from ..images.reading import read_images
    from ..maps.asking import unread_request

    asked = Asked(
        options.formula,
        options.data,
        family=options.family,
        estimator=options.estimator,
        weights=options.weights,
        offset=options.offset,
        backend=options.backend,
    )
    return read_images(
        options.data,
        unread_request(asked).images.response,
        binary=True if isinstance(asked.family_of_tables, Binomial) and images.threshold is None else None,
        mask=images.mask,
        threshold=images.threshold,
        min_count=images.min_count,
        resample=images.resample or False,
    )


def _foci(options: FitOptions) -> Foci:
    """Foci with what --studies and --space say of them."""
    from ..foci.given import names_foci
    from ..foci.reading import read_foci

    if not names_foci(options.formula):
        raise ValueError(
            f"--studies and --space are of foci, 'foci ~ s(group) + x'; the formula is {options.formula!r}"
        )
    return read_foci(options.data, options.studies, space=options.space)


def _check_outputs(options: FitOptions) -> None:
    """Raise before the work starts where its results could not be written."""
    from ..foci.files import LAYOUTS as OF_FOCI
    from ..foci.given import names_foci
    from ..maps.files.output import LAYOUTS as OF_IMAGES

    layouts = OF_FOCI if names_foci(options.formula) else OF_IMAGES
    if options.images.layout not in layouts:
        raise ValueError(f"--layout {options.images.layout} is not known; there are {', '.join(layouts)}")
    if options.images.layout != "bids" and options.out is None:
        raise ValueError(f"--layout {options.images.layout} says how maps are written, but not where; add --out FOLDER")
    if options.images.voxels < 1:
        raise ValueError(f"--voxels is how many voxels are refitted, 1 or more; got {options.images.voxels}")
    if options.report is not None:
        from ..display.page import check_page

        check_page(options.report)
    if options.out is not None:
        check_folder(options.out)


def _finish(m: Fitted, options: FitOptions, as_json: bool) -> None:
    body, found = _words(m)
    if not as_json:
        typer.echo(body)
    if found:
        say(found)
    check, missing, failed = checked(m, options.images.voxels) if options.crosscheck else (None, "", 0)
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
        from ..foci.display import words as of_foci

        return of_foci.body(m), of_foci.ending(m)
    if m.request.of_images:
        from ..maps.display import words

        return words.body(m), words.ending(m)
    from ..display import summary

    return summary.body(m), summary.ending(m)


def checked(m: Fitted, voxels: int | None = None) -> tuple[Agreement | MapAgreement | None, str, int]:
    """R's agreement, or what is missing for it and the exit status of that."""
    from ..agreement import crosscheck

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
    from ..display.summary import summary

    folder.mkdir(parents=True, exist_ok=True)
    tables = {"coefficients": m.tidy(), "fit": m.glance(), "rows": m.augment()}
    if m.random:
        tables |= {"variances": m.varcorr(), "random_effects": m.ranef()}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=name == "rows", index_label="row" if name == "rows" else None)
    (folder / "summary.txt").write_text(summary(m) + "\n", encoding="utf-8")
    return [str(folder / f"{name}.csv") for name in tables] + [str(folder / "summary.txt")]
