"""Linear models in every voxel: closed form, two matrix products a block."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from formula_neuro.kernels.device import as_device

from .answer import Answer, filled, on_columns
from .design import Rows
from .estimates import UNDEFINED


def least_squares(rows: Rows, Y: NDArray[Any], device: str | None) -> Answer:
    """The answer for responses Y (C, n): coefficients, sigma and R's log-likelihood; NaN where a response is."""
    where, n = as_device(device), len(rows.w)
    root = np.sqrt(rows.w)
    Q = torch.as_tensor(rows.Q * root[:, None], device=where)
    inverse = np.linalg.inv(rows.Q.T @ (rows.Q * rows.w[:, None]))
    y = torch.as_tensor(Y, device=where).to(torch.float64) * torch.as_tensor(root, device=where)
    y -= torch.as_tensor(rows.offset * root, device=where)
    b = y @ Q @ torch.as_tensor(inverse, device=where)
    rss = np.asarray((y - b @ Q.T).square_().sum(dim=1).cpu())
    fine = np.isfinite(rss)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.sqrt(rss / (n - rows.rank)) if n > rows.rank else np.full(len(rss), np.nan)
        loglik = (np.log(rows.w).sum() - n * (np.log(2 * np.pi) + 1 - np.log(n) + np.log(rss))) / 2
    beta, V = on_columns(rows, np.asarray(b.cpu()), sigma[:, None, None] ** 2 * inverse)
    return {
        **filled(rows, beta, np.sqrt(np.diagonal(V, axis1=1, axis2=2)), V),
        "loglik": loglik,
        "deviance": rss,
        "sigma": sigma,
        "iterations": np.ones(len(rss), dtype=np.int32),
        "converged": fine,
        "class": np.where(fine, 0, UNDEFINED).astype(np.int8),
        "separated": np.zeros((len(rss), rows.columns), dtype=np.int8),
    }
