"""What a plugin hands in: small records of backends and tasks, and the hooks that ask for them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pluggy

from ..searches.search import USUAL

if TYPE_CHECKING:
    from ..maps.request import MapRequest
    from ..request import Request

GROUP = "formula_neuro"
API = 1
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
    optimizers: frozenset[str] = frozenset()  # that it searches with where asked to, "newton", "powell"
    spatial: bool = False  # takes s(...), terms with a map of their own
    images: bool = False  # fits a model in every voxel of a stack of images
    foci: bool = False  # fits foci of published analyses
    inflation: bool = False  # takes zero_inflation=
    max_random: int | None = None
    rank: int = 0
    language: str = "python"
    requires_api: int = API
    help: str = ""

    def __post_init__(self) -> None:
        for field in ("models", "families", "estimators", "structures", "residuals", "optimizers"):
            object.__setattr__(self, field, frozenset(getattr(self, field)))

    def unready(self) -> str | None:
        """Why this backend cannot run on this machine, or None."""
        if self.requires_api != API:
            return f"is written for plugin API {self.requires_api}, this is {API}"
        missing = [name for name in self.requires if not _installed(name)]
        if not missing:
            return None
        remedy = f': pip install "formula_neuro[{self.extra}]"' if self.extra else ""
        return f"needs {', '.join(missing)}{remedy}"

    def refuses(self, request: Request | MapRequest) -> str | None:
        """Why this backend does not take the request, in words, or None when it does."""
        family, word = request.family.name, request.estimator.word
        if self.foci != getattr(request, "of_foci", False):
            return "fits foci, not tables or images" if self.foci else "does not fit foci"
        if self.images != request.of_images:
            return "fits images, not tables" if self.images else "fits tables, not images"
        if request.model not in self.models:
            return f"fits {', '.join(sorted(self.models))}, not {request.model}"
        if family not in self.families:
            return f"has no {family} family (has {', '.join(sorted(self.families))})"
        if word not in self.estimators:
            return f"does not know estimator {word!r} (knows {', '.join(sorted(self.estimators))})"
        unknown = sorted(request.residuals - self.residuals)
        if unknown:
            return f"has no {unknown[0]} of residuals (has {', '.join(sorted(self.residuals)) or 'no such structure'})"
        if request.search != USUAL and request.search.optimizer not in self.optimizers:
            if not self.optimizers:
                return "takes no optimizer or start"
            return f"has no optimizer={request.search.optimizer!r} (has {', '.join(sorted(self.optimizers))})"
        if getattr(request, "inflation", None) is not None and not self.inflation:
            return "takes no zero inflation"
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
