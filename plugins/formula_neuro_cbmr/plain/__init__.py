"""Simple float64 versions that the fast ones are tested against: dense matrices of analyses, voxels and splines."""
