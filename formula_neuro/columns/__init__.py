"""The columns of a model matrix: coded, named and made again for new data by R's rules."""
