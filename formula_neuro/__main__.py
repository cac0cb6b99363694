"""`python -m formula_neuro` is the command line."""

from __future__ import annotations

from .cli import app

if __name__ == "__main__":
    app(prog_name="formula-neuro")
