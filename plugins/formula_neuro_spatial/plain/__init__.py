"""Simple float64 versions that the fast ones are tested against: dense matrices and loops over voxels."""
