"""Small symmetric positive definite matrices, many at once, by their lower triangles (P (P + 1) / 2, U), row by row.

A library's batched factorisation calls a routine for every matrix; here every entry is one operation on all of them.
"""

from __future__ import annotations

from typing import Any

Tensor = Any  # torch's own types are not read


def place(i: int, j: int) -> int:
    """Where the entry i >= j lies.

    >>> [place(i, j) for i in range(3) for j in range(i + 1)]
    [0, 1, 2, 3, 4, 5]
    """
    return i * (i + 1) // 2 + j


def factor(H: Tensor, P: int) -> Tensor:
    """The lower triangles of L with L L' = H."""
    L = H.clone()
    for j in range(P):
        for k in range(j):
            for i in range(j, P):
                L[place(i, j)].addcmul_(L[place(i, k)], L[place(j, k)], value=-1.0)
        root = L[place(j, j)].sqrt_()
        for i in range(j + 1, P):
            L[place(i, j)].div_(root)
    return L


def forward(L: Tensor, x: Tensor) -> Tensor:
    """L^-1 x of vectors x (P, U)."""
    y, P = x.clone(), len(x)
    for i in range(P):
        for k in range(i):
            y[i].addcmul_(L[place(i, k)], y[k], value=-1.0)
        y[i].div_(L[place(i, i)])
    return y


def backward(L: Tensor, x: Tensor) -> Tensor:
    """L'^-1 x of vectors x (P, U)."""
    y, P = x.clone(), len(x)
    for i in reversed(range(P)):
        for k in range(i + 1, P):
            y[i].addcmul_(L[place(k, i)], y[k], value=-1.0)
        y[i].div_(L[place(i, i)])
    return y


def upper_times(L: Tensor, x: Tensor) -> Tensor:
    """L' x of vectors x (P, U)."""
    y, P = x.clone(), len(x)
    for i in range(P):
        y[i].mul_(L[place(i, i)])
        for k in range(i + 1, P):
            y[i].addcmul_(L[place(k, i)], x[k])
    return y


def log_diagonal(L: Tensor, P: int) -> Tensor:
    """log det L, (U,)."""
    return sum(L[place(i, i)].log() for i in range(P))
