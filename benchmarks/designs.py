"""Times and peak memory of model_matrix() beside R's model.frame + model.matrix and lme4's lFormula, 10^6 rows.

Both sides read the same columns from memory and are timed alone, in fresh processes: the best of three calls, and
the memory that the process had at its peak, less what it had with the table in memory. Prints a table in Markdown.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import formula_neuro as fn

CASES = {
    "y ~ x + z + g*b, 42 columns": ("y ~ x + z + g*b", "plain"),
    "the same, 10 % of x missing": ("y ~ x + z + g*b", "missing"),
    "the same, g and b as texts": ("y ~ x + z + g*b", "texts"),
    "y ~ x + log(k) + poly(z, 3) + scale(x)": ("y ~ x + log(k) + poly(z, 3) + scale(x)", "plain"),
    "y ~ x + (x|h), 10^4 groups": ("y ~ x + (x|h)", "plain"),
    "y ~ x + (1|h:g)": ("y ~ x + (1|h:g)", "plain"),
    "y ~ x + z + g*b + (1|h), 40 rows": ("y ~ x + z + b + (1|h)", "small"),
}


def table(kind: str) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 40 if kind == "small" else 1_000_000
    letters = [f"l{i:02d}" for i in range(20)]
    g, b = rng.integers(0, 20, n), rng.integers(0, 2, n)
    data = pd.DataFrame({"y": rng.random(n), "x": rng.random(n), "z": rng.random(n), "k": rng.random(n) + 1})
    data["h"] = rng.integers(0, 5 if kind == "small" else 10_000, n)
    data["g"] = pd.Categorical.from_codes(g, letters)
    data["b"] = pd.Categorical.from_codes(b, ["p", "q"])
    if kind == "missing":
        data.loc[rng.random(n) < 0.1, "x"] = np.nan
    if kind == "texts":
        data["g"], data["b"] = data["g"].astype(object), data["b"].astype(object)
    return data


def ours(formula: str, kind: str) -> tuple[float, float]:
    """Milliseconds and MB."""
    data = table(kind)
    repeats = 20 if kind == "small" else 3
    fn.model_matrix("y ~ poly(x, 2) + g + (1|h)", table("small"))  # what is loaded at first use is loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        D = fn.model_matrix(formula, data)
        for term in D.random:
            assert term.Z.shape[0] == len(data)
        seconds.append(time.perf_counter() - began)
        del D
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 1e3 * min(seconds), (after - before) / 1024


def theirs(formula: str, kind: str) -> tuple[float, float]:
    data = table(kind)
    with tempfile.TemporaryDirectory() as folder:
        head = []
        for name, column in data.items():
            levels = sorted(column.unique()) if column.dtype == object else []
            if isinstance(column.dtype, pd.CategoricalDtype):
                levels = list(column.cat.categories)
            codes = column.map({level: i + 1 for i, level in enumerate(levels)}) if levels else column
            codes.to_numpy(float).tofile(Path(folder) / f"{name}.bin")
            head.append({"name": name, "levels": levels, "text": column.dtype == object})
        told = {"formula": formula, "rows": len(data), "repeats": 20 if kind == "small" else 3, "columns": head}
        (Path(folder) / "told.json").write_text(json.dumps(told))
        script = Path(__file__).with_name("designs.R")
        said = subprocess.run(["Rscript", "--vanilla", script, folder], capture_output=True, text=True, check=True)
    ms, mb = said.stdout.split()[-2:]
    return float(ms), float(mb)


def main() -> None:
    if len(sys.argv) > 1:
        print(*ours(*CASES[sys.argv[1]]))
        return
    print("| design | R, ms | here, ms | R / here | R, MB | here, MB |\n|---|---|---|---|---|---|")
    for name, case in CASES.items():
        said = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
        ms, mb = map(float, said.stdout.split())
        r_ms, r_mb = theirs(*case)
        shown = name.replace("|", r"\|")  # inside a table
        print(f"| {shown} | {r_ms:.1f} | {ms:.1f} | {r_ms / ms:.1f} | {r_mb:.0f} | {mb:.0f} |", flush=True)


if __name__ == "__main__":
    main()
