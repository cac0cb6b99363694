"""A proof that responses overlap, from the scores of any fit (Stiemke's lemma).

With u the rows' scores, right in sign but not in sum, and M = X'diag|u|X, the weights u - |u| X M^-1 X'u sum to 0 with
X. Where none of them has changed its sign, no direction separates, so that maximum likelihood is finite.
"""

from __future__ import annotations

import torch

from formula_neuro.kernels.torch_links import Tensor, rows

from .score import Work, inverse, linear_predictor, log_rows
from .shared import Shared

SURE = 0.999  # short of 1, where a weight vanishes


def assessed(shared: Shared, b: Tensor, Qt: Tensor, S: Tensor, work: Work) -> tuple[Tensor, Tensor]:
    """At eta = b Qt (+ offset), with Qt (., n) in any basis: the log-likelihoods (C,) of successes S (C, n) without
    what depends on these alone, and whether the scores prove that the responses overlap, (C,)."""
    C, n = S.shape
    flat = torch.zeros((C, int(shared.XX.shape[1])), dtype=b.dtype, device=b.device)
    f, level = torch.zeros((C, shared.rank), dtype=b.dtype, device=b.device), torch.zeros_like(b[:, 0])
    for here, (e, *abc, out) in work.tiles(C, n):
        eta, T = linear_predictor(shared, b, Qt, here, e, True), None if shared.T is None else shared.T[here]
        mu, q, W = rows(shared.family, shared.link, eta, (abc[0], abc[1], abc[2]))
        successes = out.copy_(S[:, here])
        u, size = _weights(shared, successes, mu, T, W)
        level += log_rows(shared, eta, mu, successes, T)
        f.addmm_(u if q is None else u.mul_(q), shared.Q[here])
        flat.addmm_(torch.abs(u, out=e) if size is None else size if q is None else size.mul_(q), shared.XX[here])
    V, fine = inverse(shared.square(flat))
    c, largest = torch.bmm(V, f[:, :, None])[:, :, 0], torch.zeros_like(b[:, 0])
    for here, (change, *_) in work.tiles(C, n):
        torch.mm(c, shared.Qt[:, here], out=change).abs_()
        free = _free(shared, S[:, here], None if shared.T is None else shared.T[here])
        torch.maximum(largest, (change if free is None else change.masked_fill_(free, 0.0)).amax(dim=1), out=largest)
    return level, fine & (largest < SURE)


def _weights(shared: Shared, S: Tensor, mu: Tensor, T: Tensor | None, out: Tensor) -> tuple[Tensor, Tensor | None]:
    """u = S - T mu in `out`, and |u| summed over the trials; None where that is |u| itself."""
    torch.sub(S, mu if T is None else mu * T, out=out)
    if shared.family == "poisson":
        return out, mu.clone() if T is None else mu * T
    return out, None if T is None else S + mu * (T - 2 * S)


def _free(shared: Shared, S: Tensor, T: Tensor | None) -> Tensor | None:
    """Where weights may have any sign: a limit of the mean at one side alone; None where nowhere."""
    if shared.family == "poisson":
        return S > 0
    return (1 if T is None else T) == S if shared.link == "log" else None
