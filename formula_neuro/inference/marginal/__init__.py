"""Estimated marginal means, contrasts among them, and p values for several tests at once."""
