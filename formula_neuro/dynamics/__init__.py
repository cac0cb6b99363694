"""Models of population activity as values: what a plugin simulates, and what users hand to it."""
