"""Models of images: one fit in every voxel, its maps, and what is written of them."""

from __future__ import annotations
