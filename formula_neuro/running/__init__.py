"""Long work in pieces: here, in processes or on a cluster, with a bar, and kept where it was finished."""

from __future__ import annotations
