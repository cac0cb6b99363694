"""The coefficients of a chain with what is known at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from formula_neuro.family import Array

from .probit import Local
from .target import Target

Tensor = Any


@dataclass(frozen=True, eq=False)
class Field:
    """b (P, V) and the log-likelihood's value and derivatives at it; moves change both in place."""

    target: Target
    b: Tensor
    local: Local

    @classmethod
    def of(cls, target: Target, b: Array) -> Field:
        """Of coefficients b (V, P)."""
        there = torch.tensor(b.T, dtype=torch.float64, device=target.device).contiguous()
        return cls(target, there, target.at(there, torch.arange(len(b), device=target.device)))

    def copy(self) -> Field:
        return Field(self.target, self.b.clone(), Local(*(x.clone() for x in self.local.parts)))
