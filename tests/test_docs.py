"""The documents keep their word: commands and snippets run, hooks and columns are all there."""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from gate_answers import Answers
from gate_repository import git
from pages import ROOT, blocks, pages, run_page

from harness.cli import cli
from harness.hookspecs import Hooks, Register, RunHooks
from harness.observers import HOOKS
from harness.rows import COLUMNS
from harness.table.render import EXPECTED, JOINED, MARKS, TIGHT

# pages whose blocks are run, and what must be among their commands
RUN = {
    "README.md": {
        "run",
        "list",
        "table",
        "compare",
        "report",
        "inspect",
        "gate",
        "store",
        "data",
    },
    "datasets/README.md": {"run", "check"},
    "docs/checks.md": {"check"},
    "docs/hooks.md": set(),
    "docs/howto/ablation.md": {"run", "table", "report", "store"},
    "docs/howto/ci.md": {"new", "gate"},
    "docs/howto/cluster.md": set(),
    "docs/howto/csv.md": {"check", "new", "run"},
    "docs/howto/devices.md": {"run"},
    "docs/howto/embedding.md": {"run"},
    "docs/howto/report.md": {"run", "report"},
    "docs/howto/text.md": {"run", "predict", "inspect", "check"},
    "docs/tutorial.md": {"check", "run", "table", "report", "new", "list"},
    "models/README.md": {"run", "check"},
    "plugins/README.md": {"run"},
}
# as many blocks may say that they cannot be run; each has its reason in the page
NOT_RUN = 14
# each tells what was run when it was measured, on which machine and at which commit; that is
# its record, and takes minutes to hours
RECORDS = "benchmarks/results/"


@pytest.mark.parametrize("page", sorted(RUN))
def test_what_a_page_tells_its_reader_to_do_works(
    page: str, tmp_path: Path, real_imdb: bool, described_here: None,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    Answers().replay(monkeypatch)  # the base of a gate is asked once
    folder = tmp_path / "reader"
    folder.mkdir()
    if page == "README.md":
        prepare_repository(folder)
    ran = run_page(page, folder, has_imdb=real_imdb)
    words = {
        command.split("harness ")[1].split()[0] for command in ran if "harness " in command
    }
    assert RUN[page] <= words
    if page == "README.md":
        assert (folder / "rows.json").exists()
        assert (folder / "report.html").exists()
        drawn = {path.name for path in (folder / "figures").iterdir()}
        assert {"train_loss.png", "test_metrics.png", "learning_curves.png"} <= drawn
    if page == "plugins/README.md":  # 160 examples in batches of 32
        rows = (folder / "curve.csv").read_text().splitlines()
        assert [row.rpartition(",")[0] for row in rows] == [
            f"mean_pool 0,{n}" for n in range(1, 6)
        ]


def prepare_repository(folder: Path) -> None:
    """The README's files, committed: it compares its plugin with the last commit."""
    git(folder, "init", "--quiet")
    for block in blocks("README.md"):
        if block.file:
            (folder / block.file).write_text(block.text)
    assert {path.name for path in folder.iterdir()} == {".git", "bag.py", "suite.toml"}
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "plugin")


def test_every_page_with_something_to_do_is_run():
    """A page that is new belongs into RUN, or its blocks say why they are not run."""
    forgotten = {
        block.place
        for page in pages()
        for block in blocks(page)
        if page not in RUN
        and not page.startswith("examples/")  # tests/test_examples.py
        and "not run" not in block.marks
        and (block.commands or block.language == "python")
    }
    assert not forgotten, "add the page to RUN, or say why as tests/pages.py shows"


def test_what_looks_like_a_command_is_run_or_says_why_not():
    """In indented blocks and in fences of a shell nothing is run."""
    unasked = {b.place for page in pages() if not page.startswith(RECORDS)
               for b in blocks(page) if b.unasked}  # fmt: skip
    assert not unasked, "make it a `console` block, or say why as tests/pages.py shows"


