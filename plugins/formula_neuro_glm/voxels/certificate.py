"""A proof that responses overlap, from the scores of any fit (Stiemke's lemma).

With u the rows' scores, right in sign but not in sum, and M = X'diag|u|X, the weights u - |u| X M^-1 X'u sum to 0 with
X. Where none of them has changed its sign, no direction separates, so that maximum likelihood is finite.
"""

from __future__ import annotations

import torch

from formula_neuro.kernels.torch_links import Tensor

from .score import inverse
from .shared import Shared

SURE = 0.999  # short of 1, where a weight vanishes


def overlaps(shared: Shared, S: Tensor, mu: Tensor, q: Tensor | None) -> Tensor:
    """(C,) whether successes S (C, n), with means mu and q, are proved to overlap."""
    rate = mu if shared.T is None else mu * shared.T
    u = S - rate
    if shared.family == "poisson":
        size, free = rate, S > 0
    else:
        size = u.abs() if shared.T is None else S * (1 - mu) + (shared.T - S) * mu
        trials = 1.0 if shared.T is None else shared.T
        free = (trials == S) if shared.link == "log" else None
    if q is not None:
        u, size = u * q, size * q
    V, fine = inverse(shared.square(size @ shared.XX))
    change = torch.bmm(V, (u @ shared.Q)[:, :, None])[:, :, 0] @ shared.Qt
    if free is not None:
        change.masked_fill_(free, 0.0)
    return fine & (change.abs().amax(dim=1) < SURE)
