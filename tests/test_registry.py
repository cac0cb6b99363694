"""The registry: choosing with reasons, and plugins that are broken, doubled, heavy or written by strangers."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro import registry
from formula_neuro.asking import as_request
from formula_neuro.errors import NoBackend
from formula_neuro.family import as_family
from formula_neuro.registry import Backend, Plugin, Registry, Task
from formula_neuro.testing import check_backend, small_request

ROOT = Path(__file__).parents[1]


def backend(name: str, rank: int = 0, **changes: object) -> Backend:
    fields = {"models": {"lm"}, "families": {"gaussian"}, "estimators": {"ml"}, "target": "nowhere:fit", "help": "x"}
    return Backend(name, rank=rank, **(fields | changes))  # type: ignore[arg-type]


def request_for(model: str = "lm", family: str = "gaussian"):
    word = {"lm": "ml", "glm": "ml", "lmm": "reml", "glmm": "laplace"}[model]
    request = small_request(backend("any", models={model}, estimators={word}), model, family)
    assert request is not None
    return request


def registry_of(*records: Backend, failures: tuple[Plugin, ...] = ()) -> Registry:
    return Registry((Plugin("one", "1", records), *failures))


def test_the_highest_rank_is_chosen_then_the_first_name():
    found = registry_of(backend("b", 10), backend("a", 10), backend("z", 3)).choose(request_for())
    assert found.name == "a"


def test_a_named_backend_never_falls_back():
    other = registry_of(backend("native", 10), backend("r", models={"lmm"}))
    with pytest.raises(NoBackend, match=r"backend='r' cannot fit lm \(gaussian\): fits lmm, not lm"):
        other.choose(request_for(), "r")


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(NoBackend, match="backend='lme5' is not known; there are a, b"):
        registry_of(backend("b"), backend("a")).choose(request_for(), "lme5")


def test_when_nobody_can_fit_each_backend_of_the_model_says_why():
    broken = Plugin("mylab", "2", failure="ModuleNotFoundError: No module named 'cupy'")
    plugins = registry_of(
        backend("lm-only"),
        backend("binomial-only", models={"glmm"}, families={"binomial"}, estimators={"laplace"}),
        backend(
            "absent", models={"glmm"}, families={"Gamma"}, estimators={"laplace"}, requires=("nosuchthing",), extra="r"
        ),
        failures=(broken,),
    )
    with pytest.raises(NoBackend) as caught:
        plugins.choose(request_for("glmm", "Gamma"))
    assert str(caught.value).splitlines() == [
        "no backend can fit glmm (Gamma, 1 random term)",
        "  binomial-only: has no Gamma family (has binomial)",
        '  absent: needs nosuchthing: pip install "formula_neuro[r]"',
        "  mylab: could not be loaded: ModuleNotFoundError: No module named 'cupy'",
    ]


@pytest.fixture(scope="module")
def request_of():
    d = pd.DataFrame({"y": [1.0, 2, 3, 4, 6, 5], "x": [0.0, 1, 2, 0, 1, 2], "g": list("aabbcc")})
    return lambda formula: as_request(fn.model_matrix(formula, d), as_family("gaussian"))


def test_a_covariance_structure_that_a_backend_lacks_is_refused_by_name(request_of):
    plain = backend("plain", models={"lmm"}, estimators={"reml"})
    assert plain.refuses(request_of("y ~ x + cs(1 + x|g)")) == "has no cs(...) covariance structure (has us)"


def test_a_structure_with_other_variances_than_its_usual_ones_is_another_structure(request_of):
    """cs() has a variance a column, cs(..., hom = TRUE) one for all."""
    usual = backend("usual", models={"lmm"}, estimators={"reml"}, structures={"us", "cs"})
    assert usual.refuses(request_of("y ~ x + cs(1 + x|g, hom = FALSE)")) is None
    reason = usual.refuses(request_of("y ~ x + cs(1 + x|g, hom = TRUE)"))
    assert reason == "has no cs(..., hom = TRUE) covariance structure (has cs, us)"


def test_a_backend_without_maps_refuses_terms_that_have_one():
    d = pd.DataFrame({"y": [1.0, 2, 3, 4, 6, 5], "x": [0.0, 1, 2, 0, 1, 2], "g": list("aabbcc")})
    with pytest.raises(NoBackend, match=r"no backend can fit lm \(gaussian, s\(\.\.\.\)\)") as caught:
        fn.fit("y ~ x + s(g)", d)
    assert "native-lm: has no s(...): it marks terms with a map of their own" in str(caught.value)
    request = as_request(fn.model_matrix("y ~ x + s(g)", d), as_family("gaussian"))
    assert backend("maps", models={"lm"}, estimators={"ml"}, spatial=True).refuses(request) is None


def test_too_many_random_terms_and_a_foreign_api_are_refused():
    request = request_for("lmm")
    few = backend("few", models={"lmm"}, estimators={"reml"}, max_random=0)
    old = backend("old", models={"lmm"}, estimators={"reml"}, requires_api=99)
    assert few.refuses(request) == "takes at most 0 random terms, not 1"
    assert old.refuses(request) == "is written for plugin API 99, this is 1"


# ---- plugins made on the fly ---------------------------------------------------------------------
@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a module, and hand out an entry point to it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(module: str, body: str, name: str | None = None) -> EntryPoint:
        (tmp_path / f"{module}.py").write_text(dedent(body))
        return EntryPoint(name or module, module, registry.GROUP)

    return write


GOOD = """
    from formula_neuro.registry import Backend, Task, hookimpl

    @hookimpl
    def formula_neuro_backends():
        return [Backend("{name}", {{"lm"}}, {{"gaussian"}}, {{"ml"}}, "{name}_heavy:fit", help="toy")]
