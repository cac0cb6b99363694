"""The commands of `formula-neuro`, one a file: they run the package's verbs and print their answers."""
