"""Where tensors live: the device that a user names, checked before any long work."""

from __future__ import annotations

import torch

from ..errors import DataError

CACHED = 80_000  # numbers an array on a processor: five of float64 stay in the cache between two operations
WIDE = 20_000_000  # numbers an array on a GPU: enough work for each launch


def as_device(name: str | None) -> torch.device:
    """The device of a name as "cpu", "cuda" or "cuda:1"; None is the processor.

    >>> as_device(None)
    device(type='cpu')
    """
    try:
        device = torch.device(name or "cpu")
    except RuntimeError as e:
        raise DataError(f"device={name!r} is not known; there are 'cpu' and 'cuda' (or 'cuda:1', ...)") from e
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DataError(
            f"device={name!r}, but torch {torch.__version__} finds no CUDA device here; leave device= out to run on "
            "the processor"
        )
    if device.type not in ("cpu", "cuda"):
        raise DataError(f"device={name!r} has no float64; there are 'cpu' and 'cuda'")
    return device


def elements(device: torch.device) -> int:
    """How many numbers an array of a fused pass should hold on the device."""
    return WIDE if device.type == "cuda" else CACHED
