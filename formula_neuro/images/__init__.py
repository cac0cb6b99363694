"""Brain images as data: a table with one image a row -> bits or numbers by voxel, checked, packed and kept on disk."""
