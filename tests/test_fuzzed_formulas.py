"""Mutated formulas give a design or one of our errors, soon; and R reads in them nothing that we do not.

`python tests/fuzz_formulas.py 600` does the same for ten minutes.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from formula_neuro.errors import FormulaError
from formula_neuro.formula import all_variables, parse
from formula_neuro.syntax.expression import Call, Node

sys.path.insert(0, str(Path(__file__).parent))
from formula_generator import table
from fuzz_formulas import finding, texts

SOME = list(itertools.islice(texts(5), 400))


def test_mutated_formulas_give_a_design_or_one_of_our_errors():
    data = table(0)
    found = [(text, problem) for text in SOME if (problem := finding(text, data, data))]
    assert not found, f"{len(found)}: {found[:3]}"


# What R itself calls in a formula that we read: operators among terms, and those of its own grammar.
OPERATORS = {"~", "+", "-", "*", "/", ":", "^", "%in%", "|", "||", "(", "offset", "us", "diag", "cs", "ar1"}

SCRIPT = """
said <- lapply(jsonlite::read_json(commandArgs(TRUE)[1]), function(text) {
  names <- function(e) if (is.call(e)) c(as.character(e[[1]])[1], unlist(lapply(as.list(e)[-1], names)))
  tryCatch(I(unique(as.character(names(str2lang(text))))), error = function(e) NA)
})
writeLines(enc2utf8(jsonlite::toJSON(said)), commandArgs(TRUE)[2], useBytes = TRUE)
"""


def called(node: Node) -> Iterator[str]:
    if isinstance(node, Call):
        yield node.function
        for _, value in node.arguments:
            yield from called(value)


@pytest.mark.r
def test_r_calls_nothing_in_a_formula_that_we_did_not_read_there(tmp_path):
    """The formula's text goes to R as typed; where its reader saw other quotes or operators, a name could be code."""
    read = []
    for text in dict.fromkeys([*itertools.islice(texts(6), 1500), *SOME]):
        try:
            read.append((text, parse(text, list(table(0).columns))))
        except FormulaError:
            continue
    assert len(read) > 300
    (tmp_path / "texts.json").write_text(json.dumps([text for text, _ in read]))
    (tmp_path / "calls.R").write_text(SCRIPT)
    call = ["Rscript", "--vanilla", tmp_path / "calls.R", tmp_path / "texts.json", tmp_path / "said.json"]
    subprocess.run(call, check=True, capture_output=True, timeout=120, env={**os.environ, "LC_ALL": "C.UTF-8"})
    said = json.loads((tmp_path / "said.json").read_text(encoding="utf-8"))
    strange = []
    for (text, formula), theirs in zip(read, said, strict=True):
        ours = OPERATORS | {name for node in all_variables(formula) for name in called(node)}
        if theirs != [None] and not set(theirs) <= ours:
            strange.append((text, set(theirs) - ours))
    assert not strange, f"{len(strange)}: {strange[:5]}"
    assert sum(theirs != [None] for theirs in said) > 300
