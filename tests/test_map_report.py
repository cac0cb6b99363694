"""The report, the pictures and the words of a fit in every voxel."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.maps.display.recipes import python_code, r_code
from formula_neuro.maps.fit import MapFit


@pytest.fixture(scope="module")
def fitted() -> MapFit:
    images = fn.simulate_lesions(120, reference=fn.lesion_reference(spacing=10), seed=3).images
    return fn.fit("lesion ~ age", images, family="binomial(probit)", estimator="mean_br")


@pytest.fixture(scope="module")
def page(fitted, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "map.html"
    fitted.report(path)
    return path.read_text("utf-8")


def test_the_page_asks_nothing_of_the_network(page) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert "<script" not in page and "default-src 'none'" in page


def test_the_page_has_slices_of_z_and_of_the_estimates(page) -> None:
    titles = re.findall(r"<h3>(.*?)</h3><img", page)
    assert titles[:3] == ["age: z", "age: estimates", "Incidence"] and titles[-1] == "Distribution of z"


def test_the_page_has_the_counts_of_the_table(page, fitted) -> None:
    row = fitted.tidy().set_index("term").loc["(Intercept)"]
    assert row["discoveries"] > 0
    assert (
        f"{int(row['beyond_1.96']):,} (" in page
        and f"{int(row['discoveries']):,} ({int(row['positive']):,} above, " in page
    )


def test_a_folder_that_is_not_there_is_told_before_any_work(fitted, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="make it first"):
        fitted.report(tmp_path / "no" / "map.html")


def test_discoveries_are_split_by_sign(fitted) -> None:
    table = fitted.tidy()
    assert (table["positive"] + table["negative"] == table["discoveries"]).all() and table["discoveries"].sum() > 0


def test_a_figure_without_arguments_is_the_last_coefficients_z(fitted) -> None:
    assert len(fitted.plot().axes) > 8  # eight slices, and the scale
    largest = np.nanmax(np.abs(fitted.maps.at_voxels(("z", "age"))))
    assert np.isclose(fitted.plot().axes[-1].get_ylim()[1], max(largest, 2 * 1.96))


def test_images_outside_the_template_are_drawn_over_a_map_of_their_own(tmp_path) -> None:
    rng = np.random.default_rng(0)
    affine = np.diag([3.0, 3, 3, 1])
    affine[:3, 3] = 300  # mm: far from any brain
    table = pd.DataFrame({"group": ["a", "b"] * 8})
    table["bold"] = [nib.Nifti1Image(rng.normal(size=(5, 6, 5)), affine) for _ in table.index]
    v = fn.fit("bold ~ group", table)
    page = Path(v.report(tmp_path / "bold.html")).read_text("utf-8")
    assert "behind the colours: the residual standard deviation" in page and "MNI152" not in page
    assert "<h2>Convergence</h2>" in page and "infinite" not in v.summary()


def test_a_notebook_shows_the_table_with_names_escaped(fitted) -> None:
    shown = fitted._repr_html_()
    assert shown.count("<tr>") == 3 and "<th>age</th>" in shown and "|z| &gt; 1.96" in shown


def test_code_in_r_fits_one_voxel_after_the_other(fitted) -> None:
    code = r_code(fitted)
    assert 'glm(lesion ~ age, data = d, family = binomial(link = "probit"), method = brglmFit' in code
    assert "apply(images, 1, one" in code


def test_code_in_python_makes_the_fit_again(fitted) -> None:
    assert 'fn.fit("lesion ~ age", "participants.tsv", mask="mask.nii.gz", family="binomial(probit)"' in python_code(
        fitted
    )
