"""Small numerical files that several plugins share; only plugins import them."""
