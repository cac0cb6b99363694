"""The text of a formula: expressions, terms, bars and their algebra, before any data is seen."""
