"""A broken plugin costs itself alone; every test has a plugin manager of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from harness import plugins
from harness.entries import Entry, Failure, Source
from harness.errors import HarnessError, PluginError
from harness.registry import Registry, join
from harness.sources import file_source

HEAD = """
from __future__ import annotations
import harness

class Net:
    def __init__(self, data: harness.DataSpec, *, width: int = 8, rngs) -> None: ...
"""
GOOD = (
    HEAD
    + """
@harness.hookimpl
def register_models(register):
    register("good", Net, variants={"wide": {"width": 64}})
"""
)

Load = Callable[..., list[Entry] | Failure]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads texts as plugin files, in one manager of this test."""
    manager = plugins.new_manager()

    def load_text(text: str, name: str = "broken.py") -> list[Entry] | Failure:
        path = tmp_path / name
        path.write_text(dedent(text))
        return plugins.load(manager, file_source(path))

    return load_text


def registering(call: str) -> str:
    return f"{HEAD}\n@harness.hookimpl\ndef register_models(register):\n    {call}\n"


BROKEN: dict[str, tuple[str, str, str]] = {
    "raises on import": ("raise OSError('no luck\\nsecond line')", "OSError", "no luck"),
    "is no Python": ("def (:", "SyntaxError", "invalid syntax"),
    "imports what is absent": ("import no_such_package", "ModuleNotFoundError", "no_such"),
    "exits on import": ("import sys; sys.exit(3)", "SystemExit", "3"),
    "exits silently": ("raise SystemExit", "SystemExit", "SystemExit"),
    "raises half-way": (
        registering("register('first', Net); 1 / 0"), "ZeroDivisionError", "division",
    ),
    "exits half-way": (registering("register('first', Net); exit(4)"), "SystemExit", "4"),
    "misspells a hook": (
        GOOD.replace("register_models", "register_model"),
        "PluginError", "unknown hook 'register_model'",
    ),
    "misspells one of two hooks": (
        GOOD + "@harness.hookimpl\ndef register_dataset(register): ...",
        "PluginError", "unknown hook 'register_dataset'",
    ),
    "names the argument otherwise": (
        GOOD.replace("(register)", "(reg)"), "PluginError", "'reg'",
    ),
    "takes an argument too many": (
        GOOD.replace("(register)", "(register, data)"), "PluginError", "'data'",
    ),
    "forgets the mark": (
        GOOD.replace("@harness.hookimpl", ""), "PluginError", "@harness.hookimpl",
    ),
    "registers nothing": (registering("pass"), "PluginError", "registers nothing"),
    "is empty": ("", "PluginError", "registers nothing"),
    "takes no register": (
        GOOD.replace("(register):\n    register(", "():\n    print("),
        "TypeError", "variants",
    ),
    "gives a parameter no default": (
        GOOD.replace("width: int = 8", "width: int"), "PluginError", "no default",
    ),
    "annotates what cannot be typed": (
        GOOD.replace("width: int = 8", "width: list = []"), "PluginError", "list",
    ),
    "annotates an unknown name": (
        GOOD.replace("width: int", "width: Width"), "PluginError", "Width",
    ),
    "annotates nothing": (
        GOOD.replace("width: int = 8", "width=8"), "PluginError", "no annotation",
    ),
    "defaults outside its bounds": (
        GOOD.replace("width: int", "width: Annotated[int, Ge(9)]").replace(
            "import harness", "import harness\nfrom typing import Annotated\n"
            "from annotated_types import Ge",
        ),
        "PluginError", "width=8: expected int >= 9",
    ),
    "has no rngs": (GOOD.replace(", rngs", ""), "PluginError", "no rngs"),
    "registers a number": (registering("register('n', 3)"), "PluginError", "3"),
    "registers a name twice": (
        registering("register('n', Net); register('n', Net)"), "PluginError", "twice",
    ),
    "gives an unknown field": (
        registering("register('n', Net, colour='red')"), "TypeError", "colour",
    ),
    "requires no module": (
        registering("register('n', Net, requires=('',))"), "PluginError", "requires ''",
    ),
    "requires a number": (
        registering("register('n', Net, requires=[5])"), "PluginError", "requires 5",
    ),
    "requires a string": (
        registering("register('n', Net, requires='torch')"), "PluginError", "'torch'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_recorded_and_costs_nothing_else(case: str, load: Load) -> None:
    text, error_type, told = BROKEN[case]
    failure = load(text)
    assert isinstance(failure, Failure)
    assert failure.error_type == error_type
    assert told in failure.message
    assert len(failure.message.splitlines()) == 1
    assert failure.traceback.startswith("Traceback") and error_type in failure.traceback
    good = load(GOOD, "good.py")
    assert isinstance(good, list) and [e.name for e in good] == ["good"]


@pytest.mark.parametrize("case", BROKEN)
def test_nothing_of_a_broken_plugin_stays(case: str, tmp_path: Path) -> None:
    manager = plugins.new_manager()
    path = tmp_path / "broken.py"
    path.write_text(BROKEN[case][0])
    source = file_source(path)
    registry = join([(source, plugins.load(manager, source))])
    assert registry.entries == {}
    assert [f.source for f in registry.failures] == [source]
    assert manager.get_plugins() == set()
    assert manager.hook.register_models.get_hookimpls() == []


def test_two_faults_of_one_plugin_do_not_reach_the_next(load: Load) -> None:
    """The unknown hook is parsed before the wrong argument is refused."""
    both = GOOD.replace("(register)", "(reg)")
    both += "@harness.hookimpl\ndef register_dataset(register): ..."
    assert isinstance(load(both), Failure)
    assert isinstance(load(GOOD, "good.py"), list)


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "a[b]", "*", "-a", ".a", "a=1", "a,b", "ä", "a\n", 'a"', 5, None]
)
def test_names_that_cannot_be_typed_are_refused(name: Any, load: Load) -> None:
    failure = load(registering(f"register({name!r}, Net)"))
    assert isinstance(failure, Failure)
    assert (failure.error_type, repr(name) in failure.message) == ("PluginError", True)


