"""Searches for parameters by evolution: adaptive, NSGA-II and CMA-ES."""

from __future__ import annotations
