"""Generalized estimating equations."""
