"""Sphinx settings for `./dev docs`: guides, reference and the vignettes, which are run while the pages are made.

The source folder is the repository's root (`sphinx-build -c docs . build/docs`), so that README and
vignettes are read where they lie.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from formula_neuro import __version__

sys.path.insert(0, str(Path(__file__).parent))

import measured

project = "formula_neuro"
author = "The formula_neuro authors"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "myst_nb"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md", "vignettes/*.py", "README.md", "CHANGELOG.md", "benchmarks/README.md",
    "benchmarks/lesion-study/README.md",
]  # fmt: skip
exclude_patterns = [] if find_spec("nimare") else ["vignettes/nback.py"]  # NiMARE carries its data
html_theme = "furo"
html_title = f"formula_neuro {__version__}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

# A vignette is a percent-format Python file; a cell that raises stops the build.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
logging.getLogger("traitlets").setLevel(logging.WARNING)  # else each vignette is announced
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "myst.xref_missing",  # README links to files that are no pages here
    "ref.python",  # two classes of one name in the types of signatures
]


def _quiet_kernels() -> str:
    """A profile for the vignettes' kernels: nobody's start-up files, and no warning that they talk over localhost."""
    folder = Path(tempfile.mkdtemp(prefix="formula_neuro-docs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "profile_default").mkdir()
    (folder / "profile_default" / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n")
    return str(folder)


os.environ["IPYTHONDIR"] = _quiet_kernels()


def _as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text, written for `help()`: prose is escaped, indented text and examples are kept as set."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    lines[:] = [line for block in blocks for line in _block(block)]


def _block(block: str) -> list[str]:
    kind = "pycon" if block.startswith(">>>") else "text" if re.search(r"^ ", block, re.MULTILINE) else ""
    if not kind:
        return [*_prose(block).split("\n"), ""]
    return [f".. code-block:: {kind}", "", *(f"   {line}" for line in block.split("\n")), ""]


def _prose(text: str) -> str:
    """What stands between `backquotes` becomes code, everything else that sphinx would read as markup is escaped."""
    parts = re.split(r"`([^`]+)`", text)
    escaped = [re.sub(r"([*`|_\\])", r"\\\1", part) for part in parts[::2]]
    code = [f"\\ ``{part}``\\ " for part in parts[1::2]]
    return "".join(piece for pair in zip(escaped, [*code, ""], strict=True) for piece in pair)


def _with_figures(app: Any, docname: str, source: list[str]) -> None:
    """What scripts measured replaces the comments that name it; a vignette that is left out is not listed."""
    if docname.startswith("docs/"):
        source[0] = measured.fill(source[0])
        for left_out in exclude_patterns:
            source[0] = source[0].replace(f"../{left_out.removesuffix('.py')}\n", "")


def setup(app: Any) -> None:
    app.connect("source-read", _with_figures)
    app.connect("autodoc-process-docstring", _as_rst)
