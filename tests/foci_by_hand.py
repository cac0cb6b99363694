"""A meta-regression of a dozen voxels' width, fitted densely: what tests of inference stand on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.interpolate import BSpline

from formula_neuro.design import model_matrix
from formula_neuro.estimator import Splines
from formula_neuro.family import as_foci_family
from formula_neuro.foci.fit import FociFit
from formula_neuro.foci.request import FociRequest, Located
from formula_neuro.foci.table import Foci
from formula_neuro.images.brain import Brain
from formula_neuro.images.grid import Grid

SHAPE = (10, 11, 9)


def brain() -> Brain:
    """An ellipsoid of 2 mm voxels."""
    ijk = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij"), axis=-1)
    mask = (ijk**2).sum(axis=-1) <= 1.2
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    return Brain(Grid(SHAPE, affine), mask, np.flatnonzero(mask), 4)


def basis(where: Brain, inner: int = 1) -> np.ndarray:
    """(V, P) products of cubic splines that sum to 1."""
    axes = []
    for n in where.grid.shape:
        knots = np.r_[[-0.5] * 4, np.linspace(-0.5, n - 0.5, inner + 2)[1:-1], [n - 0.5] * 4]
        axes.append(BSpline.design_matrix(np.arange(n, dtype=float), knots, 3).toarray())
    i, j, k = np.unravel_index(where.voxels, where.grid.shape)
    X = np.einsum("va,vb,vc->vabc", axes[0][i], axes[1][j], axes[2][k]).reshape(len(i), -1)
    X = X[:, X.max(axis=0) >= 0.1]
    return X / X.sum(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class DenseEngine:
    """Poisson, by Newton's method on all cells of analyses and voxels; `kinds` robust: CR1 over studies."""

    request: FociRequest
    X: np.ndarray
    ridge: float = 0.1

    @cached_property
    def theta(self) -> np.ndarray:
        """(C P + q,) coefficients; the last Newton step is below rounding."""
        request = self.request
        M, _, q = request.shape
        level = np.linalg.lstsq(request.L, np.full(M, np.log(self.y.mean())), rcond=None)[0]
        theta = np.r_[np.repeat(level, self.X.shape[1]), np.zeros(q)]
        for _ in range(60):
            mu = self.mu(theta)
            g = self._gradients(self.y - mu).sum(axis=0) - self.penalty @ theta
            step = np.linalg.solve(self._information(mu) + self.penalty, g)
            theta = theta + step * min(1.0, 3.0 / np.abs(step).max())
            if g @ step < 1e-14:
                return theta
        raise ArithmeticError("the fit by hand did not converge")

    @cached_property
    def penalty(self) -> np.ndarray:
        """Coefficients of a map are drawn towards their mean."""
        _, C, q = self.request.shape
        P = self.X.shape[1]
        out = np.zeros((C * P + q, C * P + q))
        out[: C * P, : C * P] = np.kron(np.eye(C), self.ridge * (np.eye(P) - 1 / P))
        return out

    @cached_property
    def A(self) -> np.ndarray:
        return self._information(self.mu(self.theta)) + self.penalty

    @cached_property
    def y(self) -> np.ndarray:
        """(M, V)."""
        out = np.zeros((len(self.request.L), len(self.X)))
        np.add.at(out, (self.request.located.analysis, self.request.located.voxel), 1.0)
        return out

    def mu(self, theta: np.ndarray) -> np.ndarray:
        C, P = self.request.shape[1], self.X.shape[1]
        maps = theta[: C * P].reshape(C, P) @ self.X.T
        level = self.request.design.offset + self.request.design.matrix @ theta[C * P :]
        return np.exp(self.request.L @ maps + level[:, None])

    def _gradients(self, residual: np.ndarray) -> np.ndarray:
        """(M, C P + q)."""
        by_map = np.einsum("mc,mp->mcp", self.request.L, residual @ self.X).reshape(len(residual), -1)
        return np.column_stack([by_map, residual.sum(axis=1)[:, None] * self.request.design.matrix])

    def _information(self, mu: np.ndarray) -> np.ndarray:
        _, C, q = self.request.shape
        P, L, Z = self.X.shape[1], self.request.L, self.request.design.matrix
        H = np.zeros((C * P + q, C * P + q))
        for c in range(C):
            for d in range(C):
                w = (L[:, c] * L[:, d]) @ mu
                H[c * P : (c + 1) * P, d * P : (d + 1) * P] = self.X.T @ (w[:, None] * self.X)
            border = (self.X.T @ mu.T) @ (L[:, [c]] * Z)
            H[c * P : (c + 1) * P, C * P :] = border
            H[C * P :, c * P : (c + 1) * P] = border.T
        H[C * P :, C * P :] = Z.T @ (mu.sum(axis=1)[:, None] * Z)
        return H

    @property
    def b(self) -> np.ndarray:
        C = self.request.shape[1]
        return self.theta[: C * self.X.shape[1]].reshape(C, -1)

    @property
    def gamma(self) -> np.ndarray:
        return self.theta[self.request.shape[1] * self.X.shape[1] :]

    def expand(self, coefficients: np.ndarray) -> np.ndarray:
        return np.asarray(coefficients @ self.X.T)

    def project(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(values @ self.X)

    def spread(self, C: np.ndarray) -> np.ndarray:
        return np.einsum("vp,pq,vq->v", self.X, C, self.X)

    def scores(self, by: np.ndarray | None = None) -> np.ndarray:
        by = self.request.cluster if by is None else by
        u = self._gradients(self.y - self.mu(self.theta))
        out = np.zeros((int(by.max()) + 1, u.shape[1]))
        np.add.at(out, by, u)
        return out

    def solve(self, right: np.ndarray, kind: str = "fisher") -> np.ndarray:
        return np.linalg.solve(self.A, right)

    @cached_property
    def covariances(self) -> dict[str, np.ndarray]:
        A = np.linalg.inv(self.A)
        u = self.scores() @ A
        K = len(u)
        return {"fisher": A, "observed": A, "robust": K / (K - 1) * u.T @ u}

    def moderator_covariance(self, kind: str) -> np.ndarray:
        n = self.b.size
        return self.covariances[kind][n:, n:]

    def variance(self, R: np.ndarray, kind: str, what: str = "intensity") -> np.ndarray:
        R = np.atleast_2d(R)
        C, P = self.b.shape
        V = self.covariances[kind][: C * P, : C * P].reshape(C, P, C, P)
        own = np.einsum("kc,cpdr,ld->kplr", R, V, R)
        X = np.broadcast_to(self.X, (len(R), *self.X.shape)).copy()
        if what == "shape":
            pi = np.exp(self.expand(R @ self.b))
            X -= ((pi / pi.sum(axis=1, keepdims=True)) @ self.X)[:, None, :]
        return np.einsum("kvp,kplr,lvr->vkl", X, own, X)

    def refit(self, request: FociRequest) -> FociFit:
        return fit_of(request, self.X, self.ridge)


def fit_of(request: FociRequest, X: np.ndarray, ridge: float = 0.1) -> FociFit:
    engine = DenseEngine(request, X, ridge)
    mu = engine.mu(engine.theta)
    fitted, t = mu.sum(axis=1), request.totals
    M, C, q = request.shape
    df = M - len(np.unique(request.group)) - q
    loglik = float((engine.y * np.log(mu)).sum() - mu.sum())
    phi = float(((t - fitted) ** 2 / fitted).sum() / df)
    return FociFit(request, "by hand", engine, loglik, C * X.shape[1] + q, fitted, phi)


def simulated(
    studies: pd.DataFrame,
    seed: int,
    *,
    group: str | None = "group",
    formula: str = "foci ~ 1",
    per: float = 10.0,
    alpha: float = 0.0,
    clump: int = 1,
    different: float = 0.0,
    effect: str | None = None,
    inner: int = 1,
    family: str = "poisson",
    even: bool = False,
) -> FociFit:
    """A fit of foci of analyses (a row of `studies` each: study, and what the formula names), cells by `group`.

    per: foci of an analysis; alpha: variance of its gamma frailty; clump: foci that fall within a voxel of another;
    different: by how much log intensity of the second level rises in one half of the brain. effect: a column with a
    map of its own. even: intensities are the same everywhere.
    """
    where, rng = brain(), np.random.default_rng(seed)
    X, M = basis(where, inner), len(studies)
    x = np.stack(np.unravel_index(where.voxels, where.grid.shape), axis=1) @ np.ones(3)
    base = np.zeros(len(x)) if even else 0.5 * np.sin(x / 4.0)
    half = (np.unravel_index(where.voxels, where.grid.shape)[0] >= SHAPE[0] // 2).astype(float)
    levels = ["(Intercept)"] if group is None else sorted(studies[group].unique())
    code = np.zeros(M, dtype=np.intp) if group is None else np.array([levels.index(v) for v in studies[group]])
    voxel, analysis = [], []
    for i in range(M):
        shift = different * (code[i] == 1) * half
        shift = shift if effect is None else shift + different * studies[effect].iloc[i] * half
        p = np.exp(base + shift)
        mean = per * (rng.gamma(1 / alpha, alpha) if alpha else 1.0)
        for _ in range(rng.poisson(mean / clump)):
            at = rng.choice(len(p), p=p / p.sum())
            near = np.abs(_xyz(where) - _xyz(where)[at]).max(axis=1) <= 1
            drawn = np.r_[at, rng.choice(np.flatnonzero(near), clump - 1)]
            voxel += drawn.tolist()
            analysis += [i] * clump
    located = Located(_xyz(where)[voxel] * 2.0, np.asarray(voxel, dtype=np.intp), np.asarray(analysis, dtype=np.intp))
    table = studies.assign(analysis=studies.groupby("study").cumcount().astype(str), foci=0.0)
    design = model_matrix(formula, table)
    kept = [j for j, name in enumerate(design.names) if name != "(Intercept)"]
    design = replace(
        design, matrix=design.matrix[:, kept], names=tuple(design.names[j] for j in kept), offset=np.zeros(M)
    )
    L, maps = (code[:, None] == np.arange(len(levels))).astype(float), list(levels)
    if effect is not None:
        L, maps = np.column_stack([L, studies[effect]]), [*maps, effect]
    rows = np.eye(len(levels), len(maps))
    foci = Foci(
        pd.DataFrame(
            {"study": table["study"].to_numpy()[analysis], "analysis": table["analysis"].to_numpy()[analysis]}
        ).assign(**dict(zip("xyz", located.points.T, strict=True))),
        table.drop(columns="foci"),
    )
    request = FociRequest(
        as_foci_family(family), Splines(), design, L, tuple(maps), dict(zip(levels, rows, strict=True)), code,
        np.asarray(pd.factorize(studies["study"])[0], dtype=np.intp), foci, located, where,
    )  # fmt: skip
    return fit_of(request, X)


def _xyz(where: Brain) -> np.ndarray:
    return np.stack(np.unravel_index(where.voxels, where.grid.shape), axis=1)


def studies(n: int, groups: str = "ab", seed: int = 1) -> pd.DataFrame:
    """A table of n studies in equal groups, with a number z."""
    return pd.DataFrame(
        {
            "study": [f"study {i}" for i in range(n)],
            "group": [groups[i % len(groups)] for i in range(n)],
            "z": np.random.default_rng(seed).normal(size=n),
        }
    )
