"""From a formula and foci to the request of a meta-regression."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..asking import Asked
from ..design import Design, TermColumns, model_matrix
from ..errors import DataError, FormulaError
from ..estimator import Splines
from ..family import FociFamily, as_foci_family
from ..formula import Formula, Part, parse
from ..syntax.expression import Name, label
from . import remarks
from .aliasing import independent
from .default_mask import analysed_brain
from .exposures import check_exposure, with_exposure
from .locating import located
from .request import FociRequest, Layout
from .spatial_part import BASELINE, Columns, SpatialPart, spatial_part

if TYPE_CHECKING:
    from .table import Foci

OUTSIDE = ("study", "analysis", "study_name", "analysis_name")  # columns that '.' does not stand for


def foci_of(data: Any, weights: Any = None) -> Foci:
    """The foci of a value that holds them, or of a file or table that read_foci reads."""
    if weights is not None:
        raise DataError("foci take no weights=; how much an analysis could report goes into exposure(n) of the formula")
    from .reading import read_foci
    from .table import Foci

    return data if isinstance(data, Foci) else read_foci(data)


def foci_request(asked: Asked) -> FociRequest:
    """The request of a meta-regression: its columns of maps and of moderators, and the foci inside the mask.

    Raises FormulaError, DataError and ImageError for what cannot be fitted.
    """
    source, family = foci_of(asked.data, asked.weights), as_foci_family(asked.family)
    table = source.studies
    parsed, shared = _read(asked.formula, table)
    how = _estimator(asked, family, shared)
    check_exposure(parsed, source)
    design = _global_design(parsed, asked, table)
    maps = spatial_part(parsed, table, design.rows, asked.contrasts)
    columns, dropped = _moderators(design, maps)
    _check_columns(family, columns, maps)
    foci = source if len(design.rows) == len(table) else source.select(design.rows)
    brain, about_mask = analysed_brain(asked.mask)
    remarks.check_spacing(how, brain)
    inside, outside = located(foci, brain)
    group = np.bincount(maps.group[inside.analysis], minlength=len(maps.cells))
    remarks.check_cells(group, tuple(maps.cells))
    messages = (
        *source.messages,
        *_dropped_analyses(source, design),
        *design.messages,
        *maps.messages,
        *dropped,
        *about_mask,
        *remarks.about_spacing(how, brain),
        *remarks.about_places(foci, inside, outside),
        *remarks.about(foci, maps, columns),
    )
    return FociRequest(
        family=family,
        estimator=how,
        design=_without(design, columns),
        L=maps.columns.matrix,
        maps=maps.columns.names,
        cells=maps.cells,
        group=maps.group,
        cluster=np.asarray(pd.factorize(foci.studies["study"])[0], dtype=np.intp),
        foci=foci,
        located=inside,
        brain=brain,
        messages=tuple(dict.fromkeys(messages)),
        running=asked.running,
        layout=Layout(maps.columns, columns, source, asked.contrasts),
    )


# ---- the formula ---------------------------------------------------------------------------------
def _read(text: str, studies: pd.DataFrame) -> tuple[Formula, bool]:
    """The formula, exposure(n) read as offset(log(n)); and whether (1 | study) stands in it."""
    parsed = parse(text, [str(name) for name in studies.columns if name not in OUTSIDE])
    if parsed.response is not None and parsed.response != Name("foci"):
        raise FormulaError(
            f"the response of a model of foci is foci, not {label(parsed.response)}: write 'foci ~ s(1) + ...'", text, 0
        )
    if not parsed.spatial:
        raise FormulaError(
            "no term has a map: write s(group) for one map a group, or s(1) for one map of all analyses", text, 0
        )
    shared = [bar for bar in parsed.bars if bar.name == "study" and not bar.part.terms and bar.part.intercept]
    other = next((bar for bar in parsed.bars if bar not in shared), None)
    if other is not None:
        raise FormulaError(
            "of random effects foci take (1 | study) alone, a level shared by the analyses of a study, with "
            "family='clustered_negative_binomial'",
            text,
            max(text.find("|"), 0),
        )
    return with_exposure(replace(parsed, response=None, bars=())), bool(shared)


def _estimator(asked: Asked, family: FociFamily, shared: bool) -> Splines:
    how = Splines() if asked.how is None else asked.how
    if not isinstance(how, Splines):
        raise ValueError(f"estimator={how.word!r} is not one of foci, which are fitted by fn.Splines(spacing='20 mm')")
    clustered = family.name == "clustered_negative_binomial"
    if (shared or how.cluster) and not clustered:
        what = "(1 | study)" if shared else f"cluster={how.cluster!r}"
        raise FormulaError(
            f"{what} is a random level of studies, which family='clustered_negative_binomial' has, not "
            f"{family.name!r}; its standard errors take studies as clusters without it",
            asked.formula,
            0,
        )
    return replace(how, cluster="study") if shared else how


# ---- the global part -----------------------------------------------------------------------------
def _global_design(parsed: Formula, asked: Asked, studies: pd.DataFrame) -> Design:
    """The design of the moderators with R's treatment contrasts, its intercept still in it, on complete rows."""
    fixed = replace(parsed.fixed, intercept=True)
    given = {name: kind for name, kind in (asked.contrasts or {}).items() if name in _labels(parsed)}
    unknown = [name for name in asked.contrasts or {} if name not in given]
    if unknown:
        raise DataError(f"contrasts: {', '.join(unknown)} is not a factor of the formula")
    in_s = {label(node) for part in parsed.spatial for node in part.variables}
    return model_matrix(
        replace(parsed, fixed=fixed),
        studies,
        offset=asked.offset,
        subset=asked.subset,
        contrasts={name: kind for name, kind in given.items() if name not in in_s or name in _fixed(fixed)},
        na_action=asked.na_action,
    )


