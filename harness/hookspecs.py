"""The hooks that a plugin may implement.

The plugin's side is a verb: the harness hands it a `register` function, bound to that
plugin, and the plugin calls it once for each entry. Entries whose registration is cut
short by an exception are taken back, and the exception is kept for `harness plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pluggy

from harness.specs import DataFile

PROJECT = "harness"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Register(Protocol):
    """What a hook is given: call it once for each entry."""

    def __call__(
        self,
        name: str,
        factory: Callable[..., Any],
        *,
        variants: Mapping[str, Mapping[str, Any]] = {},
        description: str = "",
        paper: str = "",
        requires: Sequence[str] = (),
        exempt: Mapping[str, str] = {},
        files: Sequence[DataFile] = (),
    ) -> None:
        """Registers one entry.

        Args:
          name: what users type; letters, digits, `_`, `-` and `.`.
          factory: an `nnx.Module` class `(data, *, <parameters>, rngs)`, or for a data
            set a function `(*, <parameters>)` that returns a `Dataset`.
          variants: a variant's name, and the parameters it changes.
          description: one line for `harness list`; the docstring's first line if empty.
          paper: where the architecture or the data comes from.
          requires: import names without which the entry is `unavailable`.
          exempt: conformance checks that do not apply, each with its reason.
          files: the files that a data set needs.
        """
        ...


class Hooks:
    """The specifications, one method a hook."""

    @hookspec
    def register_models(self, register: Register) -> None:
        """Registers models: `register("name", ModuleClass, variants={...})`."""

    @hookspec
    def register_datasets(self, register: Register) -> None:
        """Registers data sets: `register("name", function)`."""
