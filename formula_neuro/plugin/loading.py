"""Loading plugins one by one: one that fails, or clashes with another, is kept as its reason and harms nobody else."""

from __future__ import annotations

import importlib.metadata
import keyword
from collections.abc import Iterable
from typing import Any

import pluggy

from .records import GROUP, Backend, Hooks, Plugin, Task

# Names that the package itself uses: a task of the same name would hide them.
RESERVED = frozenset({"fit", "backends", "tasks", "doctor", "demo", "registry", "design", "formula", "result"})


def load_plugins(points: Iterable[importlib.metadata.EntryPoint]) -> tuple[Plugin, ...]:
    """The plugins of entry points, one by one: what fails is kept as a row and harms nobody else."""
    seen: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for point in points:
        known = seen.setdefault(point.name, [])
        if not any((p.value, _dist(p)) == (point.value, _dist(point)) for p in known):
            known.append(point)
    plugins = [_load_one(same) for _, same in sorted(seen.items())]
    return _without_duplicates(plugins)


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
