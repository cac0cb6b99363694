"""What a user calls data, as models need it: a table, its variables, the rows that enter, and what is said of them."""
