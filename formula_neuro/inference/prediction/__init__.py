"""Rows, used or new, seen through the model: means, limits, residuals, new responses."""
