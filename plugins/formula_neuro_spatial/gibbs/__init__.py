"""Gibbs sampling of the spatial model: exact but for Monte Carlo error."""
