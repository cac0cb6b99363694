"""The errors that a user may want to catch; each says what was seen, what was expected and what to do."""

from __future__ import annotations

import unicodedata


class FormulaError(ValueError):
    """A formula that cannot be read, with a caret under the place where reading stopped.

    >>> print(FormulaError("a bar needs a group on its right", "y ~ (1|)", 7))
    a bar needs a group on its right
      y ~ (1|)
             ^
    """

    def __init__(self, message: str, text: str = "", position: int | None = None):
        self.message, self.text, self.position = message, text, position
        shown = message
        if text and position is not None:
            line, column = _line(text, position)
            shown += f"\n  {line}\n  {' ' * column}^"
        super().__init__(shown)

    def __reduce__(self) -> tuple[type[FormulaError], tuple[str, str, int | None]]:
        return type(self), (self.message, self.text, self.position)


def _line(text: str, position: int, around: int = 50) -> tuple[str, int]:
    """The line of the text that holds the position, cut to what fits a screen, and the column of the caret there."""
    start = text.rfind("\n", 0, position) + 1
    line, at = text[start:].partition("\n")[0].replace("\t", " "), position - start
    if len(line) > 2 * around + 20:
        first = max(0, at - around)
        tail = " ..." if first + 2 * around < len(line) else ""
        line, at = line[first : first + 2 * around] + tail, at - first
        if first:
            line, at = f"... {line}", at + 4
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in line[:at])
    return line, at + wide


class DataError(ValueError):
    """Data that the formula or the family cannot take."""


class ImageError(DataError):
    """A brain image that cannot be used: its file, its grid or its values."""


class NewLevels(DataError):
    """New data has a level that did not occur when the model was fitted."""


class NoBackend(LookupError):
    """No backend, or not the one asked for, can fit the request; one line a backend says why."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class FitError(ArithmeticError):
    """A fit that cannot be finished: what went wrong numerically, and what may help."""


class Unable(TypeError):
    """The fit has not the ability that was asked of it."""


class RMissing(ImportError):
    """R, rpy2 or an R package is missing; the message holds the command that installs it."""


class RFailed(RuntimeError):
    """R ran and stopped with an error; the message is R's own."""


def __dir__() -> list[str]:
    return [name for name, value in globals().items() if isinstance(value, type)]
