"""Text that reads well at a prompt."""

from __future__ import annotations


class Summary(str):
    """A text that shows itself unquoted, so that `m.summary()` reads well at a prompt."""

    def __repr__(self) -> str:
        return str(self)
