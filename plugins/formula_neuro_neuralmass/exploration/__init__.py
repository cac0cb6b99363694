"""Many runs of one model as a table."""

from __future__ import annotations
