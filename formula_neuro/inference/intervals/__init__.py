"""Confidence intervals of parameters, and the restricted fits behind profiles and tests."""
