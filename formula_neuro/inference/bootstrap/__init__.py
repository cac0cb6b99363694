"""Replicates of a fit, and what their distribution says: tests of nested models, intervals of parameters."""
