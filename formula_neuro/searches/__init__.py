"""How a likelihood's maximum is searched, again by other means, and which simpler model to turn to."""
