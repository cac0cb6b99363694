"""What all HTML pages of the package share: their templates, and tables and pictures as parts of the page itself."""

from __future__ import annotations

import base64
import os
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from .. import __version__

NAMED = ("numpy", "scipy", "pandas", "torch", "numba", "nibabel", "nilearn")  # in the foot of a page, where loaded
UNCHECKED = (
    "No comparison was asked for: fn.{verb} fits the model again {elsewhere} and compares every number; "
    "{page}(path, crosscheck=...) shows its verdict here."
)
NEEDED = 'reports need jinja2 and matplotlib: pip install "formula_neuro[plot]"'
OTHER_PAGES = {".pdf", ".doc", ".docx", ".odt", ".md", ".tex", ".txt", ".png", ".ipynb"}
NO_NUMBER = ("NA", "NaN", "nan", "Inf", "inf")


def render(template: str, values: dict[str, Any]) -> str:
    """A page as text, from one of the templates beside this file. Raises ImportError where jinja2 is missing."""
    try:
        import jinja2
    except ImportError as error:
        raise ImportError(NEEDED) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("formula_neuro", "display"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    page: str = environment.get_template(template).render({**values, "made": made, "software": software()})
    return page


def software() -> str:
    """The versions of this package, of Python, and of the libraries at work."""
    loaded = [(name, getattr(sys.modules[name], "__version__", "")) for name in NAMED if name in sys.modules]
    told = [("formula_neuro", __version__), ("Python", platform.python_version()), *loaded]
    return ", ".join(f"{name} {version}" for name, version in told)


def took(seconds: float) -> str:
    """A time in words.

    >>> took(0.00081), took(2.5), took(200.0)
    ('0.81 ms', '2.5 s', '3.3 min')
    """
    if seconds < 0.01:
        return f"{1000 * seconds:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 99 else f"{seconds / 60:.2g} min"


def check_page(target: Path) -> None:
    """Raise before the work starts where no page could be made of it: ImportError or the fitting OSError."""
    if not (find_spec("jinja2") and find_spec("matplotlib")):
        raise ImportError(NEEDED)
    check_html(target)


def check_html(target: Path) -> None:
    """Raise ValueError for the name of another kind of page, or the fitting OSError where it cannot be written."""
    if target.suffix.lower() in OTHER_PAGES:
        html = target.with_suffix(".html").name
        raise ValueError(f"{target}: a report is an HTML page; name it {html} (a browser prints it to PDF)")
    check_writable(target)


def check_writable(target: Path) -> None:
    """Raise the fitting OSError where a file cannot be written; nothing is created."""
    folder = target.parent
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file, such as {target / 'report.html'}")
    if not folder.is_dir():
        raise FileNotFoundError(f"{target}: the folder {folder} does not exist; make it first")
    if not os.access(target if target.exists() else folder, os.W_OK):
        raise PermissionError(f"{target} cannot be written: no permission; choose another folder")


def figure_part(title: str, caption: str, image: bytes) -> dict[str, str]:
    """A PNG picture as the templates show it."""
    data = base64.b64encode(image).decode()
    return {"title": title, "caption": caption, "data": f"data:image/png;base64,{data}"}


def csv_address(table: pd.DataFrame, index: str = "") -> str:
    """A table as the address of a csv file within the page; `index` names the column of the row labels."""
    text = table.to_csv(index=bool(index), index_label=index or None)
    return address("text/csv;charset=utf-8", text.encode())


def address(kind: str, content: bytes) -> str:
    """A file as an address within the page; kind is its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def by_rows(heads: list[str], columns: list[list[str]]) -> dict[str, Any]:
    """A table by rows, the hyphens of negative numbers as minus signs; the first column as it is.

    `words` are the columns of text, which stand to the left; numbers stand to the right.

    >>> by_rows(["group", "term", "sd"], [["mouse"], ["x"], ["-1.5"]])
    {'heads': ['group', 'term', 'sd'], 'rows': [['mouse', 'x', '−1.5']], 'words': [1]}
    """
    body = [[first, *(minus(word.strip()) for word in rest)] for first, *rest in zip(*columns, strict=True)]
    words = [j for j, column in enumerate(columns) if j and _is_text([word.strip() for word in column])]
    return {"heads": heads, "rows": body, "words": words}


def _is_text(column: list[str]) -> bool:
    told = [word for word in column if word and word not in NO_NUMBER]
    return bool(told) and all(word[0].isalpha() or (word[0] == "(" and word[1:2].isalpha()) for word in told)


def minus(text: str) -> str:
    """Hyphens before numbers as minus signs, but not in 1e-05.

    >>> minus("-2.5 to (-1, 2)"), minus("1e-05"), minus("a-b")
    ('−2.5 to (−1, 2)', '1e-05', 'a-b')
    """
    return re.sub(r"(?<![\w.)\]-])-(?=\.?\d|Inf)", "−", text)
