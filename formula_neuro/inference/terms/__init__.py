"""Tests of a model's terms: anova() and drop1()."""
