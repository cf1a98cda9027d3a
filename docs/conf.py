"""Sphinx configuration. The chapters are notebooks in MyST Markdown: the build runs them and shows what they print."""

import os
import re

import minigan

# The chapters' products are small: one thread is as fast as two, and does not fight with whatever else runs.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

project = "minigan"
author = "the minigan developers"
copyright = "2026, the minigan developers"
release = minigan.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx-mathjax-offline"]
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "furo"
html_title = f"minigan {release}"

myst_enable_extensions = ["amsmath", "dollarmath"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_render_markdown_format = "myst"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes say more, and stand in the docstrings
autodoc_default_options = {"members": True, "show-inheritance": False}
default_role = "code"

HEADINGS = ("Shapes:", "Gradient:", "Raises", "Source:", "Attributes:", "Unit")


def plain_formulas(app, what, name, obj, options, lines):
    """Let *, | and _ in a docstring mean themselves, and each of its headings begin a line."""
    out = []
    for line in lines:
        parts = line.split("`")
        parts[::2] = [re.sub(r"([*|_])", r"\\\1", part) for part in parts[::2]]
        if line.startswith(HEADINGS):
            out.append("")
        out.append("`".join(parts))
    lines[:] = out


def setup(app):
    app.connect("autodoc-process-docstring", plain_formulas)
