"""A formula such as ~ hrf(trial_type) + cosine(128) and a table of events -> one candidate design for each response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.data.table import as_table, plain
from formula_neuro.errors import DataError, FormulaError
from formula_neuro.family import Array
from formula_neuro.formula import parse
from formula_neuro.hrf import HRF, SPM
from formula_neuro.syntax.expression import Call, Name, Node, Number, label

from .candidates import Candidates, names_of, terms_of, values
from .constraints import collinear
from .drifts import cosines
from .events import Events, Run, notes, read_events
from .regressors import Evoked, convolution
from .shapes import Kernels, kernels


@dataclass(frozen=True, eq=False)
class EventRun:
    """What a formula says of a run: the events of each type, and the nuisance columns (n, .)."""

    run: Run
    events: dict[str, Events]
    nuisance: pd.DataFrame

    def canonical(self, name: str) -> Array:
        """The regressor (n,) of a type by SPM's response, of peak 1."""
        return self.regressors(name, SPM)[:, 0]

    def regressors(self, name: str, hrf: HRF) -> Array:
        """The regressors (n, m) of a type by all responses of a family."""
        return self._evoked(name, kernels(hrf))

    def _evoked(self, name: str, own: Kernels) -> Array:
        return convolution(self.events[name], self.run.times, own) @ own.h

    def designs(self, names: Sequence[str], hrf: HRF) -> Candidates:
        """One design a response, of the types `names`; other types have SPM's response and are nuisance columns."""
        own = kernels(hrf)
        others = {name: self.canonical(name) for name in self.events if name not in names}
        return Candidates(
            names=tuple(names),
            moved=tuple(names),
            table=own.table,
            X=np.stack([self._evoked(name, own).T for name in names], axis=2),
            first=np.column_stack([self.canonical(name) for name in names]),
            nuisance=pd.concat([pd.DataFrame(others, index=self.nuisance.index), self.nuisance], axis=1),
            alike=False,
            still=pd.DataFrame({"response": ["canonical"]}),
            messages=(*notes(self.events, self.run, own.end), *_of_others(list(others))),
            evoked=Evoked(self.run, tuple(self.events[name] for name in names), own),
        )


def _of_others(names: list[str]) -> list[str]:
    """What is told of types of events that have one column each."""
    if not names:
        return []
    return [
        f"{', '.join(names)}: one column{' each' if len(names) > 1 else ''}, by SPM's response; what another response "
        f"leaves beside it goes into the estimate, so name {'them' if len(names) > 1 else 'it'} in nuisance= where the "
        "response varies too"
    ]


def of_events(text: str) -> bool:
    """Whether the formula has a term hrf(...). Raises FormulaError where hrf or cosine stand elsewhere."""
    terms = _all_terms(text, [])
    found = any(_is(term, "hrf") for term in terms)
    for term in terms:
        for call in _calls(term):
            if call.function in ("hrf", "cosine") and not (found and call is term):
                raise FormulaError(
                    f"{call.function}(...) is a term of its own, as in '~ hrf(trial_type) + cosine(128)'", text, call.at
                )
    return found


def event_run(text: str, data: Any, run: Run, confounds: Any = None) -> EventRun:
    """Read the events, and the columns of drift and confounds. Raises FormulaError and DataError."""
    if isinstance(data, (list, tuple)):
        raise DataError(f"a list of {len(data)} is given for the events; a design is of one run: make one for each")
    events = plain(as_table(data))
    beside = _confounds(confounds, run)
    terms = _all_terms(text, [*events.columns, *beside.columns])
    found = {name: read_events(events, name, run) for name in _typed(terms, events, text)}
    (types,) = found.values()
    others = [term for term in terms if not _is(term, "hrf") and not _is(term, "cosine")]
    if others and confounds is None:
        raise FormulaError(
            f"{label(others[0])} is no hrf(...) or cosine(...), and the table of confounds is missing: give confounds=",
            text,
            others[0].at if isinstance(others[0], (Name, Call)) else 0,
        )
    columns = dict(zip(names_of(others), (values(term, beside, text) for term in others), strict=True))
    for term in terms:
        if _is(term, "cosine"):
            columns |= cosines(run, _period(term, text))
    if confounds is not None and not others:
        raise DataError(f"the formula names none of the confounds; add those to use, as + {beside.columns[0]}")
    twice = [name for name in columns if name in types]
    if twice:
        raise DataError(f"{twice[0]} is a type of event and a nuisance column; rename one")
    _check_apart(columns)
    return EventRun(run, types, pd.DataFrame(columns, index=range(run.volumes)))


def _check_apart(columns: Mapping[str, Array]) -> None:
    """Raise where a nuisance column is 0 or a combination of those after it, naming it: drifts are last."""
    names = list(columns)
    for i, name in enumerate(names):
        if collinear(np.column_stack([columns[other] for other in names[i:]])) and (
            i + 1 == len(names) or not collinear(np.column_stack([columns[other] for other in names[i + 1 :]]))
        ):
            raise DataError(f"{name} is 0 or follows from the other nuisance columns; leave it out of the formula")


# ---- the formula's terms ---------------------------------------------------------------------------
def _all_terms(text: str, columns: list[str]) -> list[Node]:
    return terms_of(parse(text, columns))


def _calls(node: Node) -> Iterator[Call]:
    if isinstance(node, Call):
        yield node
        for _, value in node.arguments:
            yield from _calls(value)


def _is(term: Node, function: str) -> bool:
    return isinstance(term, Call) and term.function == function


def _typed(terms: Sequence[Node], events: pd.DataFrame, text: str) -> list[str]:
    """The column of the events that the one hrf() names, alone in a list."""
    (first, *more) = [term for term in terms if isinstance(term, Call) and term.function == "hrf"]
    if more:
        raise FormulaError("one hrf(...) is expected; its column holds all types of events", text, more[0].at)
    given = [value for _, value in first.arguments]
    if len(given) != 1 or not isinstance(given[0], Name):
        raise FormulaError("hrf takes the column of the events' types, as in hrf(trial_type)", text, first.at)
    if given[0].text not in events.columns:
        seen, name = ", ".join(events.columns), given[0].text
        said = f"{name} is not a column of the events, which have {seen}"
        holder = next((column for column in events.columns if (events[column].astype(str) == name).any()), None)
        hint = f"; it is a value of {holder}: write hrf({holder}), and contrast={name!r}" if holder else ""
        raise FormulaError(said + hint, text, given[0].at)
    return [given[0].text]


def _period(term: Node, text: str) -> float:
    assert isinstance(term, Call)
    given = [value for _, value in term.arguments]
    if len(given) != 1 or not isinstance(given[0], Number):
        raise FormulaError("cosine takes the shortest period in seconds, as in cosine(128)", text, term.at)
    return float(given[0].value)


def _confounds(given: Any, run: Run) -> pd.DataFrame:
    if given is None:
        return pd.DataFrame(index=range(run.volumes))
    table = plain(as_table(given))
    if len(table) != run.volumes:
        raise DataError(
            f"confounds have {len(table)} rows and the run {run.volumes} volumes; one row a volume is expected"
        )
    return table
