import io
import sys

import pytest

from harness.progress import note, notes_to, report_to, task


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_reporter_hears_description_done_and_total() -> None:
    heard: list[tuple[str, int, int | None]] = []
    with report_to(lambda *values: heard.append(values)), task("reading") as tell:
        tell(3, None)
        tell(5, 9)
    assert heard == [("reading", 3, None), ("reading", 5, 9)]


def test_reporter_is_forgotten_after_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[object] = []
    with report_to(lambda *values: heard.append(values)):
        pass
    with task("reading") as tell:
        tell(1, 2)
    assert heard == []
    assert capsys.readouterr() == ("", "")


def test_inner_reporter_replaces_the_outer_one_for_its_block() -> None:
    outer: list[int] = []
    inner: list[int] = []
    with report_to(lambda _, done, total: outer.append(done)):
        with report_to(lambda _, done, total: inner.append(done)), task("a") as tell:
            tell(1, None)
        with task("b") as tell:
            tell(2, None)
    assert (inner, outer) == ([1], [2])


def test_terminal_gets_a_bar_that_may_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with task("downloading words.json") as tell:
        tell(2048, 4096)
        tell(0, 4096)
        tell(4096, 4096)
    assert "downloading words.json" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    assert "4.00k/4.00k" in terminal.getvalue()


def test_no_terminal_and_no_reporter_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with task("reading") as tell:
        tell(1, 1)
    assert capsys.readouterr() == ("", "")


def test_note_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    note("imdb: using a file")
    assert capsys.readouterr() == ("", "imdb: using a file\n")


def test_notes_go_to_the_listener_of_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    with notes_to(heard.append):
        note("one")
    note("two")
    assert heard == ["one"]
    assert capsys.readouterr().err == "two\n"


def test_process_without_standard_error_reports_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    note("nobody reads this")
    with task("reading") as tell:
        assert tell(1, 1) is None
