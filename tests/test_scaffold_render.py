"""The files that a plugin begins with are whole, and say what they have to."""

from __future__ import annotations

import ast
import tomllib
from typing import Literal

import pytest

from harness.scaffold import render as rendering
from harness.scaffold.render import New, render

Kind = Literal["model", "dataset"]


@pytest.mark.parametrize("kind", ["model", "dataset"])
@pytest.mark.parametrize("package", [False, True])
def test_every_file_is_filled_in(kind: Kind, package: bool):
    texts = render(New(kind, "two_towers", package))
    for place, text in texts.items():
        assert "$" not in text.replace("${{ matrix.python }}", ""), place
        assert "://" not in text, place
        assert max(map(len, text.splitlines())) <= 100, place
        if place.endswith(".py"):
            ast.parse(text)
    assert len(texts) == (5 if package else 2)


def test_a_file_and_its_test_lie_beside_each_other():
    texts = render(New("model", "two_towers"))
    assert list(texts) == ["two_towers.py", "test_two_towers.py"]
    assert "class TwoTowers(nnx.Module):" in texts["two_towers.py"]
    assert 'Path(__file__).with_name("two_towers.py")' in texts["test_two_towers.py"]


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_distribution_names_its_entry_point_and_its_harness(kind: Kind):
    texts = render(New(kind, "two_towers", package=True))
    assert {place.partition("/")[0] for place in texts} == {"two-towers"}
    project = tomllib.loads(texts["two-towers/pyproject.toml"])
    assert project["project"]["entry-points"]["harness"] == {"two_towers": "two_towers"}
    assert project["project"]["name"] == "two-towers"
    (requirement,) = project["project"]["dependencies"]
    assert requirement.startswith("model-zoo-harness>=0.1") and requirement.endswith("<0.2")
    (test,) = project["dependency-groups"]["test"]
    assert test.startswith("pytest")


@pytest.mark.parametrize(
    ("here", "wanted"),
    [
        ("0.2rc1", ">=0.2rc1,<0.3"),
        ("0.2.1.dev3+local", ">=0.2.1.dev3,<0.3"),
        ("1", ">=1,<2"),
    ],
)
def test_any_version_of_the_harness_has_a_next_one(
    here: str, wanted: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rendering, "version", lambda name: here)
    texts = render(New("model", "two_towers", package=True))
    (requirement,) = tomllib.loads(texts["two-towers/pyproject.toml"])["project"][
        "dependencies"
    ]
    assert requirement == f"model-zoo-harness{wanted}"


@pytest.mark.parametrize("package", [False, True])
def test_the_tests_need_only_pytest(package: bool):
    for place, text in render(New("model", "two_towers", package)).items():
        if "test_" in place:
            nodes = list(ast.walk(ast.parse(text)))
            found = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
            found |= {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
            assert found <= {"pytest", "harness", "pathlib"}
