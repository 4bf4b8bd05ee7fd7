"""The observers of one run: who hears of it, one by one, and how long they take.

Each is an object with some of the hooks of `RunHooks`; pluggy hands each hook those of its
arguments that it names. They are called between the steps. What one raises is told and costs
that one alone: it hears nothing more.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import pluggy

from harness.errors import PluginError, first_line
from harness.hookspecs import PROJECT, RunHooks

HOOKS = tuple(name for name in vars(RunHooks) if not name.startswith("_"))
Caller = Callable[..., Any]


class Observers:
    """Calls the hooks of all observers of a run, in the order in which they were chosen.

    Attributes:
      seconds: that all of them have taken so far.
    """

    def __init__(self, observers: Mapping[str, object], *, note: Callable[[str], None]) -> None:
        """Takes the observers by their names.

        Raises:
          PluginError: one has a hook that there is not, or an argument that a hook lacks.
        """
        self.seconds = 0.0
        self._note = note
        self._hearing = {name: _callers(name, one) for name, one in observers.items()}

    def run_start(self, *, run: Mapping[str, Any]) -> None:
        self._tell("run_start", run=run)

    def chunk_end(self, *, step: int, losses: Any, seconds: float) -> None:
        self._tell("chunk_end", step=step, losses=losses, seconds=seconds)

    def evaluation_end(self, *, epoch: int, values: Mapping[str, Any]) -> None:
        self._tell("evaluation_end", epoch=epoch, values=dict(values))

    def run_end(self, *, row: Mapping[str, Any]) -> None:
        self._tell("run_end", row=row)

    def _tell(self, hook: str, **arguments: Any) -> None:
        start = time.perf_counter()
        for name, callers in list(self._hearing.items()):
            try:
                callers[hook](**arguments)
            # one that calls sys.exit must not end the run
            except (Exception, SystemExit) as error:
                traceback.print_exc()
                del self._hearing[name]
                told = f"{type(error).__name__}: {first_line(error)}"
                self._note(f"observer {name} failed in {hook} and hears nothing more: {told}")
        self.seconds += time.perf_counter() - start


def _callers(name: str, observer: object) -> dict[str, Caller]:
    """An observer's hooks, each callable with all of its arguments."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(RunHooks)
    try:
        manager.register(observer)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        text = " ".join(str(error).split())
        raise PluginError(
            f"observer {name}: {text}; the hooks are {', '.join(HOOKS)}"
        ) from error
    if not manager.get_hookcallers(observer):
        raise PluginError(
            f"observer {name} has no hook; mark a method of {', '.join(HOOKS)} with "
            "@harness.hookimpl"
        )
    return {hook: getattr(manager.hook, hook) for hook in HOOKS}
