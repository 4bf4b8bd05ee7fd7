"""Names that would break or hide something are refused in one line, with another one."""

from __future__ import annotations

import ast
from typing import Literal

import pytest

from harness.errors import UsageError
from harness.scaffold.names import USED, check_name
from harness.scaffold.render import New, render


@pytest.mark.parametrize("name", ["wide_and_deep", "a", "net2"])
def test_a_python_name_in_small_letters_is_taken(name: str):
    check_name(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("wide-and-deep", "use 'wide_and_deep'"),
        ("Wide And Deep", "use 'wide_and_deep'"),
        ("WideAndDeep", "use 'wide_and_deep'"),
        ("2nets", "use 'my_plugin'"),
        ("../net", "use 'net'"),
        ("", "use 'my_plugin'"),
        ("foo_", "use 'foo'"),
        ("a__b", "use 'a_b'"),
        ("np", "in the new files; use another one, such as 'my_np'"),
        ("conftest", "in the new files"),
        ("class", "word of Python's; use another one, such as 'my_class'"),
        ("json", "installed module"),
        ("numpy", "installed module"),
        ("harness", "in the new files"),
        ("majority", "built-in plugin"),
    ],
)
def test_another_name_is_refused_with_a_suggestion(name: str, told: str):
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_name_that_the_files_use_at_their_top_is_refused(kind: Literal["model", "dataset"]):
    texts = [t for p, t in render(New(kind, "two_towers")).items() if p.endswith(".py")]
    nodes = [node for text in texts for node in ast.parse(text).body]
    imports = (ast.Import, ast.ImportFrom)
    bound = {a.asname or a.name for n in nodes if isinstance(n, imports) for a in n.names}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert {"harness", "pytest"} < bound
    assert {name for name in bound if name.islower()} - {"two_towers"} <= USED
