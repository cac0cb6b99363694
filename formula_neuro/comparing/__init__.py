"""Two fits of one request beside one another: numbers, tests, and how far two right answers may lie apart."""
