"""R's model formulas for neuroscience: native fits on tables, images and foci, checked against R.

    import formula_neuro as fn
    m = fn.fit("lick ~ dff + (1|mouseID)", "waterlick.csv", family="binomial")
    m.summary(); m.tidy(exponentiate=True); m.report("waterlick.html"); print(fn.crosscheck(m))

Fit                 fit, refit, all_fit, model_matrix, from_nlme, crosscheck
Ask a fit           contrast, emmeans, anova, drop1, confint, compare, ranova, r2, icc, bootstrap_test, Bootstrap
Images              read_images, permutation_test, excursions
Lesions             simulate_lesions, lesion_reference, lesion_study, lesion_summaries, tune_ell
Foci                read_foci, simulate_foci, homogeneity
Designs             optimize_design, DoubleGamma, HalfCosine, Shapes
Brain models        simulate, explore, evolve, Connectome, vary, models, measures, stimuli,
                    load_simulation, load_exploration, load_evolution
Models of your own  register_model, Model, Parameter, Tract, Own, OU, White, Uniform
Estimators          ML, REML, Laplace, AGQ, Normal (a prior), AR1, VarIdent, MeanBR, MedianBR, Jeffreys, GEE,
                    Spatial, Splines
What there is       backends, tasks, datasets, errors

Images: the response names a column of NIfTI paths. Foci: the formula has s(...). The names are lazy: importing the
package loads nothing heavy. `fn.backends()` lists what can fit, `fn.tasks()` the verbs that plugins add, which are
served as `fn.<task>` too; `help(fn.fit)` and the like say more.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import datasets, errors, measures, stimuli
    from .agreement import crosscheck
    from .design import model_matrix
    from .dynamics.connectome import Connectome
    from .dynamics.model import OU, Model, Own, Parameter, Tract, Uniform, White
    from .estimator import AGQ, GEE, ML, REML, Jeffreys, Laplace, MeanBR, MedianBR, Normal, Spatial, Splines
    from .estimator.residual_structure import AR1, VarIdent
    from .fitting import fit
    from .foci.inference.homogeneity import homogeneity
    from .foci.reading import read_foci
    from .foci.simulate import simulate_foci
    from .hrf import DoubleGamma, HalfCosine, Shapes
    from .images.reading import read_images
    from .inference.bootstrap.bootstrap_test import bootstrap_test
    from .inference.bootstrap.distributions import Bootstrap
    from .inference.compare import compare
    from .inference.contrast import contrast
    from .inference.intervals.confint import confint
    from .inference.marginal.emmeans import emmeans
    from .inference.permutation import permutation_test
    from .inference.terms.anova import anova
    from .inference.terms.drop1 import drop1
    from .inference.variances.r_squared import icc, r2
    from .inference.variances.ranova import ranova
    from .lesions.reference import lesion_reference
    from .lesions.simulate import simulate_lesions
    from .lesions.study import lesion_study
    from .lesions.summaries import lesion_summaries
    from .lesions.tuning import tune_ell
    from .maps.inference.excursions import excursions
    from .refitting import refit
    from .registry import backends, tasks
    from .searches.others import all_fit
    from .syntax.nlme import from_nlme

__version__ = "0.1.0.dev0"

# public name -> the module that holds it; a module is its own entry
_PUBLIC = {  # in the order of the text above
    "fit": "fitting",
    "refit": "refitting",
    "all_fit": "searches.others",
    "model_matrix": "design",
    "from_nlme": "syntax.nlme",
    "crosscheck": "agreement",
    "contrast": "inference.contrast",
    "emmeans": "inference.marginal.emmeans",
    "anova": "inference.terms.anova",
    "drop1": "inference.terms.drop1",
    "confint": "inference.intervals.confint",
    "compare": "inference.compare",
    "ranova": "inference.variances.ranova",
    "r2": "inference.variances.r_squared",
    "icc": "inference.variances.r_squared",
    "bootstrap_test": "inference.bootstrap.bootstrap_test",
    "Bootstrap": "inference.bootstrap.distributions",
    "read_images": "images.reading",
    "permutation_test": "inference.permutation",
    "excursions": "maps.inference.excursions",
    "simulate_lesions": "lesions.simulate",
    "lesion_reference": "lesions.reference",
    "lesion_study": "lesions.study",
    "lesion_summaries": "lesions.summaries",
    "tune_ell": "lesions.tuning",
    "read_foci": "foci.reading",
    "simulate_foci": "foci.simulate",
    "homogeneity": "foci.inference.homogeneity",
    "DoubleGamma": "hrf",
    "HalfCosine": "hrf",
    "Shapes": "hrf",
    "Connectome": "dynamics.connectome",
    "measures": "",
    "stimuli": "",
    "Model": "dynamics.model",
    "Parameter": "dynamics.model",
    "Tract": "dynamics.model",
    "Own": "dynamics.model",
    "OU": "dynamics.model",
    "White": "dynamics.model",
    "Uniform": "dynamics.model",
    "ML": "estimator",
    "REML": "estimator",
    "Laplace": "estimator",
    "AGQ": "estimator",
    "Normal": "estimator",
    "AR1": "estimator.residual_structure",
    "VarIdent": "estimator.residual_structure",
    "MeanBR": "estimator",
    "MedianBR": "estimator",
    "Jeffreys": "estimator",
    "GEE": "estimator",
    "Spatial": "estimator",
    "Splines": "estimator",
    "backends": "registry",
    "tasks": "registry",
    "datasets": "",
    "errors": "",
}
__all__ = [  # a plain list, so that type checkers and editors see it
    "fit",
    "refit",
    "all_fit",
    "model_matrix",
    "from_nlme",
    "crosscheck",
    "contrast",
    "emmeans",
    "anova",
    "drop1",
    "confint",
    "compare",
    "ranova",
    "r2",
    "icc",
    "bootstrap_test",
    "Bootstrap",
    "read_images",
    "permutation_test",
    "excursions",
    "simulate_lesions",
    "lesion_reference",
    "lesion_study",
    "lesion_summaries",
    "tune_ell",
    "read_foci",
    "simulate_foci",
    "homogeneity",
    "DoubleGamma",
    "HalfCosine",
    "Shapes",
    "Connectome",
    "measures",
    "stimuli",
    "Model",
    "Parameter",
    "Tract",
    "Own",
    "OU",
    "White",
    "Uniform",
    "ML",
    "REML",
    "Laplace",
    "AGQ",
    "Normal",
    "AR1",
    "VarIdent",
    "MeanBR",
    "MedianBR",
    "Jeffreys",
    "GEE",
    "Spatial",
    "Splines",
    "backends",
    "tasks",
    "datasets",
    "errors",
]


def __getattr__(name: str) -> Callable[..., Any]:
    if name.startswith("_"):  # copy, pickle, doctest and editors probe these
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _PUBLIC:
        module = importlib.import_module(f".{_PUBLIC[name] or name}", __name__)
        value: Any = getattr(module, name) if _PUBLIC[name] else module
        globals()[name] = value
        return value
    if importlib.util.find_spec(f"{__name__}.{name}"):  # `from . import module` asks here before it looks for the file
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _task(name)


def _task(name: str) -> Callable[..., Any]:
    """A plugin's task as an attribute; nothing of the plugin but its records is imported before."""
    import difflib

    from .other_names import of_package
    from .registry import installed, resolve

    registry = installed()
    for task in registry.tasks:
        if task.name == name:
            return resolve(task.target)
    known = [*_PUBLIC, *(task.name for task in registry.tasks)]
    near = difflib.get_close_matches(name, known, n=1)
    meant = of_package(name) or (f"did you mean {near[0]}?" if near else "")
    hint = f"; {meant}" if meant else ""
    failed = "".join(f"; the plugin {p.name} could not be loaded: {p.failure}" for p in registry.failures)
    raise AttributeError(f"formula_neuro has no {name!r}{hint}{failed}")


def __dir__() -> list[str]:
    from .registry import installed

    return sorted([*__all__, "__version__", *(task.name for task in installed().tasks)])
