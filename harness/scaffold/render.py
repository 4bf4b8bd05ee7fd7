"""Which files a new plugin begins with, and what stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import Literal

from packaging.version import Version

from harness.scaffold.names import check_name

KINDS = {"model": "model", "dataset": "data set"}


@dataclass(frozen=True)
class New:
    """What is wanted.

    Attributes:
      name: of the entry, a Python name in small letters.
      package: an installable distribution in place of one file.

    Raises:
      UsageError: Python could not import such a name, or would take it for another module.
    """

    kind: Literal["model", "dataset"]
    name: str
    package: bool = False

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def distribution(self) -> str:
        return self.name.replace("_", "-")


def render(new: New) -> dict[str, str]:
    """The texts of the files by their paths."""
    values = _values(new)
    code, test = f"{new.kind}.py.txt", "test.py.txt"
    if not new.package:
        places = {f"{new.name}.py": code, f"test_{new.name}.py": test}
        return {place: _fill(name, values) for place, name in places.items()}
    places = {
        f"src/{new.name}/__init__.py": code,
        f"tests/test_{new.name}.py": test,
        "pyproject.toml": "pyproject.toml.txt",
        "README.md": "readme.md.txt",
        ".github/workflows/tests.yml": "workflow.yml.txt",
    }
    return {
        f"{new.distribution}/{place}": _fill(name, values) for place, name in places.items()
    }


def _fill(template: str, values: Mapping[str, str]) -> str:
    text = (files("harness.scaffold") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(values)


def _values(new: New) -> dict[str, str]:
    here = Version(version("model-zoo-harness"))
    model, dataset = (new.name, "digits") if new.kind == "model" else ("majority", new.name)
    imports = "import harness\nimport pytest\nfrom harness import testing\n"
    selection, plugins = f'"{new.name}"', ""
    if not new.package:
        imports = f"from pathlib import Path\n\n{imports}"
        imports += f'\nPLUGIN = Path(__file__).with_name("{new.name}.py")\n'
        selection, plugins = "str(PLUGIN)", ", plugins=[PLUGIN]"
    return {
        "name": new.name,
        "module": new.name,
        "kind": KINDS[new.kind],
        "title": new.name.replace("_", " ").capitalize(),
        "class_name": "".join(part.capitalize() for part in new.name.split("_")),
        "distribution": new.distribution,
        "harness_version": here.public,
        # before 1.0 a minor version may change what plugins rely on
        "harness_next": f"{here.major + 1}" if here.major else f"0.{here.minor + 1}",
        "imports": imports,
        "selection": selection,
        "run": f'"{dataset}", "{model}"',
        "run_options": f"-d {dataset} -m {model}",
        "plugins": plugins,
    }
