"""Maps written to files, as each program expects them."""

from __future__ import annotations
