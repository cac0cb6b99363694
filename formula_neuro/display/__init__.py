"""What a person reads and looks at: summaries, figures, reports, and the words in them."""
