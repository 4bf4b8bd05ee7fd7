"""The site: the pages as they lie in the repository, and a reference from the docstrings.

The source directory is the repository's root (`make docs`), so that a page has one place, its
links hold on a forge and on the site alike, and the README and the plugin guides are pages too.
"""

from __future__ import annotations

import re
from importlib.metadata import version as installed
from typing import Any

import click
from sphinx.application import Sphinx
from typing_extensions import is_protocol

project = "Model-zoo harness"
copyright = "the authors, Apache-2.0"
version = release = installed("model-zoo-harness")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
root_doc = "docs/index"
include_patterns = [
    "*.md", "docs/**.md", "models/README.md", "datasets/README.md", "plugins/README.md",
    "examples/**.md",
    "benchmarks/README.md", "benchmarks/results/*.md",
]  # fmt: skip
exclude_patterns = [".*", "docs/_build"]

html_theme = "furo"
html_title = project
# the root's page sends readers on: the site's first page is docs/index.html
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]
html_copy_source = False

myst_heading_anchors = 3

# docstrings write code between single backticks
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_use_ivar = True

# the pages of results are written by programs, which begin at any level
suppress_warnings = ["myst.header"]


def setup(app: Sphinx) -> None:
    app.connect("sphinx-click-process-description", help_as_written)
    app.connect("sphinx-click-process-options", help_as_written)
    # before napoleon reads its sections
    app.connect("autodoc-process-docstring", docstring_as_written, priority=400)
    app.connect("autodoc-process-signature", without_constructor)


def help_as_written(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """What a command's help says is plain text: `transformer:*` is no emphasis."""
    lines[:] = [line.replace("*", r"\*") for line in lines]


def docstring_as_written(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Stars in docstrings are stars, whether between backticks or not."""
    lines[:] = [
        line
        if line.lstrip().startswith((">>>", "..."))
        else re.sub(r"(`[^`]*`)|\*", lambda found: found[1] or r"\*", line)
        for line in lines
    ]


def without_constructor(
    app: Sphinx, what: str, name: str, value: Any, *rest: Any
) -> tuple[str, None] | None:
    """A protocol is implemented, never constructed."""
    return ("", None) if what == "class" and is_protocol(value) else None
