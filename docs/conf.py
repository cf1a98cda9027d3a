"""Sphinx configuration. The chapters are notebooks in MyST Markdown: the build runs them and shows what they print."""

import contextlib
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

from sphinx_gallery.sorting import ExplicitOrder

import minigan
from minigan.runs import start
from minigan.runs.inspecting import inspect

sys.path.insert(0, str(Path(__file__).parent))  # where notebooks.py is

# The chapters' products are small: one thread is as fast as two, and does not fight with whatever else runs.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

project = "minigan"
author = "the minigan developers"
copyright = "2026, the minigan developers"
release = minigan.__version__

extensions = [
    "myst_nb",
    "notebooks",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "jupyter_execute", "gallery/*.ipynb"]  # the last are downloads, not pages
html_theme = "furo"
html_title = f"minigan {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
pygments_dark_style = "a11y-dark"  # as the light one is a11y-light; furo's own underlines the names of modules
copybutton_selector = "div.highlight:not(.cell_output *, .sphx-glr-script-out *) pre"  # code, not what it prints

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_render_markdown_format = "myst"

SYSTEMS = ("flux_mlp", "pytorch_mlp", "flux_dcgan", "keras_upconv", "renom_maxout")
QUESTIONS = ("optimal_discriminator", "dirac_gan", "minimax", "leaky_relu", "collapse")


def quick(gallery_conf, script_vars):
    """The arguments of each lesson: it shall train for seconds."""
    return ["--quick"]


sphinx_gallery_conf = {
    "examples_dirs": "../demos",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"^(?!plot_)",  # demos/ holds more than lessons: the museum, and helpers
    "within_subsection_order": ExplicitOrder([*(f"plot_{name}.py" for name in SYSTEMS + QUESTIONS), "*"]),
    "reset_argv": quick,
    "abort_on_example_error": True,
    "capture_repr": (),  # a lesson prints what it means to show
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e6,  # seconds: never
}
suppress_warnings = ["config.cache"]  # `quick` is a function, which Sphinx cannot keep from one build to the next
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")  # plt.show(), where nobody looks

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes say more, and stand in the docstrings
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


def show_a_step(app, exception):
    """Train for seconds, and leave the page of a step of it beside the chapters, for docs/inspect.md to open."""
    if exception is None and app.builder.format == "html":
        smaller = {"d_hidden": (32,), "batch_size": 64, "images": 3_000, "epochs": 4}
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            run = start("quick-mlp", out="short", dataset="glyphs", alarms=False, say=None, **smaller)
            inspect(run, Path(app.outdir) / "_static" / "step.html", samples=3, say=None)


def setup(app):
    app.connect("build-finished", show_a_step)
    app.connect("autodoc-process-docstring", plain_formulas)
