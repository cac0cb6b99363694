"""Questions to a finished fit: coefficients, random effects, comparisons and contrasts."""
