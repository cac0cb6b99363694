"""What all HTML pages of the package share: their templates, and tables and pictures as parts of the page itself."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pandas as pd


def render(template: str, values: dict[str, Any]) -> str:
    """A page as text, from one of the templates beside this file. Raises ImportError where jinja2 is missing."""
    try:
        import jinja2
    except ImportError as error:
        raise ImportError('reports need jinja2 and matplotlib: pip install "formula-neuro[plot]"') from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("formula_neuro", "display"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page: str = environment.get_template(template).render(values)
    return page


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
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def by_rows(heads: list[str], columns: list[list[str]]) -> dict[str, Any]:
    """A table by rows, the hyphens of negative numbers as minus signs; the first column as it is."""
    body = [[first, *(minus(word.strip()) for word in rest)] for first, *rest in zip(*columns, strict=True)]
    return {"heads": heads, "rows": body}


def minus(word: str) -> str:
    """Hyphens as minus signs, but not in 1e-05.

    >>> minus("-2.5"), minus("1e-05"), minus("a-b")
    ('−2.5', '1e-05', 'a-b')
    """
    return word.replace("-", "−") if word[:1] in "-0123456789" and "e-" not in word else word
