"""Tests and thresholds over the brain, from the maps of a fit."""

from __future__ import annotations
