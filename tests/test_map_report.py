"""The report, the pictures and the words of a fit in every voxel."""

from __future__ import annotations

import re

import numpy as np
import pytest

import formula_neuro as fn
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
    assert f"{int(row['beyond_1.96']):,} (" in page and f"{int(row['discoveries']):,} = {int(row['positive']):,} + " in page


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
