"""A plugin author's repository, whose models the working tree makes worse, each another way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLUGIN = '''
import jax
import jax.numpy as jnp
from flax import nnx

import harness


class Net(nnx.Module):
    width = 16

    def __init__(self, data, *, rngs):
        self.first = nnx.Linear(data.shape[0], self.width, rngs=rngs)
        self.last = nnx.Linear(self.width, data.num_classes, rngs=rngs)

    def between(self, h):
        return h

    def __call__(self, x):
        x = x.reshape(x.shape[0], -1).astype(jnp.float32)  # [b, t]
        return self.last(self.between(nnx.relu(self.first(x))))


class Plain(Net):
    """Stays as it is."""


class Wider(Net):
    """WIDER"""


class Called(Net):
    """CALLED"""


class Doubled(Net):
    """DOUBLED"""


class Again(Net):
    """AGAIN"""


@harness.hookimpl
def register_models(register):
    for cls in (Plain, Wider, Called, Doubled, Again):
        register(cls.__name__.lower(), cls)
'''
WORSE = {
    '"""WIDER"""': "width = 24",
    '"""CALLED"""': """
    def between(self, h):
        jax.debug.callback(lambda value: None, h.mean())
        return h
""",
    '"""DOUBLED"""': """
    def between(self, h):
        with jax.enable_x64(True):
            wide = jnp.sqrt(jax.lax.stop_gradient(h).astype(jnp.float64) ** 2)
            return wide.astype(jnp.float32) + h
""",
    '"""AGAIN"""': """
    seen = []

    @classmethod
    def note(cls, value):
        cls.seen.append(value)
        jnp.zeros(len(cls.seen)) + 1

    def between(self, h):
        jax.debug.callback(self.note, h.mean())
        return h
""",
}


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run([*command, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def make_repository(folder: Path, *, harness: bool = False) -> Path:
    """One commit of the plugin `zoo.py`, and of the harness itself if asked for."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "zoo.py").write_text(PLUGIN)
    if harness:
        leave_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "harness", folder / "harness", ignore=leave_out)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "base")
    return folder


def make_worse(folder: Path) -> None:
    """Each model but one becomes worse, in the working tree."""
    text = PLUGIN
    for mark, code in WORSE.items():
        assert mark in text
        text = text.replace(mark, code)
    (folder / "zoo.py").write_text(text)


def edit(path: Path, before: str, after: str) -> None:
    """Replaces what must be there."""
    text = path.read_text()
    assert before in text, f"{path.name} has no {before!r}"
    path.write_text(text.replace(before, after))
