"""One voice: all public names are listed, begin with a sentence, and call the same thing by the same name."""

from __future__ import annotations

import inspect
import types

import pytest

import formula_neuro as fn
from formula_neuro.result import Fit
from formula_neuro_design.answer import OptimalDesign
from formula_neuro_neuralmass.evolution.answer import Evolution
from formula_neuro_neuralmass.simulation import Simulation

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


def test_what_a_plot_shows_is_called_which():
    answers = [Fit, OptimalDesign, Evolution, Simulation]
    assert {list(inspect.signature(answer.plot).parameters)[1] for answer in answers} == {"which"}
