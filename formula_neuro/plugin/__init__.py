"""What plugins hand in, and how they are loaded."""
