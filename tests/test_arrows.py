"""Who imports whom (DESIGN, section 2), read from the source, and what a bare import loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "formula_neuro"
EXTENSIONS = sorted(path for path in [*(ROOT / "plugins").iterdir(), *(ROOT / "r_bridge").iterdir()] if path.is_dir())
EXTENSIONS = [path for path in EXTENSIONS if path.name.startswith("formula_neuro_")]

HEAVY = {
    "pandas", "torch", "rpy2", "scipy", "nibabel", "matplotlib", "nilearn", "statsmodels", "formulaic",
    "numpy", "numba", "cma", "jinja2", "dask", "pyarrow",
}  # fmt: skip
RESULTS = [CORE / "result.py", *sorted((CORE / "images").glob("*.py")), *sorted((CORE / "inference").rglob("*.py"))]
LATE = {"torch", "nibabel", "rpy2", "matplotlib", "nilearn", "numba", "cma", "jinja2", "dask"}
LATE_IN_PLUGINS = {"nibabel", "matplotlib", "nilearn", "cma", "jinja2", "dask"}

# What rooms that know little may import of the core.
ROOMS = {
    "comparing": {"errors", "estimator", "family", "inference", "result"},  # finished fits: it makes none
    "dynamics": {"display", "errors", "family"},
    "measures": {"dynamics", "errors", "family"},
    "plugin": {"searches"},  # records are data
    "running": {"errors", "family"},
    "searches/search.py": set(),  # how to search, which a request says
    "stimuli": {"dynamics", "errors", "family"},
    "hrf.py": {"errors", "scalars"},
}

ABOVE = {
    "asking", "request", "registry", "plugin", "fitting", "refitting", "result", "inference", "comparing", "agreement",
    "searches",
}  # fmt: skip

# What a room, and all that it imports, must never reach: data <- columns <- design <- asking <- fitting -> registry.
FORBIDDEN = {
    "formula": {"data", "columns", "design"} | ABOVE,
    "data": {"design"} | ABOVE,
    "words": {"design"} | ABOVE,
    "columns": {"design"} | ABOVE,
    "design": ABOVE,
    "request": {"asking"} | ABOVE - {"request", "searches"},
    "asking": ABOVE - {"asking", "request", "searches"},
    "registry": {"formula", "data", "columns", "design"} | ABOVE - {"registry", "plugin", "searches"},
}


# ---- reading imports -----------------------------------------------------------------------------
def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def statements(nodes: list[ast.stmt], inside_functions: bool) -> Iterator[ast.stmt]:
    """All statements that run, blocks opened; those under `if TYPE_CHECKING` never do."""
    for node in nodes:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(node.orelse, inside_functions)
        elif inside_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from statements(getattr(node, field, []), inside_functions)


@cache
def imports(path: Path, root: Path, inside_functions: bool = True) -> frozenset[str]:
    """The full names of the modules that a file imports, `from . import x` as package.x."""
    package = module_name(path, root).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8")).body, inside_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return frozenset(found)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def core_imports(path: Path) -> set[Path]:
    """The files of formula_neuro that a file of it imports."""
    candidates = {module_name(other, ROOT): other for other in files(CORE)}
    return {candidates[name] for name in imports(path, ROOT) if name in candidates and name != "formula_neuro"}


def reached(path: Path) -> set[Path]:
    seen, todo = set(), [path]
    while todo:
        new = core_imports(todo.pop()) - seen
        seen |= new
        todo += new
    return seen


def room(path: Path) -> str:
    """The room of a file of the core: its folder, or its own name where it stands in none."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def files_of(name: str) -> list[Path]:
    """The files of a room, or the one file of this name."""
    found = files(CORE / name) or [CORE / name if name.endswith(".py") else CORE / f"{name}.py"]
    assert all(path.exists() for path in found), name
    return found


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ---- the rules -----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FORBIDDEN)
def test_from_formulas_to_requests_and_in_the_registry_nothing_reaches_what_builds_on_it(name):
    found = {room(path) for own in files_of(name) for path in reached(own)}
    assert not found & FORBIDDEN[name]


