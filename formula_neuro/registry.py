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
import importlib.util
import keyword
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from .errors import NoBackend

if TYPE_CHECKING:
    import pandas as pd

    from .request import Request
    from .result import Fit

GROUP = "formula_neuro"
API = 1
# Names that the package itself uses: a task of the same name would hide them.
RESERVED = frozenset({"fit", "backends", "tasks", "doctor", "demo", "registry", "design", "formula", "result"})

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """The two questions that a plugin may answer."""

    @hookspec
    def formula_neuro_backends(self) -> list[Backend]:  # type: ignore[empty-body]
        """The backends that this plugin offers."""

    @hookspec
    def formula_neuro_tasks(self) -> list[Task]:  # type: ignore[empty-body]
        """The tasks (verbs that are not fits) that this plugin offers."""


@dataclass(frozen=True)
class Backend:
    """What one backend can fit and what it needs; `target` is imported only when it is chosen.

    `target` is "module:function", a function from a Request to a Fit. `requires` are top-level
    module names that are looked up, never imported; `extra` is the pip extra that brings them.
    Of the backends that do not refuse, the highest `rank` is chosen, then the first name.
    """

    name: str
    models: frozenset[str]
    families: frozenset[str]
    estimators: frozenset[str]
    target: str
    requires: tuple[str, ...] = ()
    extra: str = ""
    structures: frozenset[str] = frozenset({"us"})
    residuals: frozenset[str] = frozenset()  # residual structures, "VarIdent", "AR1"
    spatial: bool = False  # takes s(...), terms with a map of their own
    max_random: int | None = None
    rank: int = 0
    language: str = "python"
    requires_api: int = API
    help: str = ""

    def __post_init__(self) -> None:
        for field in ("models", "families", "estimators", "structures", "residuals"):
            object.__setattr__(self, field, frozenset(getattr(self, field)))

    def unready(self) -> str | None:
        """Why this backend cannot run on this machine, or None."""
        if self.requires_api != API:
            return f"is written for plugin API {self.requires_api}, this is {API}"
        missing = [name for name in self.requires if not _installed(name)]
        if not missing:
            return None
        remedy = f': pip install "formula-neuro[{self.extra}]"' if self.extra else ""
        return f"needs {', '.join(missing)}{remedy}"

    def refuses(self, request: Request) -> str | None:
        """Why this backend does not take the request, in words, or None when it does."""
        family, word = request.family.name, request.estimator.word
        if request.model not in self.models:
            return f"fits {', '.join(sorted(self.models))}, not {request.model}"
        if family not in self.families:
            return f"has no {family} family (has {', '.join(sorted(self.families))})"
        if word not in self.estimators:
            return f"does not know estimator {word!r} (knows {', '.join(sorted(self.estimators))})"
        unknown = sorted(request.residuals - self.residuals)
        if unknown:
            return f"has no {unknown[0]} of residuals (has {', '.join(sorted(self.residuals)) or 'no such structure'})"
        if request.spatial and not self.spatial:
            return "has no s(...): it marks terms with a map of their own, and this backend makes no maps"
        strange = sorted(request.structures - self.structures)
        if strange:
            named = strange[0] if "(" in strange[0] else f"{strange[0]}(...)"
            return f"has no {named} covariance structure (has {', '.join(sorted(self.structures))})"
        if self.max_random is not None and request.n_random > self.max_random:
            return f"takes at most {self.max_random} random terms, not {request.n_random}"
        return self.unready()


@dataclass(frozen=True)
class Task:
    """A verb that is not a fit; it is served as an attribute of the package and as a subcommand."""

    name: str
    target: str
    help: str


@dataclass(frozen=True)
class Plugin:
    """One installed plugin: its records, or the reason why it could not be loaded."""

    name: str
    version: str
    backends: tuple[Backend, ...] = ()
    tasks: tuple[Task, ...] = ()
    failure: str = ""


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

    def choose(self, request: Request, name: str | None = None, language: str | None = None) -> Backend:
        """The backend that takes the request; an explicit name never falls back to another.

        Raises NoBackend with one line a backend when none can, or with the reason when the named one cannot.
        """
        if name is not None:
            return self._named(name, request)
        able = [b for b in self.backends if language in (None, b.language)]
        for b in sorted(able, key=lambda b: (-b.rank, b.name)):
            if b.refuses(request) is None:
                return b
        lines = [f"  {b.name}: {b.refuses(request)}" for b in able]
        lines += [f"  {p.name}: could not be loaded: {p.failure}" for p in self.failures]
        raise NoBackend("\n".join([f"no backend can fit {request.describe()}", *(lines or ["  none is installed"])]))

    def _named(self, name: str, request: Request) -> Backend:
        for backend in self.backends:
            if backend.name == name:
                reason = backend.refuses(request)
                if reason is not None:
                    raise NoBackend(f"backend={name!r} cannot fit {request.describe()}: {reason}")
                return backend
        about = [f"; {p.name} could not be loaded: {p.failure}" for p in self.failures]
        known = ", ".join(sorted(b.name for b in self.backends))
        raise NoBackend(f"backend={name!r} is not known; there are {known}{''.join(about)}")


