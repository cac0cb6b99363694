"""Mixed models in every voxel; what they share is made once a design, so a voxel costs little more than its data."""
