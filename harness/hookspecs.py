"""The hooks that a plugin may implement.

The plugin's side is a verb: the harness hands it a `register` function, bound to that
plugin, and the plugin calls it once for each entry. Entries whose registration is cut
short by an exception are taken back, and the exception is kept for `harness plugins`.

An observer, once it is registered and chosen, is an object with hooks of its own: `RunHooks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from harness.specs import DataFile

if TYPE_CHECKING:
    import numpy as np

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
          factory: what the hook says: for a model an `nnx.Module` class
            `(data, *, <parameters>, rngs)`, for a data set a function `(*, <parameters>)`
            that returns a `Dataset`.
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

    @hookspec
    def register_tasks(self, register: Register) -> None:
        """Registers tasks: functions `()` that return a `Task`.

        A data set names its task in `DataSpec.task`; nothing else chooses one.
        """

    @hookspec
    def register_metrics(self, register: Register) -> None:
        """Registers metrics: functions `(predictions, *, <parameters>)` that return a float.

        `predictions` is a `Predictions`. Where a metric makes no sense it raises
        `Unsupported`, and has no value.
        """

    @hookspec
    def register_optimizers(self, register: Register) -> None:
        """Registers optimizers: functions `(learning_rate, *, <parameters>)`.

        `learning_rate` is a float or an optax schedule; the function returns an
        `optax.GradientTransformation`.
        """

    @hookspec
    def register_observers(self, register: Register) -> None:
        """Registers observers: classes or functions `(*, <parameters>)`.

        What they return is an object with some of the hooks of `RunHooks`.
        """


class RunHooks:
    """A run's life, as an observer hears it: methods marked `@harness.hookimpl`.

    An observer implements those that it wants, with those of their arguments that it wants.
    It runs in the process of the run, between its steps and never in one; its time is the
    column `observer_s`. One that raises hears nothing more, and the run goes on.
    """

    @hookspec
    def run_start(self, run: Mapping[str, Any]) -> None:
        """Before the data are loaded. `run` holds the columns that are planned."""

    @hookspec
    def chunk_end(self, step: int, losses: np.ndarray, seconds: float) -> None:
        """Some training steps have been taken.

        `step` steps so far in the run; `losses` float32 [k] of those of this chunk, which
        took `seconds`.
        """

    @hookspec
    def evaluation_end(self, epoch: int, values: Mapping[str, Any]) -> None:
        """An epoch, from 1, has been evaluated. `values` are its history's columns."""

    @hookspec
    def run_end(self, row: Mapping[str, Any]) -> None:
        """The run is over, however it ended. `row` holds what is known of its columns."""
