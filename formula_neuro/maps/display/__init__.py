"""A fit in every voxel in words, tables, pictures and one page."""

from __future__ import annotations
