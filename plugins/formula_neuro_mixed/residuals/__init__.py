"""Residual structures of linear mixed models: unequal spread and correlation in time."""
