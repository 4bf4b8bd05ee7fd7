"""Ctrl-C in a command's first moments, while the package is still being imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness

STOPS = """
import os, signal, sys

class Stops:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["STOP_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Stops())
"""


@pytest.mark.parametrize(
    "at", ["harness.api", "harness.plan", "harness.cli", "harness.cli.table"]
)
@pytest.mark.parametrize("as_module", [True, False])
def test_ctrl_c_ends_a_command_in_one_line_also_while_it_is_imported(
    at: str, as_module: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(STOPS)
    script = tmp_path / "harness"
    script.write_text("from harness.__main__ import main\nmain()\n")
    roots = [str(tmp_path), str(Path(harness.__file__).parents[1])]
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([*roots, os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("STOP_AT", at)
    words = ["-m", "harness"] if as_module else [str(script)]
    done = subprocess.run([sys.executable, *words, "list"], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (130, "harness: interrupted\n", "")


def test_ctrl_c_while_the_package_is_imported_is_left_to_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(STOPS)
    monkeypatch.setenv(
        "PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    )
    monkeypatch.setenv("STOP_AT", "harness.api")
    program = "try: import harness\nexcept KeyboardInterrupt: print('mine')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")
