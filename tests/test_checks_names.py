"""The page about the checks and the list of their names are in step."""

from __future__ import annotations

import re
from pathlib import Path

from harness.checks import names
from harness.plugins import HOOKS

PAGE = Path(__file__).parent.parent / "docs" / "checks.md"


def test_the_page_has_every_check_in_its_order():
    sections = {
        part.partition("\n")[0]: re.findall(r"^\| `(\w+)` \| .+ \|$", part, re.MULTILINE)
        for part in PAGE.read_text().split("\n## ")[1:]
    }
    assert tuple(sections["Models"]) == names.MODEL
    assert tuple(sections["Data sets"]) == names.DATASET


def test_names_are_told_apart_and_belong_to_a_kind():
    assert len(set(names.ALL)) == len(names.ALL)
    assert names.ALL == tuple(name for kind in names.OF.values() for name in kind)
    assert set(names.OF) <= set(HOOKS.values())
