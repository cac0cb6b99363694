"""The known name that somebody probably meant, and what an error says of a word that is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def not_known(what: str, given: object, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """What an error says of an argument's word that is none of those known; `elsewhere` has other programs' words.

    >>> not_known("df", "Kenward", ["satterthwaite", "kenward-roger"])
    "df='Kenward' is not known; there are satterthwaite, kenward-roger; did you mean 'kenward-roger'?"
    """
    words = list(known)
    meant = (elsewhere or {}).get(str(given).casefold()) or nearest(str(given), words)
    hint = f"; did you mean {meant!r}?" if meant else ""
    return f"{what}={given!r} is not known; there are {', '.join(words)}{hint}"
