"""A dictionary whose keys are attributes too."""

from __future__ import annotations

from typing import Any


class dotdict(dict[str, Any]):
    """d.key is d["key"].

    >>> d = dotdict(dt=0.1)
    >>> d.dt = 0.2
    >>> d["dt"]
    0.2
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r}; there are {', '.join(map(str, self))}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]
