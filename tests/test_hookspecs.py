"""The hooks and what `register` takes: names that are added to, never changed."""

from __future__ import annotations

import inspect
from typing import get_args

import harness
from harness import hookspecs, plugins
from harness.entries import Kind


def test_each_kind_of_entry_has_its_hook() -> None:
    names = [name for name in vars(hookspecs.Hooks) if not name.startswith("_")]
    assert {"register_datasets", "register_models"} < set(names)  # the contract's
    assert names == [*dict.fromkeys(names)]
    assert sorted(f"register_{kind}s" for kind in get_args(Kind)) == sorted(names)
    assert sorted(plugins.HOOKS) == sorted(names)


def test_each_hook_is_given_register_and_nothing_else() -> None:
    for name in plugins.HOOKS:
        parameters = inspect.signature(vars(hookspecs.Hooks)[name]).parameters
        assert list(parameters) == ["self", "register"]


def test_register_has_the_fields_of_the_contract() -> None:
    parameters = inspect.signature(hookspecs.Register.__call__).parameters
    assert list(parameters)[1:8] == [
        "name", "factory", "variants", "description", "paper", "requires", "exempt",
    ]  # fmt: skip
    keyword_only = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert keyword_only == [*parameters][3:]
    assert all(parameters[name].default is not inspect.Parameter.empty for name in keyword_only)


def test_the_registry_takes_what_the_hook_declares() -> None:
    declared = inspect.signature(hookspecs.Register.__call__).parameters
    taken = inspect.signature(plugins.make_entry).parameters
    assert set(declared) - {"self"} <= set(taken)


def test_hookimpl_of_the_package_marks_for_the_manager() -> None:
    class Plugin:
        @harness.hookimpl
        def register_models(self, register: hookspecs.Register) -> None: ...

    manager = plugins.new_manager()
    manager.register(Plugin())
    assert len(manager.hook.register_models.get_hookimpls()) == 1


def test_two_managers_share_nothing() -> None:
    first, second = plugins.new_manager(), plugins.new_manager()
    first.register(type("Plugin", (), {})(), name="only here")
    assert first.has_plugin("only here")
    assert not second.has_plugin("only here")
