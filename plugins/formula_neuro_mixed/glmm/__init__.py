"""Generalized linear mixed models by structure, with exact derivatives of all parameters."""