"""


def test_a_broken_plugin_is_a_row_and_harms_nobody(plugin):
    found = registry.load([plugin("toy_bad", "import nosuchmodule"), plugin("toy_good", GOOD.format(name="toy_good"))])
    assert [b.name for b in found.backends] == ["toy_good"]
    assert [p.failure for p in found.failures] == ["ModuleNotFoundError: No module named 'nosuchmodule'"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def formula_neuro_backends(): return []", "are its functions marked with hookimpl"),
        ("from formula_neuro.registry import hookimpl\n@hookimpl\ndef formula_neuro_backend(): return []", "backend"),
        ("from formula_neuro.registry import hookimpl\n@hookimpl\ndef formula_neuro_backends(): return 'lm'", "a list"),
        ("from formula_neuro.registry import hookimpl\n@hookimpl\ndef formula_neuro_backends(): return ['lm']", "'lm'"),
        (
            "from formula_neuro.registry import hookimpl\n@hookimpl\ndef formula_neuro_backends(): raise KeyError(1)",
            "Key",
        ),
        (
            "from formula_neuro.registry import hookimpl, Task\n@hookimpl\ndef formula_neuro_tasks(): "
            "return [Task('fit', 'a:b', 'hides fit')]",
            "would hide",
        ),
    ],
)
def test_a_faulty_plugin_says_what_is_wrong(plugin, body, reason, request):
    module = f"toy_faulty_{abs(hash(body))}"
    found = registry.load([plugin(module, body)])
    assert not found.backends and reason in found.failures[0].failure


def test_of_two_plugins_or_records_of_one_name_neither_is_served(plugin):
    one = plugin("toy_one", GOOD.format(name="same"))
    two = plugin("toy_two", GOOD.format(name="same"))
    records = registry.load([one, two])
    assert not records.backends
    assert "the plugins toy_one and toy_two both offer 'same'" in records.failures[0].failure
    names = registry.load([one, EntryPoint("toy_one", "toy_two", registry.GROUP)])
    assert not names.backends and "both bring a plugin of this name" in names.failures[0].failure


def test_a_heavy_target_is_not_imported_before_it_is_chosen(plugin):
    found = registry.load([plugin("toy_lazy", GOOD.format(name="toy_lazy"))])
    assert found.backends[0].target == "toy_lazy_heavy:fit"  # there is no such module, and nothing minded
    assert "toy_lazy_heavy" not in sys.modules


def test_tasks_are_served_as_attributes(monkeypatch, plugin):
    plugin("toy_task_module", "def greet(): return 'hello'")
    tasks = Registry((Plugin("toy", "1", tasks=(Task("greet", "toy_task_module:greet", "says hello"),)),))
    monkeypatch.setattr(registry, "installed", lambda: tasks)
    assert fn.greet() == "hello"
    assert "greet" in dir(fn)
    with pytest.raises(AttributeError, match="did you mean greet"):
        _ = fn.gret


# ---- the contract --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["native-lm", "native-lmm", "native-glmm"])
def test_native_backends_keep_the_contract(name):
    check_backend(next(b for b in registry.installed().backends if b.name == name))


@pytest.mark.r
@pytest.mark.parametrize("name", ["r-lm", "r-glm", "lme4", "lmerTest"])
def test_r_backends_keep_the_contract(name):
    check_backend(next(b for b in registry.installed().backends if b.name == name))


def test_the_contract_finds_a_backend_that_breaks_it(plugin):
    plugin(
        "toy_liar",
        """
        from dataclasses import replace
        from formula_neuro_glm.lm import fit as real
        def fit(request):
            request.y[0] += 1
            return replace(real(request), backend="another", beta=real(request).beta.astype("float32"))
        """,
    )
    with pytest.raises(AssertionError) as caught:
        check_backend(backend("toy", target="toy_liar:fit"))
    for broken in (
        "changes its input",
        "beta is float32",
        "the fit names backend 'another'",
        "two fits of one request",
    ):
        assert broken in str(caught.value)


TOY = """
    [project]
    name = "toy-neuro"
    version = "3.1"
    [project.entry-points.formula_neuro]
    toylab = "toylab"
    [build-system]
    requires = ["hatchling"]
    build-backend = "hatchling.build"
    [tool.hatch.build.targets.wheel]
    only-include = ["toylab.py"]
