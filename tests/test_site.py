"""The site: it builds without a warning, and everything public is in it."""

from __future__ import annotations

import re
import subprocess
import sys
import types
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest
from pages import ROOT, pages

import harness
from harness.cli import cli

# documents that are no pages: what `harness new` writes is filled in first
NO_PAGES = re.compile(r"harness/scaffold/")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    done = subprocess.run(
        [*words, "-c", "docs", ".", folder], cwd=ROOT, capture_output=True, text=True
    )
    # one that is in no table of contents is a warning as well
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def described(site: Path) -> set[str]:
    """The names that have an entry: Python's, and `harness-run.--epochs` for options."""
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(packed).decode().splitlines()
    return {line.split(" ")[0] for line in lines}


def test_every_document_is_a_page(site: Path):
    documents = [name for name in pages() if not NO_PAGES.search(name)]
    missing = [name for name in documents if not (site / name).with_suffix(".html").exists()]
    assert not missing, f"add to include_patterns of docs/conf.py: {missing}"


def test_every_public_name_has_an_entry(described: set[str]):
    public = {
        f"harness.{name}"
        for name, value in vars(harness).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert len(public) > 10
    missing = sorted(public - described)
    assert not missing, f"add to docs/reference/python.md or plugins.md: {missing}"


def test_every_option_of_every_command_has_an_entry(described: set[str]):
    wanted = {
        f"{'-'.join(names)}.{option}"
        for names, command in commands(("harness",), cli)
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts[-1:]
    }
    assert {"harness-run.--epochs", "harness-store-export.--store"} <= wanted
    assert not wanted - described


def test_every_command_has_a_section(site: Path):
    ids = _Page(site / "docs/reference/command.html").ids
    wanted = {"-".join(names) for names, _ in commands(("harness",), cli)}
    assert {"harness-predict", "harness-check", "harness-plugins-doctor"} <= wanted
    assert not wanted - ids


def commands(names: tuple[str, ...], command: click.Command) -> list:
    """Every command below this one, with the words that call it."""
    found: list = [(names, command)]
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            found += commands((*names, name), one)
    return found


class _Page(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def test_links_within_the_site_lead_somewhere(site: Path):
    found = {path: _Page(path) for path in site.rglob("*.html")}
    checked = 0
    for path, page in found.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            checked += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path}: {link}"
            if target in found and target.name not in ("search.html", "genindex.html"):
                assert unquote(parts.fragment) in found[target].ids, f"{path}: {link}"
    assert checked > 1000


def test_reading_the_site_loads_nothing_from_elsewhere(site: Path):
    loading = re.compile(
        r"""<(?:script|img|iframe|link[^>]*stylesheet)[^>]*(?:src|href)="http"""
    )
    for path in site.rglob("*.html"):
        assert not loading.search(path.read_text(encoding="utf-8")), path
