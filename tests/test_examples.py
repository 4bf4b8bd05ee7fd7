"""The examples work: a distribution of someone else's, and the tutorial as a notebook."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from pages import ROOT, run_page

EXAMPLE = "examples/harness-brackets"
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"


def test_someone_elses_distribution_is_installed_found_checked_and_run(tmp_path: Path):
    folder = tmp_path / "harness-brackets"
    shutil.copytree(ROOT / EXAMPLE, folder)
    ran = run_page(f"{EXAMPLE}/README.md", folder, has_imdb=False)
    words = " ".join(ran)
    assert all(word in words for word in ("pip install", "list", "check", "run", "pytest"))
    binaries = tmp_path / "environment" / "bin"
    done = subprocess.run(
        [binaries / "python", "-c", FOUND], cwd=tmp_path, capture_output=True, text=True
    )
    found = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert (
        found["brackets"]
        == found["brackets_gru"]
        == ["distribution", "harness-brackets==0.1.0"]
    )
    assert found["digits"][0] == "built-in"


FOUND = """
import os
del os.environ["HARNESS_PLUGINS"]
from harness.index import open_registry
for (kind, name), entry in open_registry().entries.items():
    print(name, entry.source.origin, entry.source.label)
"""


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_kept_without_outputs(notebook: nbformat.NotebookNode):
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)


def test_the_notebook_names_the_measured_result(notebook: nbformat.NotebookNode):
    page = (ROOT / "benchmarks/results/imdb_tutorial.md").read_text()
    assert "0.8498" in page and "0.8498" in notebook.cells[0].source
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert "epochs = 10\n" in parameters.source and "learning_rate = 1e-4" in parameters.source


def test_the_notebook_reproduces_the_tutorial_on_a_slice(
    notebook: nbformat.NotebookNode, tmp_path: Path, real_imdb: bool
):
    if not real_imdb:
        pytest.skip("HARNESS_DATA_DIR holds no imdb/imdb.npz; the notebook was not run")
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    small = parameters.source.replace("epochs = 10", "epochs = 1")
    parameters.source = small.replace("limit = None", "limit = 640")
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 2
    assert all(base64.b64decode(png).startswith(b"\x89PNG") for png in pictures)
    printed = "".join(
        o.text for o in outputs if o.output_type == "stream" and o.name == "stdout"
    )
    assert "25000 training reviews" in printed
    # of the tutorial's six reviews three are in the slice
    assert printed.count("predicted:") == printed.count("actual:") == 3
    tables = [o.data["text/plain"] for o in outputs if "text/plain" in o.get("data", {})]
    assert any(table.count(" ok ") == 2 for table in tables), json.dumps(tables)
