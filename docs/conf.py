"""Sphinx settings for `./dev docs`: guides, reference and the vignettes, which are run while the pages are made.

The source folder is the repository's root (`sphinx-build -c docs . build/docs`), so that README and
vignettes are read where they lie.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes

from formula_neuro import __version__

sys.path.insert(0, str(Path(__file__).parent))

import docstrings
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
smartquotes = False  # formulas and code stand in the prose of docstrings

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


def _with_figures(app: Any, docname: str, source: list[str]) -> None:
    """What scripts measured replaces the comments that name it; a vignette that is left out is not listed."""
    if docname.startswith("docs/"):
        source[0] = measured.fill(source[0])
        for left_out in exclude_patterns:
            source[0] = source[0].replace(f"../{left_out.removesuffix('.py')}\n", "")


def _alternatives(app: Any, doctree: Any) -> None:
    """A picture that a vignette drew is told of by its section, for those who cannot see it."""
    for image in doctree.findall(nodes.image):
        section = image
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        if not image.get("alt") and section is not None:
            image["alt"] = f"Picture of the section {section[0].astext()!r}, drawn by the code before it"


def setup(app: Any) -> None:
    app.connect("source-read", _with_figures)
    app.connect("doctree-read", _alternatives)
    app.connect("autodoc-process-docstring", docstrings.as_rst)
    app.connect("autodoc-process-signature", docstrings.short_signature)
    app.connect("object-description-transform", docstrings.short_types)