@pytest.mark.parametrize("name", ["a", "A-1", "x.y", "_hidden", "9lives", "mean_pool"])
def test_names_of_letters_digits_and_marks_are_taken(name: str, load: Load) -> None:
    entries = load(registering(f"register({name!r}, Net)"))
    assert isinstance(entries, list) and entries[0].name == name


@pytest.mark.parametrize(
    ("variants", "told"),
    [
        ({"wide": {"widht": 64}}, "did you mean 'width'"),
        ({"wide": {"width": "64"}}, "expected int"),
        ({"wide": {"width": None}}, "width=none"),
        ({"a b": {"width": 64}}, "'a b'"),
        ({"*": {"width": 64}}, "'*'"),
        ({"": {"width": 64}}, "''"),
        ({5: {"width": 64}}, "5"),
        ({"wide": 64}, "'wide'"),
        ({"wide": ["width"]}, "'wide'"),
        (["wide"], "['wide']"),
        ("wide", "'wide'"),
        (None, "None"),
    ],
)
def test_bad_variants_are_refused(variants: Any, told: str, load: Load) -> None:
    failure = load(registering(f"register('net', Net, variants={variants!r})"))
    assert isinstance(failure, Failure)
    assert failure.error_type == "PluginError"
    assert told in failure.message
    assert "'net'" in failure.message


def test_variant_values_are_kept_in_their_type(load: Load) -> None:
    entries = load(registering("register('net', Net, variants={'wide': {'width': 64.0}})"))
    assert isinstance(entries, list)
    value = entries[0].variants["wide"]["width"]
    assert (type(value), value) == (int, 64)


def test_an_entry_holds_what_was_registered(load: Load) -> None:
    fields = "description='d', paper='p', requires=('torch',), exempt={'batch': 'why'}"
    (entry,) = load(registering(f"register('net', Net, {fields})"))  # type: ignore[misc]
    assert isinstance(entry, Entry)
    assert (entry.kind, entry.name) == ("model", "net")
    assert (entry.description, entry.paper) == ("d", "p")
    assert entry.requires == ("torch",)
    assert entry.exempt == {"batch": "why"}
    assert entry.defaults == {"width": 8}
    assert entry.build().__name__ == "Net"


def test_docstring_stands_in_for_the_description(load: Load) -> None:
    text = registering("register('net', Net)").replace(
        "class Net:", "class Net:\n    '''First line.\n\n    More.'''\n"
    )
    (entry,) = load(text)  # type: ignore[misc]
    assert isinstance(entry, Entry) and entry.description == "First line."


def test_a_description_is_one_line(load: Load) -> None:
    (entry,) = load(registering("register('n', Net, description='one\\n  two')"))  # type: ignore[misc]
    assert isinstance(entry, Entry) and entry.description == "one two"


def test_both_kinds_from_one_plugin(load: Load) -> None:
    text = GOOD + (
        "def data(*, size: int = 3) -> harness.Dataset: ...\n"
        "@harness.hookimpl\n"
        "def register_datasets(register):\n    register('good', data)\n"
    )
    entries = load(text)
    assert isinstance(entries, list)
    assert {(e.kind, e.name) for e in entries} == {("dataset", "good"), ("model", "good")}


