"""Many responses of one mixed model at once, for the bootstrap."""