def test_data_know_no_columns_but_the_words_that_choose_rows_do():
    assert "columns" not in {room(path) for own in files_of("data") for path in core_imports(own)}


def test_fitting_asks_the_registry():
    assert CORE / "registry.py" in core_imports(CORE / "fitting.py")


@pytest.mark.parametrize("path", RESULTS, ids=ids)
def test_results_and_inference_know_nothing_of_backends_nor_of_what_fits_again(path):
    found = {room(one) for one in core_imports(path)}
    assert not found & {"registry", "plugin", "asking", "fitting", "refitting", "agreement", "comparing", "searches"}


@pytest.mark.parametrize("path", files(CORE), ids=ids)
def test_the_core_never_imports_a_plugin(path):
    assert not [name for name in imports(path, ROOT) if name.startswith("formula_neuro_")]


@pytest.mark.parametrize("path", [p for p in files(CORE) if "kernels" not in p.parts], ids=ids)
def test_the_core_imports_heavy_optional_packages_inside_functions_only(path):
    tops = {name.split(".")[0] for name in imports(path, ROOT, inside_functions=False)}
    assert not tops & LATE


@pytest.mark.parametrize("path", [p for p in files(CORE) if "kernels" not in p.parts], ids=ids)
def test_only_plugins_import_the_kernels(path):
    assert not [name for name in imports(path, ROOT) if name.startswith("formula_neuro.kernels")]


@pytest.mark.parametrize("name", ROOMS)
def test_rooms_that_know_little_import_nothing_else_of_the_core(name):
    found = {room(path) for own in files_of(name) for path in core_imports(own)}
    assert found - {name.removesuffix(".py")} <= ROOMS[name]


@pytest.mark.parametrize("folder", EXTENSIONS, ids=ids)
def test_plugins_import_pictures_files_and_searches_inside_functions_only(folder):
    for path in files(folder):
        tops = {name.split(".")[0] for name in imports(path, folder.parent, inside_functions=False)}
        assert not tops & LATE_IN_PLUGINS, path


@pytest.mark.parametrize("folder", EXTENSIONS, ids=ids)
def test_plugins_never_import_one_another(folder):
    for path in files(folder):
        tops = {name.split(".")[0] for name in imports(path, folder.parent)}
        assert not {top for top in tops if top.startswith("formula_neuro_")} - {folder.name}, path


# ---- what an import loads ------------------------------------------------------------------------
def loaded_by(code: str) -> set[str]:
    """Of the heavy packages, those that a fresh process has loaded after this code."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split()) & HEAVY


def test_the_guard_sees_what_is_loaded():
    assert loaded_by("import scipy") == {"numpy", "scipy"}


@pytest.mark.parametrize("code", ["import formula_neuro", "import formula_neuro.cli", "import formula_neuro.hrf"])
def test_a_bare_import_loads_nothing_heavy(code):
    assert loaded_by(code) == set()


def test_reading_the_registry_loads_nothing_heavy():
    assert loaded_by("from formula_neuro.registry import installed; assert installed().backends") == set()


@pytest.mark.parametrize("names", ["measures, fn.stimuli, fn.Connectome, fn.Model", "simulate, fn.explore, fn.evolve"])
def test_the_rooms_of_brain_models_load_no_compiler_and_no_pictures(names):
    loaded = loaded_by(f"import formula_neuro as fn; fn.{names}")
    assert not loaded & {"numba", "torch", "matplotlib", "nibabel", "nilearn", "cma", "jinja2", "dask"}


def test_optimising_a_design_loads_no_pictures_before_it_draws():
    loaded = loaded_by("import formula_neuro as fn; fn.optimize_design")
    assert not loaded & {"torch", "numba", "matplotlib", "nilearn", "jinja2"}