def test_annotations_known_to_type_checkers_only_do_not_matter(load: Load) -> None:
    entries = load("""
        from __future__ import annotations
        from typing import TYPE_CHECKING
        import harness
        if TYPE_CHECKING:
            from flax import nnx
            from harness.specs import DataSpec

        class Net:
            def __init__(self, data: DataSpec, *, width: int = 8, rngs: nnx.Rngs) -> None: ...

        @harness.hookimpl
        def register_models(register: harness.hookspecs.Register) -> None:
            register("net", Net)
    """)
    assert isinstance(entries, list) and entries[0].defaults == {"width": 8}


def test_annotations_evaluated_at_once_work_as_well(load: Load) -> None:
    text = GOOD.replace("from __future__ import annotations", "from typing import Literal")
    text = text.replace("width: int = 8", "width: int = 8, pool: Literal['a', 'b'] = 'b'")
    entries = load(text)
    assert isinstance(entries, list) and entries[0].defaults == {"width": 8, "pool": "b"}


def test_a_classs_module_can_be_found_by_name(load: Load) -> None:
    """Dataclasses, pickle and type hints look there."""
    (entry,) = load(GOOD)  # type: ignore[misc]
    assert isinstance(entry, Entry)
    module = sys.modules[entry.build().__module__]
    assert vars(module)["Net"] is entry.build()


def test_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    manager = plugins.new_manager()
    found: list[Entry] = []
    for i in range(2):
        path = tmp_path / str(i) / "kit.py"
        path.parent.mkdir()
        path.write_text(GOOD.replace('"good"', f'"good{i}"'))
        result = plugins.load(manager, file_source(path))
        assert isinstance(result, list)
        found += result
    assert [e.name for e in found] == ["good0", "good1"]
    assert found[0].build() is not found[1].build()


def test_a_failed_import_leaves_no_module(load: Load) -> None:
    before = set(sys.modules)
    load("raise OSError")
    assert not [name for name in set(sys.modules) - before if "broken" in name]


def test_a_file_of_another_kind_says_how_to_name_it(load: Load) -> None:
    failure = load(GOOD, "plugin.txt")
    assert isinstance(failure, Failure)
    assert "name it *.py" in failure.message


def test_a_module_that_is_absent_is_a_failure() -> None:
    source = Source(
        name="gone", origin="distribution", target="gone.plugin", version="1", source_hash="0"
    )
    failure = plugins.load(plugins.new_manager(), source)
    assert isinstance(failure, Failure) and failure.error_type == "ModuleNotFoundError"


def test_ctrl_c_is_no_fault_of_a_plugin(load: Load) -> None:
    with pytest.raises(KeyboardInterrupt):
        load("raise KeyboardInterrupt")


def test_register_takes_back_the_plugin_on_any_fault() -> None:
    class Plugin:
        @plugins.hookspecs.hookimpl
        def register_models(self, register: Any) -> None:
            raise KeyboardInterrupt

    manager = plugins.new_manager()
    source = Source(name="p", origin="file", target="p.py", version="1", source_hash="0")
    with pytest.raises(KeyboardInterrupt):
        plugins.register(manager, Plugin(), source)
    assert manager.get_plugins() == set()


def test_strict_raises_the_first_failure_in_one_line(load: Load) -> None:
    failure = load("raise OSError('no luck')")
    assert isinstance(failure, Failure)
    plugins.raise_if_strict([failure], strict=False)
    plugins.raise_if_strict([], strict=True)
    with pytest.raises(HarnessError) as caught:
        plugins.raise_if_strict([failure], strict=True)
    assert str(caught.value) == (
        f"plugin broken ({failure.source.place}) failed to load: OSError: no luck; "
        f"see `harness plugins doctor broken --plugin {failure.source.target}`"
    )
    assert caught.value.exit_code == 2


def test_registering_by_hand_says_what_is_off(make_registry: Callable[..., Registry]) -> None:
    def register_models(register: Any) -> None:
        register("a b", dict)

    with pytest.raises(PluginError, match="'a b'"):
        make_registry(register_models)


@pytest.mark.parametrize("name", ["accuracy", "loss"])
def test_a_metric_does_not_take_the_place_of_the_harnesss_own(name: str):
    source = Source(name="p", origin="file", target="p.py", version="1", source_hash="")
    with pytest.raises(PluginError, match=f"metric '{name}' is the harness's own"):
        plugins.make_entry("metric", name, lambda predictions: 0.0, source=source)