# ---- loading -------------------------------------------------------------------------------------
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
    """A registry from entry points, one by one: what fails is kept as a row and harms nobody else."""
    seen: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for point in points:
        known = seen.setdefault(point.name, [])
        if not any((p.value, _dist(p)) == (point.value, _dist(point)) for p in known):
            known.append(point)
    plugins = [_load_one(same) for _, same in sorted(seen.items())]
    return Registry(_without_duplicates(plugins))


def _load_one(points: list[importlib.metadata.EntryPoint]) -> Plugin:
    point = points[0]
    if len(points) > 1:
        owners = " and ".join(sorted(_dist(p) for p in points))
        return Plugin(point.name, "", failure=f"{owners} both bring a plugin of this name; uninstall one")
    version = point.dist.version if point.dist is not None else ""
    try:
        module = point.load()
        backends, tasks = _collect(point.name, module)
    except Exception as error:  # a plugin may fail in any way; it must not take the others along
        return Plugin(point.name, version, failure=f"{type(error).__name__}: {error}")
    return Plugin(point.name, version, backends, tasks)


def _collect(name: str, module: Any) -> tuple[tuple[Backend, ...], tuple[Task, ...]]:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    manager.register(module, name)
    manager.check_pending()  # without it a misspelled hook passes unnoticed
    hooks = manager.hook
    backends = _records(hooks.formula_neuro_backends.get_hookimpls(), Backend)
    tasks = _records(hooks.formula_neuro_tasks.get_hookimpls(), Task)
    if not backends and not tasks:
        raise TypeError("offers no backend and no task: are its functions marked with hookimpl?")
    for task in tasks:
        if not task.name.isidentifier() or keyword.iskeyword(task.name) or task.name.startswith("_"):
            raise ValueError(f"task {task.name!r} is not a Python identifier")
        if task.name in RESERVED:
            raise ValueError(f"task {task.name!r} would hide a name of formula_neuro")
    return backends, tasks


def _records(impls: Iterable[Any], kind: type[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for impl in impls:
        answer = impl.function()
        if not isinstance(answer, (list, tuple)):
            raise TypeError(f"a list of {kind.__name__} was expected, got {answer!r}")
        for item in answer:
            if not isinstance(item, kind):
                raise TypeError(f"a {kind.__name__} was expected, got {item!r}")
        found.extend(answer)
    return tuple(found)


def _without_duplicates(plugins: list[Plugin]) -> tuple[Plugin, ...]:
    """Of two records of one name neither is served: which one ran must never depend on an order."""
    owners: dict[str, list[str]] = {}
    for plugin in plugins:
        for name in [b.name for b in plugin.backends] + [t.name for t in plugin.tasks]:
            owners.setdefault(name, []).append(plugin.name)
    clashes = {name: who for name, who in owners.items() if len(who) > 1}
    kept = [
        Plugin(
            p.name,
            p.version,
            tuple(b for b in p.backends if b.name not in clashes),
            tuple(t for t in p.tasks if t.name not in clashes),
            p.failure,
        )
        for p in plugins
    ]
    for name, who in clashes.items():
        kept.append(Plugin(name, "", failure=f"the plugins {' and '.join(who)} both offer {name!r}; neither is served"))
    return tuple(kept)


def _dist(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _installed(module: str) -> bool:
    """Whether a top-level module can be imported, found without importing it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is not None:
        return spec is not None
    try:  # no origin: an empty folder on the path, or a namespace package such as rpy2's
        importlib.metadata.distribution(module)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def resolve(target: str) -> Callable[..., Any]:
    """The function that "module:function" names, imported now."""
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def run(backend: Backend, request: Request) -> Fit:
    """Import the backend's target and fit."""
    fit: Fit = resolve(backend.target)(request)
    return fit


# ---- tables for people ---------------------------------------------------------------------------
def backends() -> pd.DataFrame:
    """All backends with what they fit, whether they are ready here, and why not.

    Columns: name, models, families, estimators, language, ready, why_not, plugin, version, help.

    >>> import formula_neuro as fn
    >>> fn.backends().set_index("name").loc["native-lm", ["models", "estimators"]].tolist()
    ['lm', 'ml']
    """
    import pandas as pd

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
    return pd.DataFrame(rows, columns=columns)


def tasks() -> pd.DataFrame:
    """All tasks, the verbs that plugins add: a table of name, help, plugin; each is served as fn.<name> too.

    >>> import formula_neuro as fn
    >>> list(fn.tasks().columns)
    ['name', 'help', 'plugin']
    """
    import pandas as pd

    rows = [[t.name, t.help, p.name] for p in installed().plugins for t in p.tasks]
    return pd.DataFrame(rows, columns=["name", "help", "plugin"])
