"""Mixed models by dense matrices, slowly: what the other paths are tested against."""
