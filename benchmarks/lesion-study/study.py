"""The accuracy study of the paper on a synthetic reference: tables, figures and its findings held against the numbers.

python benchmarks/lesion-study/study.py --size small   (4 mm, 30 repetitions: minutes)
python benchmarks/lesion-study/study.py --size spatial (6 mm, 20 repetitions, the spatial model beside the two)
python benchmarks/lesion-study/study.py --size full    (2 mm, 1,000 repetitions, as the paper)

Finished repetitions stay in the folder --kept, and the same command goes on from them.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tables
from findings import findings
from methods import figure
from spatial import spatial_findings

import formula_neuro as fn
from formula_neuro.display.plot import png
from formula_neuro.lesions import pictures
from formula_neuro.lesions.accuracy import EDGES
from formula_neuro.lesions.reference import LesionReference
from formula_neuro.lesions.study import METHODS, LesionStudy
from formula_neuro.lesions.tuning import Tuned

HERE = Path(__file__).parent
ELL = "3 mm"  # the paper's 1.5 voxels of 2 mm
SUBJECTS = (250, 1000)
AGE = "I(age - 63)"
MARK = "<!-- what follows is written by study.py -->"
SPATIAL = METHODS | {"spatial": "spatial"}


@dataclass(frozen=True)
class Size:
    """A voxel's size in mm, repetitions, the subjects of the tuning (0: none), and the methods."""

    spacing: float
    repetitions: int
    tuning: int
    methods: Mapping[str, str] = field(default_factory=METHODS.copy)

    @property
    def largest(self) -> tuple[int, ...]:
        """The paper's numbers of strongest voxels of 2 mm, in as large a volume."""
        return tuple(round(m * (2 / self.spacing) ** 3) for m in (1000, 2000, 5000, 10000))


SIZES = {
    "small": Size(4, 30, 1000),
    "medium": Size(2, 50, 1000),
    "full": Size(2, 1000, 1000),
    "spatial": Size(6, 20, 0, SPATIAL),
}


def main() -> None:
    arguments = _arguments()
    size, started = SIZES[arguments.size], time.perf_counter()
    size = replace(size, repetitions=arguments.repetitions or size.repetitions)
    reference = fn.lesion_reference(spacing=size.spacing)
    tuned = _tuned(reference, size) if size.tuning else None
    run: dict[str, Any] = {"out": arguments.kept, "workers": arguments.workers, "progress": arguments.progress}
    accuracy = {n: _study(reference, n, size, run) for n in SUBJECTS}
    null = {n: _study(reference.without(AGE), n, size, run) for n in SUBJECTS}
    rows = (findings if tuned else spatial_findings)(accuracy, null)
    words = _report(arguments.size, size, reference, tuned, accuracy, null, tables.held(rows))
    if tuned is None:
        _pictures_of_three(Path(arguments.out), accuracy, null)
    else:
        _pictures(Path(arguments.out), reference, tuned, accuracy, null)
    page = Path(arguments.out) / "README.md"
    page.write_text(_renewed(page.read_text("utf-8") if page.exists() else MARK, words), "utf-8")
    print(words)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")


def _renewed(page: str, words: str) -> str:
    """The page with the section that has the same title as `words` replaced, or with `words` added at its end."""
    head, *sections = re.split(r"^(?=## Results of the size )", page, flags=re.MULTILINE)
    title = words.split("\n", 1)[0]
    kept = [section for section in sections if section.split("\n", 1)[0] != title]
    return "\n\n".join(part.strip() for part in [head, *kept, words]) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--repetitions", type=int, help="other than the size's own")
    parser.add_argument("--workers", type=int, default=2, help="processes among which repetitions are shared")
    parser.add_argument("--out", default=str(HERE), help="where the page and the figures are written")
    parser.add_argument("--kept", default="lesion-study-repetitions", help="where finished repetitions are kept")
    parser.add_argument("--progress", action=argparse.BooleanOptionalAction, default=None)
    return parser.parse_args()


def _tuned(reference: LesionReference, size: Size) -> Tuned:
    """Tuned to masks that were simulated with ELL under another seed: there are no measured ones that may be shown."""
    observed = fn.simulate_lesions(size.tuning, reference=reference, ell=ELL, seed=77, progress=False)
    scales = ("1.5 mm", "2 mm", "2.5 mm", "3 mm", "3.5 mm", "4 mm", "6 mm")
    return fn.tune_ell(observed.images, reference, scales=scales, n=size.tuning, progress=False)


