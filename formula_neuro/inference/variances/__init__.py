"""Tests of variances, and what share of the response's variance is explained."""
