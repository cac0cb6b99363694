"""A meta-regression of foci in words, tables, pictures and one page."""

from __future__ import annotations
