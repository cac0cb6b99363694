"""The operators among terms expand as R's terms() does, on 2,000 random sums, degenerate ones included."""

from __future__ import annotations

import random
import subprocess

import pytest

from formula_neuro.formula import parse

pytestmark = pytest.mark.r

# Terms in R's order; inside a term the letters are sorted, so that only the set counts.
SCRIPT = """
for (line in readLines(commandArgs(TRUE)[1])) {
  t <- terms(as.formula(paste("y ~", line)))
  f <- attr(t, "factors")
  names <- if (length(f)) apply(f, 2, function(c) paste(sort(rownames(f)[c > 0]), collapse = ":"))
  cat(c(attr(t, "intercept"), names), "\\n")
}
"""


def random_sum(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice("abcd") if rng.random() < 0.9 else rng.choice("01")
    operator = rng.choice(["+", "+", "+", "-", "*", "/", ":", "^", "(", "%in%"])
    left = random_sum(rng, depth - 1)
    if operator in "^(":
        return f"({left})" + (f"^{rng.choice('23')}" if operator == "^" else "")
    right = random_sum(rng, depth - 1)
    if operator not in "+-":
        left, right = (f"({side})" if "+" in side or "-" in side else side for side in (left, right))
    # a sign before 0 and 1 as well as behind another sign is not R's in every corner
    signed = operator in "+-" and not {*"01"} & {*right} and rng.random() < 0.1
    sign = rng.choice("+-") if signed else ""
    return f"{left} {operator} {sign}{right}"


def test_random_sums_expand_as_in_r(tmp_path):
    rng = random.Random(7)
    sums = [random_sum(rng, 3) for _ in range(2000)]
    (tmp_path / "sums.txt").write_text("\n".join(sums) + "\n")
    (tmp_path / "terms.R").write_text(SCRIPT)
    call = ["Rscript", "--vanilla", tmp_path / "terms.R", tmp_path / "sums.txt"]
    said = subprocess.run(call, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
    ours = []
    for line in sums:
        fixed = parse(f"y ~ {line}").fixed
        letters = [str(node.text) for node in fixed.variables]
        terms = [":".join(sorted(letters[i] for i in term)) for term in fixed.terms]
        ours.append(" ".join([str(int(fixed.intercept)), *terms]))
    differ = [(line, a, b.strip()) for line, a, b in zip(sums, ours, said, strict=True) if a != b.strip()]
    assert not differ, f"{len(differ)} of {len(sums)} differ, first (sum, ours, R's): {differ[:3]}"
