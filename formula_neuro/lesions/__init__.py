"""Lesion masks simulated from maps of their probability, and how well models find these maps again."""

from __future__ import annotations
