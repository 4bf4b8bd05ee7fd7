"""Names that would break or hide something are refused in one line, with another one."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.scaffold.names import check_name


@pytest.mark.parametrize("name", ["wide_and_deep", "a", "net2"])
def test_a_python_name_in_small_letters_is_taken(name: str):
    check_name(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("wide-and-deep", "use 'wide_and_deep'"),
        ("Wide And Deep", "use 'wide_and_deep'"),
        ("2nets", "use 'my_plugin'"),
        ("../net", "use 'net'"),
        ("", "use 'my_plugin'"),
        ("class", "word of Python's; use another one, such as 'my_class'"),
        ("json", "installed module"),
        ("numpy", "installed module"),
        ("harness", "installed module"),
        ("majority", "built-in plugin"),
    ],
)
def test_another_name_is_refused_with_a_suggestion(name: str, told: str):
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert told in str(caught.value) and "\n" not in str(caught.value)
