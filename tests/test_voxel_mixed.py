"""Linear mixed models in every voxel beside the same models fitted as tables."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.images.stack import Images
from formula_neuro.maps.fit import MapFit

VOXELS = 24


def made(scale: float = 1.0, level: float = 100.0) -> pd.DataFrame:
    """18 sites of 2 to 8 images; the variance between sites, and of their slopes, grows from 0 with the voxel."""
    rng = np.random.default_rng(5)
    sizes = rng.integers(2, 9, 18)
    site = np.repeat(np.arange(18), sizes)
    n, t = len(site), np.concatenate([np.arange(size) for size in sizes]).astype(float)
    x, sd = rng.normal(size=n), np.linspace(0, 2, VOXELS)
    between, slope = (rng.normal(size=(18, VOXELS)) * sd for _ in range(2))
    group = np.arange(18) % 2
    y = 0.5 * x[:, None] + 0.3 * group[site][:, None] + between[site] + 0.3 * slope[site] * t[:, None]
    y = level + scale * (y + rng.normal(size=(n, VOXELS)))
    images = [nib.Nifti1Image(row.reshape(VOXELS, 1, 1), np.eye(4)) for row in y]
    names = {"group": np.where(group[site], "b", "a"), "site": [f"s{i}" for i in site], "ward": site % 3}
    return pd.DataFrame({"bold": images, "x": x, "t": t, **names})


def read(table: pd.DataFrame) -> Images:
    return fn.read_images(table, "bold", progress=False)


@pytest.fixture(scope="module")
def images() -> Images:
    return read(made())


@pytest.fixture(scope="module")
def by_site(images) -> MapFit:
    return fn.fit("bold ~ x + group + (1|site)", images)


def agree(v: MapFit, numbers: range) -> None:
    """Both searches end where one more Newton step moves theta by less than 1e-7 of itself, the criterion by 1e-14."""
    for number in numbers:
        alone, own = v.at(number), {name: values[number] for name, values in v.values.items()}
        assert own["deviance"] == pytest.approx(alone.deviance, abs=1e-9)
        assert own["loglik"] == pytest.approx(alone.loglik, abs=1e-9)
        assert np.abs((own["coef"] - alone.beta) / alone.se).max() < 1e-7
        assert np.abs(own["se"] / alone.se - 1).max() < 1e-7
        assert np.abs(own["theta"] - alone.theta).max() < 1e-5
        assert own["sigma"] == pytest.approx(alone.sigma, rel=1e-7)
        assert own["df"] == pytest.approx(alone.tidy(df="satterthwaite")["df"].to_numpy(), rel=1e-6)


@pytest.mark.parametrize("estimator", ["reml", "ml"])
def test_a_random_intercept_has_the_numbers_of_its_own_table(images, estimator) -> None:
    agree(fn.fit("bold ~ x + group + (1|site)", images, estimator=estimator), range(0, VOXELS, 5))


def test_prior_weights_and_an_offset_are_those_of_tables(images) -> None:
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(images.table))
    weights[3] = 0.0
    agree(fn.fit("bold ~ x + group + offset(t) + (1|site)", images, weights=weights), range(0, VOXELS, 8))


def test_a_random_slope_without_intercept_has_the_numbers_of_its_own_table(images) -> None:
    agree(fn.fit("bold ~ x + (0 + t|site)", images), range(0, VOXELS, 8))


@pytest.mark.parametrize("estimator", ["reml", "ml"])
def test_an_intercept_and_a_slope_have_the_numbers_of_their_own_table(images, estimator) -> None:
    agree(fn.fit("bold ~ x + t + (1 + t|site)", images, estimator=estimator), range(0, VOXELS, 6))


def test_levels_with_the_same_times_are_merged_without_a_change() -> None:
    from formula_neuro_mixed.batch.profiled import Products, Profiled
    from formula_neuro_mixed.voxels.merged import Classes, Merged

    rng = np.random.default_rng(4)
    kinds = rng.normal(size=(2, 2, 5))
    kinds = np.einsum("uik,ujk->uij", kinds, kinds)[rng.integers(0, 2, 30)]  # Z'Z of 30 levels of two kinds
    ZX, Zy, yy = rng.normal(size=(2, 3, 30)) / 8, rng.normal(size=(2, 4, 30)), np.full(4, 1e3)
    products = Products(kinds.transpose(1, 2, 0), ZX, Zy, yy, 150, True, 0.7)
    merged, plain = Merged(products, Classes.of_products(products)), Profiled(products)
    assert len(merged.classes.counts) == 2 and merged.classes.worth
    psi, which = rng.normal(size=(3, 3)), np.array([0, 1, 3])
    for one, two in zip(merged.expand(psi, which), plain.expand(psi, which), strict=True):
        assert one == pytest.approx(two, rel=1e-10, abs=1e-10)
    one, two = (target.slopes(target.solve(psi, which)).C for target in (merged, plain))
    assert one == pytest.approx(two, rel=1e-10, abs=1e-12)


def test_slopes_of_a_balanced_design_have_the_numbers_of_their_own_table() -> None:
    table = made().groupby("site", sort=False).filter(lambda rows: len(rows) >= 4)
    table = table.groupby("site", sort=False).head(4).reset_index(drop=True)
    agree(fn.fit("bold ~ x + t + (1 + t|site)", read(table)), range(0, VOXELS, 6))


def test_several_factors_are_fitted_voxel_by_voxel_and_the_fit_says_so(images) -> None:
    v = fn.fit("bold ~ x + (1|site) + (1|ward)", images)
    agree(v, range(0, VOXELS, 12))
    assert any("one by one" in message for message in v.messages)


def test_a_large_level_and_small_units_cost_no_digits(by_site) -> None:
    far = fn.fit("bold ~ x + group + (1|site)", read(made(scale=1e-3, level=1e4)))
    # the values have 16 digits, of which the level takes 7
    assert far.values["theta"] == pytest.approx(by_site.values["theta"], abs=1e-7)
    assert far.values["df"] == pytest.approx(by_site.values["df"], rel=1e-6)


def test_a_voxel_without_variance_between_sites_is_singular_with_a_variance_of_exactly_0(by_site) -> None:
    values = by_site.values
    assert values["singular"][0] and values["theta"][0] == 0.0 and values["p_site"][0] == 1.0
    assert values["df"][0] == pytest.approx(by_site.nobs - 3)  # as of least squares
    assert any(m.startswith(f"singular in {values['singular'].sum()} of {VOXELS}") for m in by_site.messages)


def test_t_z_and_p_follow_the_degrees_of_freedom_of_each_voxel(by_site) -> None:
    from scipy import stats

    t, df, p = (by_site.maps.at_voxels((word, "groupb")) for word in ("t", "df", "p"))
    assert p == pytest.approx(2 * stats.t.sf(np.abs(t), df), rel=1e-10)
    assert df.min() > 2 and df[-1] < 20 < by_site.nobs  # where sites differ, 18 sites carry the groups


def test_a_joint_contrast_has_the_denominator_that_tables_give(images) -> None:
    v = fn.fit("bold ~ x + group + (1|site)", images)
    found = fn.contrast(v, ["x = 0", "groupb = 0"])
    for number in (0, 10, VOXELS - 1):
        alone = fn.contrast(v.at(number), ["x = 0", "groupb = 0"]).joint.iloc[0]
        assert found.values["statistic"][number] == pytest.approx(alone["statistic"], rel=1e-6)
        assert found.values["p"][number] == pytest.approx(alone["p_value"], rel=1e-5)


def test_the_test_of_the_variance_halves_the_chi_squared_tail(by_site) -> None:
    from scipy import stats

    number = VOXELS - 1
    alone = by_site.at(number)
    fixed = fn.fit("bold ~ x + group", alone.request.design.given.table)
    n, rss = by_site.nobs, float((fixed.request.y - fixed.eta) @ (fixed.request.y - fixed.eta))
    R = np.linalg.qr(fixed.request.design.matrix)[1]
    without = (n - 3) * (1 + np.log(2 * np.pi * rss / (n - 3))) + 2 * np.log(np.abs(np.diag(R))).sum()
    lrt = by_site.values["lrt_site"][number]
    assert lrt == pytest.approx(without - alone.deviance, abs=1e-8)
    assert by_site.values["p_site"][number] == pytest.approx(stats.chi2.sf(lrt, 1) / 2)


def test_standard_deviations_and_shares_are_those_of_tables(by_site) -> None:
    alone = by_site.at(VOXELS - 1)
    sd = float(np.sqrt(alone.random[0].covariance[0, 0]))
    assert by_site.values["sd_site"][VOXELS - 1] == pytest.approx(sd, rel=1e-6)
    assert by_site.values["icc_site"][VOXELS - 1] == pytest.approx(sd**2 / (sd**2 + alone.sigma**2), rel=1e-6)


def test_a_constant_voxel_and_one_constant_within_sites_are_undefined_and_the_others_untouched(by_site) -> None:
    table = made()
    values = np.stack([image.get_fdata().ravel() for image in table["bold"]])
    values[:, 3] = 7.0
    values[:, 4] = 1.0 + pd.factorize(table["site"])[0]
    table["bold"] = [nib.Nifti1Image(row.reshape(VOXELS, 1, 1), np.eye(4)) for row in values]
    v = fn.fit("bold ~ x + group + (1|site)", read(table))
    assert np.flatnonzero(v.values["class"] == 5).tolist() == [3, 4]
    assert any("2 of 24 voxels have no estimate" in message for message in v.messages)
    assert np.isnan(v.values["coef"][[3, 4]]).all() and not v.values["converged"][[3, 4]].any()
    assert np.array_equal(v.values["theta"][5:], by_site.values["theta"][5:])


def test_other_block_sizes_give_the_same_mixed_models(images, by_site, monkeypatch) -> None:
    monkeypatch.setattr("formula_neuro.kernels.voxel_blocks.NUMBERS", 7 * by_site.nobs)
    again = fn.fit("bold ~ x + group + (1|site)", images)
    for name in ("coef", "se", "theta", "df", "deviance"):
        # products of other sizes round otherwise
        assert again.values[name] == pytest.approx(by_site.values[name], rel=1e-10, abs=1e-12)


def test_a_group_inside_the_fixed_part_has_no_variance_of_its_own(images) -> None:
    v = fn.fit("bold ~ x + site + (1|site)", images)
    assert (v.values["theta"] == 0).all() and np.isfinite(v.values["df"]).all()
    agree(v, range(0, VOXELS, 12))


def test_worker_processes_give_the_same_mixed_models(images, by_site, monkeypatch) -> None:
    monkeypatch.setattr("formula_neuro.kernels.voxel_blocks.NUMBERS", 12 * by_site.nobs)
    again = fn.fit("bold ~ x + group + (1|site)", images, workers=2)
    assert again.values["coef"] == pytest.approx(by_site.values["coef"], rel=1e-10)


# ---- masks ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def masks() -> Images:
    """20 sites of 8 masks; voxel 0 has a single event, voxel 1 is separated by x, voxel 2 by the group."""
    rng = np.random.default_rng(2)
    site, x = np.repeat(np.arange(20), 8), rng.normal(size=160)
    group = site % 2
    eta = rng.uniform(-3, 1, VOXELS) + 0.6 * x[:, None] + 0.5 * group[:, None]
    eta = eta + (rng.normal(size=(20, VOXELS)) * np.linspace(0, 1.5, VOXELS))[site]
    y = (rng.uniform(size=eta.shape) < 1 / (1 + np.exp(-eta))).astype("u1")
    y[:, 0] = np.arange(160) == 5
    y[:, 1] = x > 0.5
    y[:, 2] = group & (rng.uniform(size=160) < 0.4)
    y[:, 3] = 1
    images = [nib.Nifti1Image(row.reshape(VOXELS, 1, 1), np.eye(4)) for row in y]
    names = {"group": np.where(group, "b", "a"), "site": [f"s{i}" for i in site], "ward": site % 5}
    return fn.read_images(pd.DataFrame({"lesion": images, "x": x, **names}), "lesion", progress=False)


@pytest.fixture(scope="module")
def laplace(masks) -> MapFit:
    return fn.fit("lesion ~ x + group + (1|site)", masks, family="binomial")


def agree_with_glmm(v: MapFit, numbers: range) -> None:
    for number in numbers:
        alone, own = v.at(number), {name: values[number] for name, values in v.values.items()}
        assert own["loglik"] == pytest.approx(alone.loglik, abs=1e-9)
        assert own["deviance"] == pytest.approx(alone.deviance, abs=1e-6)
        assert np.abs((own["coef"] - alone.beta) / alone.se).max() < 1e-7
        # tables take the curvature where the search ended, before its last step of at most 1e-6 standard errors
        assert np.abs(own["se"] / alone.se - 1).max() < 2e-6
        assert np.abs(own["theta"] - alone.theta).max() < 1e-5


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_masks_have_the_numbers_of_their_own_binomial_mixed_model(masks, link) -> None:
    v = fn.fit("lesion ~ x + group + (1|site)", masks, family=f"binomial({link})")
    assert v.values["converged"][4:].all()
    agree_with_glmm(v, range(4, VOXELS, 5))


def test_several_factors_of_masks_are_fitted_voxel_by_voxel(masks) -> None:
    v = fn.fit("lesion ~ x + (1|site) + (1|ward)", masks, family="binomial", subset=np.arange(160) < 120)
    agree_with_glmm(v, range(6, VOXELS, 9))
    assert any("one by one" in message for message in v.messages)


def test_separated_and_constant_masks_have_their_class_and_no_finite_number_that_is_not_one(laplace) -> None:
    values = laplace.values
    assert values["class"][:4].tolist() == [1, 2, 1, 4]
    assert values["coef"][1, 1] == np.inf and values["separated"][1, 1] == 1  # x
    assert values["coef"][2, 2] == np.inf and np.isinf(values["se"][2, 2])  # the group
    assert np.isnan(values["coef"][3]).all() and not values["converged"][:4].any()
    assert not np.isfinite(values["coef"][:4]).any()


def test_equal_masks_have_equal_numbers_whatever_lies_between_them(masks, laplace, monkeypatch) -> None:
    monkeypatch.setattr("formula_neuro.kernels.voxel_blocks.NUMBERS", 160 * 7)
    again = fn.fit("lesion ~ x + group + (1|site)", masks, family="binomial")
    # products of other sizes round otherwise, and searches end within 1e-6 of a standard error
    assert again.values["coef"][4:] == pytest.approx(laplace.values["coef"][4:], abs=1e-8)


def test_the_share_of_a_site_is_on_the_scale_of_the_link(laplace) -> None:
    theta = laplace.values["theta"][4:, 0]
    assert laplace.values["icc_site"][4:] == pytest.approx(theta**2 / (theta**2 + np.pi**2 / 3))


def test_quadrature_in_every_voxel_is_that_of_tables(masks) -> None:
    v = fn.fit("lesion ~ x + (1|site)", masks, family="binomial", estimator=fn.AGQ(5))
    agree_with_glmm(v, range(5, VOXELS, 9))


@pytest.mark.parametrize(
    ("family", "said"), [("poisson", "no poisson family"), ("binomial(cauchit)", "no cauchit link in voxels")]
)
def test_what_voxels_cannot_fit_is_refused_by_name(masks, family, said) -> None:
    with pytest.raises(fn.errors.NoBackend, match=said):
        fn.fit("lesion ~ x + (1|site)", masks, family=family)


# ---- beside R ------------------------------------------------------------------------------------
@pytest.mark.r
@pytest.mark.parametrize("formula", ["bold ~ x + group + (1|site)", "bold ~ x + t + (1 + t|site)"])
def test_linear_mixed_models_in_voxels_agree_with_lme4(images, formula) -> None:
    assert fn.crosscheck(fn.fit(formula, images), voxels=6).verdict == "agrees"


@pytest.mark.r
def test_binomial_mixed_models_in_voxels_agree_with_lme4(laplace) -> None:
    assert fn.crosscheck(laplace, voxels=4).verdict == "agrees"
