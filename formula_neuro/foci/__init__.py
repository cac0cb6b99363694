"""Foci of published analyses: data, the request of a meta-regression, its fit, and what that answers."""