@pytest.mark.parametrize(
    "shown", ["    make\n", "```sh\nmake\n```\n", "- item\n\n  ```bash\n  make\n  ```\n"]
)
def test_a_command_in_another_kind_of_block_is_seen(
    shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pages.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(f"# Title\n\n{shown}")
    assert [block.unasked for block in blocks("page.md")] == [True]
    (tmp_path / "page.md").write_text("# Title\n\n```text\nmake\n```\n")
    assert [block.unasked for block in blocks("page.md")] == [False]


def test_few_blocks_are_not_run_and_say_why():
    told = {
        block.place: block.marks["not run"]
        for page in pages()
        for block in blocks(page)
        if "not run" in block.marks
    }
    assert len(told) <= NOT_RUN, told


def test_imdb_was_at_hand(real_imdb: bool):
    needing = [b.place for page in RUN for b in blocks(page) if b.marks.get("needs") == "imdb"]
    assert needing
    if not real_imdb:
        pytest.skip(f"HARNESS_DATA_DIR holds no imdb/imdb.npz; not run: {', '.join(needing)}")


def test_commands_that_are_not_run_exist_with_their_options():
    checked = 0
    for page in pages():
        for block in blocks(page):
            lines = block.commands if "not run" in block.marks else []
            if block.language == "yaml":
                lines = workflow_commands(block.text)
            for line in lines:
                if "harness " in line:
                    words = shlex.split(line[line.index("harness ") :], comments=True)
                    parse_only([w for w in words[1:] if w != "||"], block.place)
                    checked += 1
    assert checked >= 4


def workflow_commands(text: str) -> list[str]:
    """The `harness` commands of a workflow, without what the shell makes of their result."""
    joined = text.replace("\\\n", " ").replace("run: |\n", "")
    return [line.split("||")[0] for line in joined.splitlines() if "harness gate" in line]


def parse_only(words: list[str], place: str) -> None:
    """Reads a command's words as the command line does, and does nothing with them."""
    context = click.Context(cli, info_name="harness")
    name, command, rest = cli.resolve_command(context, words)
    assert command is not None, f"{place}: {words}"
    command.make_context(name, rest, parent=context)


def test_blocks_that_are_only_shown_can_be_read():
    for page in pages():
        for block in blocks(page):
            if block.language == "toml":
                tomllib.loads(block.text)
            elif block.language == "python":
                compile(block.text, block.place, "exec")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```console\n$ exit 3\n```\n", "exits with 3"),
        ("<!-- exits with: 3 -->\n```console\n$ true\n```\n", "exits with 0"),
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("```console\nexit 3\n```\n", "no `\\$ `"),
    ],
)
def test_a_page_that_does_not_work_is_told_with_its_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "page.md").write_text(f"# Title\n\n{text}")
    monkeypatch.setattr("pages.ROOT", tmp_path)
    (folder := tmp_path / "reader").mkdir()
    with pytest.raises(AssertionError, match=rf"(?s)page.md:\d.*{said}"):
        run_page("page.md", folder, has_imdb=False)


def test_make_has_the_readmes_targets():
    text = (ROOT / "Makefile").read_text()
    readme = (ROOT / "README.md").read_text()
    wanted = set(re.findall(r"(?:^\$ |`)make (\w+)", readme, re.MULTILINE))
    assert {"run", "test"} <= wanted
    for target in wanted:
        assert re.search(rf"^{target}:", text, re.MULTILINE), target


def test_every_hook_is_documented_with_its_exact_arguments():
    text = (ROOT / "docs/hooks.md").read_text()
    hooks = [f for name, f in inspect.getmembers(Hooks, inspect.isfunction)]
    assert len(hooks) >= 2
    for hook in hooks:
        names = [name for name in inspect.signature(hook).parameters if name != "self"]
        assert f"\n## {hook.__name__}({', '.join(names)})\n" in text
    for name in HOOKS:
        names = [
            n for n in inspect.signature(getattr(RunHooks, name)).parameters if n != "self"
        ]
        assert f"\n### {name}({', '.join(names)})\n" in text
    described = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert described == [
        p for p in inspect.signature(Register.__call__).parameters if p != "self"
    ]


def test_every_column_is_documented_under_its_group():
    text = (ROOT / "docs/columns.md").read_text()
    found: list[tuple[str, str]] = []
    group = ""
    for line in text.splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif line.startswith("| `"):
            found += [(group, name) for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(found) == sorted((c.group, c.name) for c in COLUMNS)


def test_the_method_speaks_of_columns_that_there_are():
    text = (ROOT / "docs/method.md").read_text()
    spoken = set(
        re.findall(r"`(\w+_(?:s|ms|p50|p90|mean|pct|bytes|accuracy|count|hash))`", text)
    )
    assert {"compile_s", "first_step_ms", "step_ms_p50", "host_overhead_pct"} <= spoken
    assert spoken <= {column.name for column in COLUMNS}


def test_the_method_has_every_column_of_a_table_that_is_not_shown_unasked():
    text = (ROOT / "docs/method.md").read_text()
    hidden = {*TIGHT, *MARKS, *(EXPECTED & {*JOINED}), "accuracy_sd", "vs_parent_sd"}
    assert [name for name in sorted(hidden) if f"`{name}`" not in text] == []


def test_links_between_pages_lead_somewhere():
    for page in map(ROOT.joinpath, pages()):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page}: {target}"
