"""A brain of a few hundred voxels with a few dozen studies, and its meta-regression with all matrices dense."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pandas as pd

import formula_neuro as fn
from formula_neuro_cbmr.plain import dense

SHAPE, SIZE = (10, 12, 9), 4.0


def mask() -> np.ndarray:
    """An ellipsoid that touches all sides of its box."""
    at = np.indices(SHAPE).reshape(3, -1).T
    middle = (np.array(SHAPE) - 1) / 2
    return (((at - middle) / (middle + 0.3)) ** 2).sum(axis=1).reshape(SHAPE) <= 1


def image(flip: bool = False) -> nib.Nifti1Image:
    """The mask on voxels of 4 mm; flip: its first axis runs from right to left."""
    affine = np.diag([SIZE, SIZE, SIZE, 1.0])
    affine[:3, 3] = -18, -22, -16
    data = mask()
    if flip:
        affine[0, 0], affine[0, 3] = -SIZE, -18 + SIZE * (SHAPE[0] - 1)
        data = data[::-1]
    return nib.Nifti1Image(data.astype(np.uint8), affine)


def tables(
    studies: int = 24, foci: float = 20.0, seed: int = 0, centres: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Foci and studies: groups a and b, some studies with two analyses, x and n numbers; peaks differ by group.

    centres: foci lie at the centres of voxels.
    """
    rng = np.random.default_rng(seed)
    of = image()
    at = np.argwhere(mask())
    studies_table, parts = [], []
    for k in range(studies):
        for j in range(1 + (k % 4 == 0)):
            group, drug, x = "ab"[k % 2], "uv"[(k // 2) % 2], rng.normal()
            weight = np.exp(0.12 * at[:, 0] * (1 if group == "a" else -1) + 0.1 * x * at[:, 1] / 3)
            t = rng.poisson(foci * np.exp(0.2 * x))
            chosen = at[rng.choice(len(at), size=t, p=weight / weight.sum())]
            place = chosen if centres else chosen + rng.uniform(-0.49, 0.49, chosen.shape)
            xyz = place * SIZE + of.affine[:3, 3]
            name = f"s{k:02d}"
            studies_table.append([name, f"c{j}", group, drug, x, rng.integers(10, 60)])
            parts.append(pd.DataFrame(xyz, columns=list("xyz")).assign(study=name, analysis=f"c{j}"))
    columns = ["study", "analysis", "group", "drug", "x", "n"]
    return pd.concat(parts, ignore_index=True), pd.DataFrame(studies_table, columns=columns)


def fitted(formula: str, *, data=None, flip: bool = False, family: str = "poisson", **splines):
    """The fit of small data by splines 16 mm apart, unpenalised unless told."""
    foci, studies = tables() if data is None else data
    how = fn.Splines(**{"spacing": 16.0, "smooth": "none", **splines})
    return fn.fit(formula, fn.read_foci(foci, studies=studies), mask=image(flip), estimator=how, family=family)


@dataclass(frozen=True)
class Dense:
    """The same model with dense matrices; `rows` (J, P) are x at the foci."""

    fit: object
    X: np.ndarray
    D: np.ndarray
    offset: np.ndarray
    observed: np.ndarray
    penalty: np.ndarray
    found: dense.DenseFit

    @property
    def shape(self) -> tuple[int, int]:
        """Maps and splines."""
        return self.fit.engine.b.shape

    @property
    def b(self) -> np.ndarray:
        C, P = self.shape
        return self.found.theta[: C * P].reshape(C, P)

    @property
    def gamma(self) -> np.ndarray:
        return self.found.theta[self.b.size :]

    @property
    def inverse(self) -> np.ndarray:
        return np.linalg.inv(self.found.A)

    def scores(self, by: np.ndarray) -> np.ndarray:
        """Sums of the analyses' scores, (K, C P + q)."""
        request = self.fit.request
        M, V = len(request.L), len(self.X)
        D = self.D.reshape(M, V, -1)
        expected = np.einsum("ivp,iv->ip", D, self.found.mu.reshape(M, V))
        each = observed_by_analysis(request, self.fit.engine.problem) - expected
        out = np.zeros((by.max() + 1, each.shape[1]))
        np.add.at(out, by, each)
        return out

    def robust(self) -> np.ndarray:
        """The sandwich over studies, CR1."""
        u = self.scores(self.fit.request.cluster) @ self.inverse
        return len(u) / (len(u) - 1) * u.T @ u

    def variance(self, R: np.ndarray, covariance: np.ndarray, what: str) -> np.ndarray:
        """Covariances of the maps R b in every voxel, (V, k, k), by the gradients of each."""
        C, P = self.shape
        rows = np.repeat(self.X[:, None], len(R), axis=1)
        if what == "shape":
            eta = self.X @ (R @ self.b).T
            pi = np.exp(eta) / np.exp(eta).sum(axis=0)
            rows = rows - pi.T @ self.X
        G = np.einsum("kc,vkp->vkcp", R, rows).reshape(len(self.X), len(R), C * P)
        return np.einsum("vki,ij,vlj->vkl", G, covariance[: C * P, : C * P], G)


def observed_by_analysis(request, problem) -> np.ndarray:
    """Sums of the design's rows at the foci of each analysis, (M, C P + q)."""
    rows = problem.analysis_rows.toarray()
    maps = np.einsum("ic,ip->icp", request.L, rows).reshape(len(rows), -1)
    return np.hstack([maps, request.totals[:, None] * request.design.matrix])


def beside(fit, weights: np.ndarray | None = None) -> Dense:
    """The dense fit at the same lambda; weights (C, C): of the penalty between maps, else the identity."""
    request, engine = fit.request, fit.engine
    problem = engine.problem
    basis = problem.splined.basis
    X = basis.expand(np.eye(basis.P)).T
    Z = request.design.matrix
    D = dense.joint_design(X, request.L, Z)
    offset = np.repeat(request.design.offset, len(X))
    observed = observed_by_analysis(request, problem).sum(axis=0)
    C, P, q = len(request.maps), basis.P, Z.shape[1]
    penalty = np.zeros((C * P + q,) * 2)
    penalty[: C * P, : C * P] = fit.penalty * np.kron(np.eye(C) if weights is None else weights, problem.splined.S)
    level = np.log(request.totals.sum() / len(request.L) / len(X))
    share = np.linalg.lstsq(request.L, np.ones(len(request.L)), rcond=None)[0]
    start = np.concatenate([np.kron(share, np.linalg.lstsq(X, np.full(len(X), level), rcond=None)[0]), np.zeros(q)])
    return Dense(fit, X, D, offset, observed, penalty, dense.newton(D, offset, observed, penalty, start))