"""
TOYLAB = """
    from formula_neuro.registry import Backend, Task, hookimpl

    RECORD = Backend("toy-ridge", {"lm"}, {"gaussian"}, {"ml"}, "toylab:fit", rank=-1, help="a toy")

    @hookimpl
    def formula_neuro_backends():
        return [RECORD]

    @hookimpl
    def formula_neuro_tasks():
        return [Task("toy_greet", "toylab:greet", "says hello")]

    def greet(name="you"):
        return f"hello {name}"

    def fit(request):
        from dataclasses import replace
        from formula_neuro.registry import installed, run
        native = next(b for b in installed().backends if b.name == "native-lm")
        return replace(run(native, request), backend="toy-ridge")
"""
USE = """
    import formula_neuro as fn
    from formula_neuro.testing import check_backend
    import toylab
    check_backend(toylab.RECORD)
    m = fn.fit("y ~ x", {"x": [1., 2, 3], "y": [1., 2, 4]}, backend="toy-ridge")
    row = fn.backends().set_index("name").loc["toy-ridge"]
    assert (m.backend, row["plugin"], row["version"], bool(row["ready"])) == ("toy-ridge", "toylab", "3.1", True)
    assert fn.fit("y ~ x", {"x": [1., 2, 3], "y": [1., 2, 4]}).backend == "native-lm"
    assert fn.toy_greet("mouse") == "hello mouse" and "toy_greet" in set(fn.tasks()["name"])
    print("used")
"""


def test_a_strangers_plugin_is_installed_and_used(tmp_path):
    """A real distribution, built as a wheel and found through its own entry point in a fresh process."""
    project, site = tmp_path / "toy", tmp_path / "site"
    project.mkdir()
    (project / "pyproject.toml").write_text(dedent(TOY))
    (project / "toylab.py").write_text(dedent(TOYLAB))
    build = "import os, sys, hatchling.build as b; os.chdir(sys.argv[1]); print(b.build_wheel(sys.argv[2]))"
    wheel = subprocess.run(
        [sys.executable, "-c", build, str(project), str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(tmp_path / wheel), str(site)], check=True)
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n" + dedent(USE)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.strip() == "used", result.stderr


@pytest.mark.parametrize("name", ["voxel-lm", "voxel-glm"])
def test_backends_of_images_keep_the_contract(name):
    check_backend(next(b for b in registry.installed().backends if b.name == name))
