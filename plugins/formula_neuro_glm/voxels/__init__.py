"""Generalized linear models in every voxel, batched over voxels that share one design."""
