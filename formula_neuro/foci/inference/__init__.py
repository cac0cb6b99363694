"""Questions to a fitted meta-regression: homogeneity, contrasts, permutation, nested models, influence of studies."""
