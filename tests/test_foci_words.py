"""What users read of a meta-regression: summary, tables, pictures, files and the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import Unable
from formula_neuro.foci.files import nimare_label

sys.path.insert(0, str(Path(__file__).parent))
from foci_small import fitted, foci, usual


def test_the_summary_says_where_and_how_many_apart() -> None:
    text = usual().summary()
    where, how_many = text.index("Where foci are"), text.index("How many foci")
    assert where < text.index("schizophrenia") < how_many < text.index("subtypetype2")
    assert "quasi-Poisson standard errors, t with 43 degrees of freedom" in text


def test_the_summary_has_data_splines_convergence_and_likelihood() -> None:
    text = usual().summary()
    count = int(usual().request.totals.sum())
    assert f"{count:,} foci, 48 analyses, 48 studies" in text
    assert "knots 60 mm (7.5 voxels) apart" in text
    assert "Converged, in at most" in text
    assert f"Log-likelihood {usual().loglik:,.2f}" in text


def test_without_moderators_no_table_asks_how_many() -> None:
    assert "How many" not in fitted("foci ~ s(diagnosis)").summary()


def test_overdispersion_is_said() -> None:
    c = fitted("foci ~ s(diagnosis) + scale(age)", foci("negative_binomial"))
    assert c.phi > 2 and f"phi; Poisson: 1): {c.phi:.3g}" in c.summary()
    assert "totals vary" in c.summary()


def test_dispersions_of_cells_are_said() -> None:
    text = usual("clustered_negative_binomial").summary()
    assert text.splitlines()[1].startswith("Clustered negative binomial meta-regression")
    assert "Variance of the random levels (alpha; 0: Poisson): depression" in text


def test_maps_of_numbers_are_listed() -> None:
    assert 'maps["effect", ...]: scale(age)' in fitted("foci ~ s(diagnosis) + s(scale(age))").summary()


def test_a_map_with_few_foci_for_its_coefficients_is_named() -> None:
    c = fitted("foci ~ s(diagnosis)", subset=np.arange(48) < 4)
    assert "foci for each effective coefficient of a map (depression" in c.summary()


def test_terms_say_what_question_each_answers() -> None:
    terms = fitted("foci ~ s(diagnosis) + s(scale(age)) + subtype").terms
    kinds = terms.set_index("name")["question"].to_dict()
    assert kinds["depression"] == "where" and kinds["scale(age)"] == "where it changes"
    assert kinds["subtypetype2"] == "how many"


def test_the_table_of_cells_counts_what_maps_rest_on() -> None:
    c = usual()
    cells = c.cell_table.set_index("cell")
    assert cells["analyses"].tolist() == [24, 24] and cells["foci"].sum() == c.request.totals.sum()
    peak = cells.loc["depression", ["x", "y", "z"]].to_numpy(dtype=float)
    relative = c.maps.at_voxels(("relative", "depression"))
    assert np.array_equal(c.brain.world[relative.argmax()], peak)
    assert np.isclose(cells.loc["depression", "highest"], relative.max())


def test_a_notebook_shows_both_tables() -> None:
    shown = usual()._repr_html_()
    assert shown.count("<table") == 2 and "schizophrenia" in shown and "subtypetype3" in shown


def test_one_row_says_what_was_fitted() -> None:
    row = usual().glance().iloc[0]
    assert (row["family"], row["analyses"], row["maps"], row["moderators"]) == ("poisson", 48, 2, 3)
    assert bool(row["converged"])


# ---- files ---------------------------------------------------------------------------------------
def test_maps_are_written_with_what_they_are(tmp_path: Path) -> None:
    c = usual()
    paths = c.to_nifti(tmp_path)
    written = nib.load(tmp_path / "cell-schizophrenia_stat-logIntensity_statmap.nii.gz")
    assert np.array_equal(
        written.get_fdata()[np.isfinite(written.get_fdata())], c.maps.at_voxels(("log_intensity", "schizophrenia"))
    )
    about = json.loads((tmp_path / "cell-schizophrenia_stat-logIntensity_statmap.json").read_text())
    assert about["Formula"] == "foci ~ s(diagnosis) + scale(age) + subtype" and about["Cell"] == "schizophrenia"
    assert pd.read_csv(tmp_path / "moderators.tsv", sep="\t")["term"].tolist() == list(c.names)
    assert all(Path(path).exists() for path in paths)


def test_maps_have_nimares_names_where_asked_for(tmp_path: Path) -> None:
    c = fitted("foci ~ s(diagnosis:drug) + scale(age)")
    c.to_nifti(tmp_path, layout="nimare", dtype="float32")
    written = nib.load(tmp_path / "spatialIntensity_group-SchizophreniaYes.nii.gz")
    assert written.get_data_dtype() == np.float32
    table = pd.read_csv(tmp_path / "moderators_regression_coef.tsv", sep="\t")
    assert np.isclose(table["scale(age)"][0], c.coef["scale(age)"])


def test_nimares_labels_join_levels() -> None:
    assert nimare_label("first-episode:no") == "FirstEpisodeNo"


def test_layouts_that_there_are_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bids, nimare"):
        usual().to_nifti(tmp_path, layout="spm")


# ---- pictures ------------------------------------------------------------------------------------
def titles(drawn) -> list[str]:
    return [axes.get_title(loc="left") for axes in drawn.axes]


def test_all_cells_are_drawn_a_row_each_with_one_scale() -> None:
    pytest.importorskip("nilearn")
    drawn = usual().plot()
    assert {text.get_text() for text in drawn.texts} == {"depression", "schizophrenia"}
    assert "intensity" in titles(drawn)


def test_one_map_and_the_foci_can_be_drawn() -> None:
    pytest.importorskip("nilearn")
    c = fitted("foci ~ s(diagnosis) + s(scale(age))")
    assert "z" in titles(c.plot("z", "scale(age)"))
    assert "● depression" in [text.get_text() for text in c.plot("glass", "depression").texts]


def test_a_contrast_is_drawn() -> None:
    pytest.importorskip("nilearn")
    found = fn.contrast(usual(), "depression - schizophrenia")
    assert "depression - schizophrenia: z" in [text.get_text() for text in found.plot().texts]
    assert "depression - schizophrenia: estimates" in [text.get_text() for text in found.plot("estimate").texts]
    with pytest.raises(KeyError, match="there is no map 'beta' of depression - schizophrenia; there are "):
        found.plot("beta")


def test_what_is_no_map_is_not_drawn() -> None:
    pytest.importorskip("nilearn")
    with pytest.raises(KeyError, match="there is no map"):
        usual().plot("z", "depression")
    with pytest.raises(KeyError, match="is no cell"):
        usual().plot("glass", "mania")


def test_the_page_is_complete_in_itself(tmp_path: Path) -> None:
    pytest.importorskip("nilearn")
    page = Path(usual().report(tmp_path / "page.html")).read_text(encoding="utf-8")
    for words in (
        "Where foci are",
        "How many foci",
        "more foci than chance",
        "subtypetype2",
        "fn.homogeneity(c)",
        "glm(",
    ):
        assert words in page
    assert page.count("<img") == 3 and "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page


def test_the_maps_of_a_cell_are_named_and_its_tests_too() -> None:
    maps = usual().maps
    assert repr(maps) == "(intensity | log_intensity | se | relative | relative_se | foci, depression | schizophrenia)"
    with pytest.raises(KeyError, match=r"cells are tested by fn\.homogeneity\(c\)"):
        maps["z", "depression"]


def test_what_is_asked_of_no_fit_or_cell_is_refused_in_words() -> None:
    with pytest.raises(Unable, match=r"homogeneity.. is of a fit, .*, not of Foci"):
        fn.homogeneity(foci())
    with pytest.raises(ValueError, match="'mania' is no cell of s"):
        usual().influence("study-01", "mania")
    with pytest.raises(ValueError, match="seed is a whole number of 0 or more"):
        usual().simulate(1, seed="a")