def _labels(parsed: Formula) -> set[str]:
    return _fixed(parsed.fixed) | {label(node) for part in parsed.spatial for node in part.variables}


def _fixed(part: Part) -> set[str]:
    return {label(node) for node in part.variables}


def _moderators(design: Design, maps: SpatialPart) -> tuple[Columns, tuple[str, ...]]:
    """The global columns that are no combinations of the maps' levels and of each other, and what was left out."""
    names = design.names
    places = [j for j, name in enumerate(names) if name != BASELINE]
    Z = design.matrix[:, places]
    free = [places[j] for j in independent(Z, maps.columns.matrix)]
    lost = [j for j in places if j not in free]
    constant = [names[j] for j in lost if np.ptp(design.matrix[:, j]) == 0]
    alone = [places[j] for j in independent(Z, np.ones((len(Z), 1)))]
    absorbed = [names[j] for j in lost if j in alone and names[j] not in constant]
    collinear = [names[j] for j in lost if names[j] not in constant and names[j] not in absorbed]
    said = []
    if constant:
        said.append(
            f"{', '.join(constant)}: constant in the analyses used, so that it has no effect to estimate; left out"
        )
    if absorbed:
        said.append(f"{', '.join(absorbed)}: already in the levels of the maps of s(...), which absorb it; left out")
    if collinear:
        said.append(f"{', '.join(collinear)}: a combination of other columns; left out")
    return Columns(design, tuple(free), tuple(names[j] for j in free)), tuple(said)


def _without(design: Design, columns: Columns) -> Design:
    """The design with the columns that are estimated alone."""
    terms, start = [], 0
    for term in design.terms:
        width = sum(term.start <= j < term.stop for j in columns.kept)
        if width:
            terms.append(TermColumns(term.name, term.variables, start, start + width))
            start += width
    return replace(design, matrix=columns.matrix, names=columns.names, terms=tuple(terms))


def _check_columns(family: FociFamily, columns: Columns, maps: SpatialPart) -> None:
    analyses, q = columns.matrix.shape
    if family.name == "negative_binomial" and q:
        raise DataError(
            f"family='negative_binomial' describes totals of voxels, in which {', '.join(columns.names)} cannot be "
            "told from the level of the maps; family='clustered_negative_binomial' describes totals of analyses"
        )
    if analyses <= q + len(maps.cells):
        raise DataError(
            f"{analyses} analyses cannot determine {q} global coefficients beside {len(maps.cells)} maps; leave terms "
            "out, or add analyses"
        )


def _dropped_analyses(foci: Foci, design: Design) -> tuple[str, ...]:
    """Which analyses are left out, and their foci."""
    n = len(foci.studies)
    if len(design.rows) == n:
        return ()
    gone = np.setdiff1d(np.arange(n), design.rows)
    names = [str(name) for name in dict.fromkeys(foci.studies["study"].iloc[gone])]
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    lost = int(foci.counts[gone].sum())
    return (f"{len(gone)} of {n} analyses left out, with {lost:,} foci, of {len(names)} studies ({shown})",)
