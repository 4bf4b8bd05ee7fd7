"""Pages of reports, read as a browser would, for the tests of what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

from stored import make_answered, make_row

from harness.report import Asked, Data
from harness.report.document import read_document
from harness.report.page import to_html
from harness.rows import Result, Row
from harness.store import Store


class Page(HTMLParser):
    """What a page is made of, as a browser would read it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style" and data.strip():
            self.words.append(data.strip())
        self._inside = "" if self._inside == "script" else self._inside

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.tags if "id" in attributes]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def html_of(store: Store, **asked: Any) -> str:
    return to_html(read_document(store, Asked(rows=store.rows(), **asked)))


def page_of(store: Store, **asked: Any) -> Page:
    return Page(html_of(store, **asked))


def answered(row: Row, wrong: Sequence[int] = ()) -> Result:
    label = [i % 2 for i in range(20)]
    said = [1 - y if i in wrong else y for i, y in enumerate(label)]
    return make_answered(row, label=label, predicted=said)


def two_models(store: Store) -> None:
    for seed in (0, 1):
        store.add(answered(make_row("good", seed=seed, step_ms_p50=1.0, param_count=5), [1]))
        store.add(
            answered(make_row("bad", seed=seed, step_ms_p50=2.0, param_count=9), [2, 3, 4])
        )


def decode(row: Row) -> Data:
    assert row["dataset"] == "digits"

    def texts(indices: Sequence[int]) -> Mapping[int, str]:
        return {index: f"text of {index}" for index in indices}

    return Data(("cat", "dog"), texts)
