"""One voice: all public names are listed, begin with a sentence, and call the same thing by the same name."""

from __future__ import annotations

import importlib
import inspect
import re
import types
from pathlib import Path

import pytest

import formula_neuro as fn
from formula_neuro.result import Fit
from formula_neuro_design.answer import OptimalDesign
from formula_neuro_neuralmass.evolution.answer import Evolution
from formula_neuro_neuralmass.simulation import Simulation

DOCS = Path(__file__).parents[1] / "docs"
NAMES = [name for name in dir(fn) if not name.startswith("_")]
VERBS = [name for name in NAMES if not isinstance(getattr(fn, name), types.ModuleType)]

# What an argument was called somewhere, and what it is called everywhere.
OTHER_WORDS = {
    "tail": "alternative",
    "tails": "alternative",
    "side": "alternative",
    "covariance": "vcov",
    "folder": "out (of runs kept) or a first argument (of files read)",
    "outdir": "out",
    "n_jobs": "workers",
    "jobs": "workers",
    "random_state": "seed",
    "repetitions": "replicates",
    "verbose": "progress",
    "level": "conf_level",
    "confidence": "conf_level",
}
READ = {"load_exploration"}  # its one argument is a folder


def arguments(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(getattr(fn, name)).parameters)


def test_the_help_of_the_package_lists_every_name_and_fits_a_screen():
    words = (fn.__doc__ or "").replace(",", " ").split()
    assert not [name for name in NAMES if name not in words]
    assert len((fn.__doc__ or "").splitlines()) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_begins_with_a_sentence(name):
    first = (inspect.getdoc(getattr(fn, name)) or "").split("\n\n")[0]
    assert first[:1].isupper()
    assert first.endswith((".", ":")), first


@pytest.mark.parametrize("name", VERBS)
def test_arguments_have_the_names_that_they_have_elsewhere(name):
    assert not (set(arguments(name)) - ({"folder"} if name in READ else set())) & set(OTHER_WORDS)


@pytest.mark.parametrize("name", VERBS)
def test_no_verb_passes_options_on_unread(name):
    kinds = {parameter.kind for parameter in arguments(name).values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds


@pytest.mark.parametrize("name", VERBS)
def test_the_same_argument_has_the_same_default(name):
    own = arguments(name)
    shared = {
        "progress": (None,),
        "conf_level": (0.95,),
        "device": ("cpu",),
        "seed": (1, None),
        "alternative": ("two.sided", None),
    }
    for argument, defaults in shared.items():
        assert argument not in own or own[argument].default in defaults, argument


@pytest.fixture(scope="module")
def maps():
    s = fn.simulate_lesions(40, reference=fn.lesion_reference(spacing=12), seed=1)
    return fn.fit("lesion ~ age", s.images, family="binomial(probit)", estimator="spatial")


def alone(maps):
    return fn.refit(maps, estimator="mean_br")


@pytest.mark.parametrize("verb", ["threshold", "permutation_test", "excursions", "contrast"])
def test_a_side_has_the_same_words_everywhere(maps, verb):
    ask = {
        "threshold": lambda side: fn.contrast(maps, "age").threshold("none", alternative=side),
        "permutation_test": lambda side: fn.permutation_test(alone(maps), "age", n=1, alternative=side),
        "excursions": lambda side: fn.excursions(maps, "age", n=2, alternative=side),
        "contrast": lambda side: fn.contrast(fn.fit("y ~ x", {"x": [1, 2, 3], "y": [1, 3, 2]}), "x", alternative=side),
    }[verb]
    for word, side in {"two-sided": "two.sided", ">": "greater", "left": "less"}.items():
        assert getattr(ask(word), "alternative", side) == side
    with pytest.raises(ValueError, match=r"alternative='positive' is not known.*did you mean 'greater'"):
        ask("positive")


def test_what_a_plot_shows_is_called_which():
    answers = [Fit, OptimalDesign, Evolution, Simulation]
    assert {list(inspect.signature(answer.plot).parameters)[1] for answer in answers} == {"which"}


# ---- the values that verbs answer with -----------------------------------------------------------
def documented_classes() -> list[type]:
    """The classes that the reference pages list, but neurolib's, whose names are neurolib's."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("api*.md")))
    names = [name for name in re.findall(r"autoclass:: (formula_neuro[\w.]*\.\w+)", pages) if ".neurolib." not in name]
    return [getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) for name in names]


VALUES = documented_classes()
# Tables of the subjects (or of nodes) that a value is made of; not what it answers.
GIVEN = {"Images", "SimulatedLesions", "LesionReference"}
OTHER_FRAMES = {"as_frame", "dataframe", "frame", "results", "to_dataframe", "to_df", "to_pandas", "to_table"}


def methods(value: type) -> dict[str, inspect.Signature]:
    """The public methods that the class defines or inherits from ours."""
    found = {name: getattr(value, name) for name in dir(value) if not name.startswith("_")}
    return {
        name: inspect.signature(method)
        for name, method in found.items()
        if callable(method) and getattr(method, "__module__", "").startswith("formula_neuro")
    }


def test_the_reference_lists_the_answers_of_every_system():
    names = {value.__name__ for value in VALUES}
    assert {"Fit", "MapFit", "FociFit", "Contrast", "MapContrast", "Agreement", "OptimalDesign", "Simulation"} <= names


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_the_word_for_an_answers_table_is_to_frame(value):
    fields = set(getattr(value, "__dataclass_fields__", {}))
    public = {name for name in dir(value) if not name.startswith("_")}
    assert not (public - fields) & OTHER_FRAMES
    if value.__name__ not in GIVEN and "table" in public | fields:
        assert "table" in fields  # a plain field, never a second verb
        assert "to_frame" in public


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_methods_call_their_arguments_as_the_verbs_do(value):
    for name, signature in methods(value).items():
        own = signature.parameters
        assert not set(own) & (set(OTHER_WORDS) - {"covariance", "folder"}), name
        assert inspect.Parameter.VAR_KEYWORD not in {parameter.kind for parameter in own.values()}, name
        for argument, default in {"conf_level": 0.95, "progress": None}.items():
            assert argument not in own or own[argument].default == default, name
            assert argument not in own or own[argument].kind is inspect.Parameter.KEYWORD_ONLY, name


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_files_are_written_to_a_path_and_maps_to_a_folder(value):
    first = {"report": "path", "to_nifti": "folder"}
    for name, signature in methods(value).items():
        assert name not in first or list(signature.parameters)[1] == first[name]


@pytest.mark.parametrize("command", ["fit", "simulate", "explore", "evolve", "optimize-design"])
def test_an_option_has_the_name_and_default_of_the_verbs_argument(command):
    import typer

    from formula_neuro.cli import app

    own = arguments(command.replace("-", "_"))
    options = typer.main.get_command(app).commands[command].params
    told = {option.name: option.default for option in options if option.name in own}
    other = {name for name, default in told.items() if default not in (None, own[name].default)}
    assert other <= {"kind", "workers"}  # explore: a grid unless lists go side by side; one process unless asked
    assert len(told) > 5