def _study(reference: LesionReference, n: int, size: Size, run: Mapping[str, Any]) -> LesionStudy:
    return fn.lesion_study(
        reference,
        n=n,
        replicates=size.repetitions,
        methods=size.methods,
        ell=ELL,
        largest=size.largest,
        seed=2021,
        **run,
    )


def _report(
    name: str,
    size: Size,
    reference: LesionReference,
    tuned: Tuned | None,
    accuracy: Mapping[int, LesionStudy],
    null: Mapping[int, LesionStudy],
    held: str,
) -> str:
    """The results in Markdown."""
    few, many = SUBJECTS
    parts = [
        f"## Results of the size {name}",
        f"Synthetic reference, {reference.grid.describe()}, {len(reference.voxels):,} voxels; R = {size.repetitions} "
        f"repetitions, length scale {ELL}. MSE and bias of the coefficient of age (a year) are in units of 1e-4; "
        "all but the rows of all repetitions are of the estimates that maximum likelihood has finite; the rows "
        f"> {EDGES[0]:g} are of all voxels above that incidence.",
        f"### The paper's findings\n\n{held}",
        f"### Table 1: accuracy, N\\* = {few}\n\n{tables.accuracy(accuracy[few])}",
        f"### Table 2: accuracy, N\\* = {many}\n\n{tables.accuracy(accuracy[many])}",
        f"### Table 3: overlap of the strongest voxels\n\n{tables.overlaps(accuracy)}",
        f"### Table 4: accuracy without an effect, N\\* = {many}\n\n{tables.accuracy(null[many])}",
        f"### Table 5: false positives, %\n\n{tables.false_positives(null)}",
        f"### Infinite estimates by maximum likelihood, % of those with a lesion\n\n{tables.separated(accuracy)}",
        *([] if tuned is None else [f"### Length scale (mm): squared log ratios\n\n{tables.tuned_table(tuned)}"]),
        *(f"![{words}]({file})" for file, words in (OF_THREE if tuned is None else FIGURES).items()),
    ]
    return "\n\n".join(parts) + "\n"


FIGURES = {
    "masks.png": "Simulated masks of one person at two ages and two length scales",
    "tuning.png": "Volume, count and size of lesions by age for each length scale, beside the target",
    "coefficients.png": f"Estimated beside true coefficients of age, one repetition of {max(SUBJECTS)} subjects",
    "maps.png": f"Incidence and z of the reference beside one repetition of {max(SUBJECTS)} subjects",
    "null.png": f"Quantiles of z without an effect by incidence, {min(SUBJECTS)} subjects",
}


OF_THREE = {
    "spatial-accuracy.png": "Mean squared error, bias and false positives by incidence, three methods",
    "spatial-coefficients.png": f"Estimated beside true coefficients, one repetition of {min(SUBJECTS)} subjects",
    "spatial-maps.png": f"Incidence and z of the reference beside one repetition of {min(SUBJECTS)} subjects",
}


def _pictures_of_three(folder: Path, accuracy: Mapping[int, LesionStudy], null: Mapping[int, LesionStudy]) -> None:
    """Write the figures of the study that has the spatial model."""
    folder.mkdir(parents=True, exist_ok=True)
    few = min(SUBJECTS)
    figures = {
        "spatial-accuracy.png": figure(accuracy, null),
        "spatial-coefficients.png": pictures.coefficients_figure(accuracy[few]),
        "spatial-maps.png": pictures.maps_figure(accuracy[few]),
    }
    for file, made in figures.items():
        (folder / file).write_bytes(png(made, 80))


def _pictures(
    folder: Path,
    reference: LesionReference,
    tuned: Tuned,
    accuracy: Mapping[int, LesionStudy],
    null: Mapping[int, LesionStudy],
) -> None:
    """Write the figures; the masks are of 2 mm at any size."""
    folder.mkdir(parents=True, exist_ok=True)
    many = max(SUBJECTS)
    figures = {
        "masks.png": pictures.masks_figure(fn.lesion_reference(spacing=2), scales=("1.5 mm", "3 mm", "6 mm")),
        "tuning.png": tuned.plot(),
        "coefficients.png": pictures.coefficients_figure(accuracy[many]),
        "maps.png": pictures.maps_figure(accuracy[many]),
        "null.png": pictures.null_figure(null[min(SUBJECTS)]),
    }
    for file, made in figures.items():
        (folder / file).write_bytes(png(made, 80))


if __name__ == "__main__":
    main()
