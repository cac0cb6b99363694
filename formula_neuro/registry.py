"""Who can fit what: plugins hand in small records, the core chooses, and only then imports.

A plugin is a module with an entry point in the group `formula_neuro` and one or two functions marked
with `hookimpl`:

    from formula_neuro.registry import Backend, hookimpl

    @hookimpl
    def formula_neuro_backends():
        return [Backend(name="mylab", models={"lm"}, families={"gaussian"}, estimators={"ml"},
                        target="mylab.lm:fit", help="our own least squares")]

A plugin that cannot be loaded becomes a row of `formula_neuro.backends()`, never a crash.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from .errors import NoBackend
from .nearest import nearest
from .plugin.loading import load_plugins
from .plugin.records import API, GROUP, Backend, Hooks, Plugin, Task, hookimpl, hookspec

if TYPE_CHECKING:
    import pandas as pd

    from .foci.fit import FociFit
    from .foci.request import FociRequest
    from .maps.fit import MapFit
    from .maps.request import MapRequest
    from .request import Request
    from .result import Fit

    AnyRequest: TypeAlias = Request | MapRequest | FociRequest

__all__ = [
    "API", "GROUP", "Backend", "Hooks", "Plugin", "Registry", "Task",
    "backends", "hookimpl", "hookspec", "installed", "load", "resolve", "run", "tasks",
]  # fmt: skip


@dataclass(frozen=True)
class Registry:
    """All plugins of this process, and the choice among their backends."""

    plugins: tuple[Plugin, ...]

    @property
    def backends(self) -> tuple[Backend, ...]:
        return tuple(b for plugin in self.plugins for b in plugin.backends)

    @property
    def tasks(self) -> tuple[Task, ...]:
        return tuple(t for plugin in self.plugins for t in plugin.tasks)

    @property
    def failures(self) -> tuple[Plugin, ...]:
        return tuple(plugin for plugin in self.plugins if plugin.failure)

    def choose(
        self, request: Request | MapRequest | FociRequest, name: str | None = None, language: str | None = None
    ) -> Backend:
        """The backend that takes the request; an explicit name never falls back to another.

        Raises NoBackend with one line a backend when none can, or with the reason when the named one cannot.
        """
        if name is not None:
            return self._named(name, request)
        kind = (request.of_images, getattr(request, "of_foci", False))
        able = [b for b in self.backends if language in (None, b.language) and (b.images, b.foci) == kind]
        for b in sorted(able, key=lambda b: (-b.rank, b.name)):
            if _refusal(b, request) is None:
                return b
        near = [b for b in able if getattr(request, "model", None) in b.models] or able  # others fit another model
        asked = request.estimator.word
        if not any(asked in b.estimators for b in near):  # the estimator's own backends say why not they
            near += [b for b in able if asked in b.estimators]
        lines = [f"  {b.name}: {_refusal(b, request)}" for b in near]
        lines += [f"  {p.name}: could not be loaded: {p.failure}" for p in self.failures]
        raise NoBackend("\n".join([f"no backend can fit {request.describe()}", *(lines or ["  none is installed"])]))

    def _named(self, name: str, request: AnyRequest) -> Backend:
        for backend in self.backends:
            if backend.name == name:
                reason = _refusal(backend, request)
                if reason is not None:
                    raise NoBackend(f"backend={name!r} cannot fit {request.describe()}: {reason}")
                return backend
        about = [f"; {p.name} could not be loaded: {p.failure}" for p in self.failures]
        known = ", ".join(sorted(b.name for b in self.backends))
        near = nearest(name, [b.name for b in self.backends])
        hint = f"; did you mean {near}?" if near else ""
        raise NoBackend(f"backend={name!r} is not known; there are {known}{hint}{''.join(about)}")


def _refusal(backend: Backend, request: Any) -> str | None:
    """Why a backend does not take a request, of whichever kind; records answer for tables, images and foci alike."""
    return backend.refuses(request)


# ---- this process --------------------------------------------------------------------------------
@functools.cache
def installed() -> Registry:
    """The registry of the plugins installed here (read once a process).

    The environment variable FORMULA_NEURO_PLUGINS restricts it: "mixed,r" loads two, "" none.
    """
    allowed = os.environ.get("FORMULA_NEURO_PLUGINS")
    names = None if allowed is None else {name.strip() for name in allowed.split(",")}
    points = importlib.metadata.entry_points(group=GROUP)
    return load(point for point in points if names is None or point.name in names)


def load(points: Iterable[importlib.metadata.EntryPoint]) -> Registry:
    """The registry of these entry points."""
    return Registry(load_plugins(points))


def resolve(target: str) -> Callable[..., Any]:
    """The function that "module:function" names, imported now."""
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


@overload
def run(backend: Backend, request: Request) -> Fit: ...
@overload
def run(backend: Backend, request: MapRequest) -> MapFit: ...
@overload
def run(backend: Backend, request: FociRequest) -> FociFit: ...
def run(backend: Backend, request: AnyRequest) -> Fit | MapFit | FociFit:
    """Import the backend's target and fit."""
    fit: Fit | MapFit | FociFit = resolve(backend.target)(request)
    return fit


# ---- tables for people ---------------------------------------------------------------------------
def backends() -> pd.DataFrame:
    """All backends with what they fit, whether they are ready here, and why not.

    Columns: name, models, families, estimators, language, ready, why_not, plugin, version, help.

    >>> import formula_neuro as fn
    >>> fn.backends().set_index("name").loc["native-lm", ["models", "estimators"]].tolist()
    ['lm', 'ml']
    """
    from .display.listing import Listing

    rows = []
    for plugin in installed().plugins:
        for b in plugin.backends:
            why = b.unready()
            lists = [", ".join(sorted(values)) for values in (b.models, b.families, b.estimators)]
            rows.append([b.name, *lists, b.language, why is None, why or "", plugin.name, plugin.version, b.help])
        if plugin.failure:
            failure = f"could not be loaded: {plugin.failure}"
            rows.append([plugin.name, "", "", "", "", False, failure, plugin.name, plugin.version, ""])
    columns = "name models families estimators language ready why_not plugin version help".split()
    return Listing(rows, columns=columns)


def tasks() -> pd.DataFrame:
    """All tasks, the verbs that plugins add: a table of name, help, plugin; each is served as fn.<name> too.

    >>> import formula_neuro as fn
    >>> list(fn.tasks().columns)
    ['name', 'help', 'plugin']
    """
    from .display.listing import Listing

    rows = [[t.name, t.help, p.name] for p in installed().plugins for t in p.tasks]
    return Listing(rows, columns=["name", "help", "plugin"])
