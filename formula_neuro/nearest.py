"""The known name that somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known name that is given but for case, or that begins with it, or that is spelt nearly so; None for none.

    >>> nearest("dose", ["mouse", "dose (mg)"]), nearest("binom", ["nbinom2", "binomial"]), nearest("lik", ["lick"])
    ('dose (mg)', 'binomial', 'lick')
    """
    names = {name.casefold(): name for name in known}
    low = given.casefold()
    longer = [name for name in names if name.startswith(low)] if len(low) > 2 else []
    close = get_close_matches(low, names, n=1)
    found = low if low in names else min(longer, key=len) if longer else close[0] if close else None
    return None if found is None else names[found]
