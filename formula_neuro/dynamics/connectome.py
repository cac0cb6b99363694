"""Who is connected to whom, how strongly and over what distance: a value that checks itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from .connectome_checks import (
    HEAVY,
    checked_coordinates,
    checked_names,
    distances,
    labels,
    odd,
    some,
    square,
    without_diagonal,
)


@dataclass(frozen=True, eq=False)
class Connectome:
    """Weights between N nodes with the lengths or delays of their tracts.

    weights (N, N): the strength from node j (column) to node i (row), of about 1 or less; for a matrix of rows to
        columns give weights.T. The diagonal is dropped: a node's own delayed feedback belongs to the model.
    lengths_mm (N, N): of the tracts; the model's signalV, mm/ms, makes delays of them. Or delays_ms: one, or (N, N).
    names: of the nodes. coordinates (N, 3): their places, MNI mm; of an image of labels nilearn's
        find_parcellation_cut_coords gives them. What was found odd is in `messages`. Raises DataError.

    >>> c = Connectome([[0, 0.2], [0.5, 0]], lengths_mm=[[0, 40], [40, 0]], names=["left", "right"])
    >>> c
    Connectome of 2 nodes, 2 of 2 connections, tracts of 40 to 40 mm
    >>> c.delays(signalV=20, dt=0.1)
    array([[ 0, 20],
           [20,  0]])
    """

    weights: Any
    lengths_mm: Any = None
    delays_ms: Any = None
    names: Sequence[str] = ()
    coordinates: Any = None
    messages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        notes: list[str] = []
        weights = without_diagonal(square(self.weights, "weights"), "weights", notes)
        n = len(weights)
        if self.lengths_mm is not None and self.delays_ms is not None:
            raise DataError("lengths_mm and delays_ms are both given; the delays follow from either, so give one")
        names = checked_names(self.names if len(self.names) else labels(self.weights), n)
        fields = {
            "weights": weights,
            "lengths_mm": distances(self.lengths_mm, n, "lengths_mm", notes),
            "delays_ms": distances(self.delays_ms, n, "delays_ms", notes),
            "names": names,
            "coordinates": checked_coordinates(self.coordinates, n),
            "messages": tuple(dict.fromkeys([*self.messages, *notes, *odd(weights, names)])),
        }
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(self.weights)

    def delays(self, signalV: float = 20.0, dt: float = 0.1) -> NDArray[np.int64]:
        """Whole steps of dt, ms, that a signal takes from column j to row i; all 0 where signalV, mm/ms, is 0 or less.

        Raises DataError where neither lengths nor delays are known.
        """
        if signalV <= 0:
            return np.zeros((self.nodes, self.nodes), dtype=np.int64)
        if self.delays_ms is not None:
            took = self.delays_ms
        elif self.lengths_mm is not None:
            took = self.lengths_mm / signalV
        else:
            raise DataError(
                "the connectome has weights but no lengths of tracts; give lengths_mm= or delays_ms=, or turn delays "
                "off by params={'signalV': 0}"
            )
        return np.rint(took / dt).astype(np.int64)

    def select(self, nodes: Sequence[str] | Sequence[int] | NDArray[Any]) -> Connectome:
        """The connectome of these nodes, by name or number, in this order. Raises DataError."""
        at = np.array([self._place(node) for node in nodes], dtype=np.intp)
        pair = np.ix_(at, at)
        return Connectome(
            self.weights[pair],
            None if self.lengths_mm is None else self.lengths_mm[pair],
            None if self.delays_ms is None else self.delays_ms[pair],
            [self.names[i] for i in at],
            None if self.coordinates is None else self.coordinates[at],
        )

    def normalize(self, counts: Any = None) -> Connectome:
        """Weights divided by the largest, or column by column by `counts` (N,): streamlines or voxels of the source.

        Raises DataError.
        """
        divisor = np.asarray(self.weights.max() if counts is None else counts, dtype=np.float64)
        if divisor.shape not in ((), (self.nodes,)) or not (np.isfinite(divisor) & (divisor > 0)).all():
            raise DataError(
                f"weights of {self.nodes} nodes cannot be divided by {divisor}; numbers above 0 are expected"
            )
        kept = tuple(message for message in self.messages if HEAVY not in message)
        return replace(self, weights=self.weights / divisor, messages=kept)

    def _place(self, node: Any) -> int:
        if isinstance(node, (bool, np.bool_)):
            raise DataError("nodes are selected by name or number; of a mask take np.flatnonzero(mask)")
        if not isinstance(node, str):
            if not -self.nodes <= int(node) < self.nodes:
                raise DataError(f"there is no node number {node}; there are {self.nodes}, from 0")
            return int(node)
        if node not in self.names:
            raise DataError(f"no node is named {node!r}; there are {some(self.names)}")
        return list(self.names).index(node)

    def to_frame(self) -> pd.DataFrame:
        """A row a connection of a weight other than 0: source, target, weight, length_mm or delay_ms where known."""
        i, j = np.nonzero(self.weights)
        names = np.array(self.names, dtype=object)
        table = {"source": names[j], "target": names[i], "weight": self.weights[i, j]}
        if self.lengths_mm is not None:
            table["length_mm"] = self.lengths_mm[i, j]
        if self.delays_ms is not None:
            table["delay_ms"] = self.delays_ms[i, j]
        return pd.DataFrame(table)

    def plot(self) -> Any:
        """Weights (logarithmic) and lengths or delays as matrices: a matplotlib Figure."""
        from .pictures import connectome_picture

        return connectome_picture(self)

    @staticmethod
    def read(
        weights: str | Path,
        lengths_mm: str | Path | None = None,
        *,
        delays_ms: str | Path | None = None,
        names: Sequence[str] = (),
        coordinates: Any = None,
        key: str | Sequence[str] | None = None,
    ) -> Connectome:
        """Matrices in .csv, .tsv, .txt, .npy, .npz or .mat files; names from the header where there is one.

        key: which matrix of an .npz or .mat file, where it holds several; of a file that holds the lengths too, both,
            as Connectome.read("brain.mat", "brain.mat", key=("SC", "lengths")). Raises DataError, FileNotFoundError.
        """
        from .connectome_files import read_connectome

        return read_connectome(weights, lengths_mm, delays_ms, names, coordinates, key)

    @staticmethod
    def simulate(n: int = 80, seed: int = 1) -> Connectome:
        """A made-up connectome of n areas in two hemispheres, for examples and tests; no real brain's data.

        >>> Connectome.simulate(8).names[:4]
        ('Area1_L', 'Area1_R', 'Area2_L', 'Area2_R')
        """
        from .made_up import made_up

        return made_up(n, seed)

    def __repr__(self) -> str:
        n, m = self.nodes, np.count_nonzero(self.weights)
        known, unit = (self.lengths_mm, "mm") if self.lengths_mm is not None else (self.delays_ms, "ms")
        told = "delays unknown"
        if known is not None:
            apart = known[~np.eye(n, dtype=bool)] if n > 1 else np.zeros(1)
            told = f"{'tracts' if unit == 'mm' else 'delays'} of {apart.min():.4g} to {apart.max():.4g} {unit}"
        return f"Connectome of {n} nodes, {m} of {n * (n - 1)} connections, {told}"
