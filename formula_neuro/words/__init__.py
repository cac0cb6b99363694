"""What a formula may say about columns: the listed transforms and what each does to values."""
