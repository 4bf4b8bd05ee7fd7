"""That a page does no harm: nothing runs, nothing is asked for, the bytes are the same."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_pages import Page, answered, decode, two_models
from stored import failed_row, make_row

from harness.report import Asked, Data
from harness.report.document import read_document
from harness.report.page import to_html
from harness.rows import Result
from harness.store import Store, open_store

NASTY = "<script>alert('x')</script>\"&\N{ROBOT FACE}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        yield opened


def test_what_a_store_says_is_shown_and_never_run(store: Store, shared_cache: Path):
    log = shared_cache / "logs" / "nasty.log"
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(f"{NASTY}</pre>\0\xff".encode("latin-1", "replace"))
    for model in (NASTY, "other"):
        store.add(answered(make_row(model, dataset=NASTY, optimizer=NASTY, host=NASTY), [3]))
    store.add(answered(make_row("third", dataset=NASTY), [4]))
    store.add(Result(row=failed_row(NASTY, error_message=NASTY, error_type=NASTY,
                                    log_path=str(log))))  # fmt: skip
    store.add_gate(
        [
            {
                "gate_id": "g",
                "cell": NASTY,
                "verdict": "pass",
                "ratio": 1.0,
                "head": NASTY,
                "ratio_low": 0.9,
                "ratio_high": 1.1,
            }
        ]
    )
    document = read_document(
        store,
        Asked(rows=store.rows(), conditions=[NASTY],
              load=lambda row: Data((NASTY, "b"), lambda some: dict.fromkeys(some, NASTY))),
    )  # fmt: skip
    text = to_html(document)
    page = Page(text)
    assert len(page.scripts) == 1 and text.count("<script") == 1
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert page.text.count("<script>alert(") > 10
    assert "\0" not in text


def test_nothing_is_asked_for_and_only_the_script_that_is_named_may_run(store: Store):
    two_models(store)
    text = to_html(read_document(store, Asked(rows=store.rows())))
    page = Page(text)
    (policy,) = [a["content"] or "" for tag, a in page.tags if tag == "meta" and "content" in a
                 and a.get("http-equiv") == "Content-Security-Policy"]  # fmt: skip
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert not {tag for tag, _ in page.tags} & {"img", "link", "iframe", "object", "audio"}
    assert not re.search(r"(?:src|href)=\"(?!#)", text) and "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_the_same_store_gives_the_same_bytes(store: Store):
    two_models(store)
    first, second = (
        to_html(read_document(store, Asked(rows=store.rows(), load=decode))) for _ in range(2)
    )
    assert first == second
