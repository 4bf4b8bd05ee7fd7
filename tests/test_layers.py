"""The house: imports run down the layers only, and the light layers stay light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HARNESS = ROOT / "harness"

# from the top; a file imports from its own layer and those above it
LAYERS: dict[str, tuple[str, ...]] = {
    "contract": ("errors", "specs", "entries", "hookspecs"),
    "plugins": (
        "paths", "parameters", "sources", "compatibility", "plugins", "registry", "doctor",
        "tie", "children", "describe", "index", "progress", "logs", "digests", "arriving",
        "download", "files",
    ),
    "plan": (
        "grammar", "choices", "recipe", "space", "suites", "plan", "rows", "events", "halving",
        "tuning", "gathered",
    ),
    "compute": (
        "orders", "tasks", "mesh", "feed", "buckets", "metrics", "optimizers", "timing",
        "collectives", "cost", "convolutions", "program", "assemble", "measures", "ledger",
        "checkpoints", "saved", "epochs", "engine", "vmapped",
    ),
    "keep": (
        "frames", "schema", "database", "standing", "enrol", "store", "transfer", "spool",
        "comparison", "table", "report",
    ),
    "drive": (
        "allocator", "contention", "machine", "observers", "execute", "fingerprints", "worker",
        "together", "deadlines", "crew", "workers", "exclusive", "lanes", "runner", "resume",
        "taken_up", "tuned", "cluster", "perform", "cache", "api", "inspection", "kept",
        "trained", "prediction", "gate", "checks", "testing", "scaffold", "cli", "__main__",
        "__init__",
    ),
}  # fmt: skip

# what a layer may use beside the standard library, anywhere in its files
MAY_IMPORT: dict[str, set[str]] = {
    "contract": {"pluggy"},
    "plugins": {
        "pluggy", "platformdirs", "annotated_types", "filelock", "packaging", "requests",
        "urllib3", "tqdm",
    },
    "plan": {"numpy", "scipy"},  # to sample a space of several keys
    "compute": {"jax", "flax", "optax", "grain", "numpy", "orbax"},
    "keep": {
        "sqlalchemy", "pandas", "matplotlib", "numpy", "scipy", "tabulate", "pyarrow",
        "filelock", "jinja2", "markupsafe",
    },
    "drive": {
        "jax", "flax", "optax", "numpy", "pluggy", "scipy", "pandas", "pyarrow", "tabulate",
        "click", "tqdm", "filelock", "pytest", "packaging", "distributed",
    },
}  # fmt: skip


def layer_of(module: str) -> str:
    """The layer of `harness.<module>`, by its first name below harness."""
    return next(layer for layer, names in LAYERS.items() if module in names)


def place(path: Path) -> str:
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


def imports(tree: ast.AST, *, names: bool = False) -> Iterator[str]:
    """Dotted names that a file imports at run time, wherever in it.

    Args:
      names: also each name behind `from package import`, which may be a file of the package.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "harness":
                yield from (f"harness.{alias.name}" for alias in node.names)
            else:
                yield node.module
                if names:
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node, names=names)


def files() -> list[Path]:
    return sorted(HARNESS.rglob("*.py"))


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(HARNESS)))
def test_a_file_imports_down_the_layers_only(path: Path):
    order = list(LAYERS)
    here = layer_of(place(path))
    for name in imports(ast.parse(path.read_text())):
        top, _, rest = name.partition(".")
        if top == "harness":
            there = layer_of(rest.partition(".")[0] or "__init__")
            assert order.index(there) <= order.index(here), f"{path.name} imports {name}"
            # the engine is given a model and a data set: it never looks one up
            assert (here, there) not in {("compute", "plugins"), ("keep", "compute")}, name
        elif top not in sys.stdlib_module_names:
            assert top in MAY_IMPORT[here], f"{path.name} ({here}) imports {name}"


def test_every_file_has_a_layer():
    known = {name for names in LAYERS.values() for name in names}
    assert {place(path) for path in files()} == known


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_files_import_each_other_in_a_circle():
    known = {dotted(path): ast.parse(path.read_text()) for path in files()}
    edges = {
        name: {n for n in imports(tree, names=True) if n in known}
        for name, tree in known.items()
    }
    seen: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        if name not in seen:
            for other in edges.get(name, ()):
                visit(other, (*above, name))
            seen.add(name)

    for name in edges:
        visit(name, ())


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("models/harness_models", "harness_datasets"),
        ("models/harness_models", "harness_plugins"),
        ("datasets/harness_datasets", "harness_models"),
        ("datasets/harness_datasets", "harness_plugins"),
        ("plugins/harness_plugins", "harness_models"),
        ("plugins/harness_plugins", "harness_datasets"),
        ("harness", "harness_plugins"),
        ("harness", "harness_models"),
        ("harness", "harness_datasets"),
        ("benchmarks", "harness_models"),
        ("benchmarks", "harness_datasets"),
    ],
)
def test_arrows_point_at_the_harness(folder: str, forbidden: str):
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    for path in found:
        assert not any(
            name.split(".")[0] == forbidden for name in imports(ast.parse(path.read_text()))
        ), path


def test_examples_and_the_notebook_use_public_names_only():
    cells = json.loads((ROOT / "examples/tutorial.ipynb").read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    texts += [path.read_text() for path in (ROOT / "examples").rglob("*.py")]
    used: set[str] = set()
    for tree in map(ast.parse, texts):
        used |= {name for name in imports(tree) if name.partition(".")[0] == "harness"}
        used |= {
            f"harness.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "harness"
        }
    assert {"harness.load_history", "harness.load_examples", "harness.hookimpl"} <= used
    # for their tests plugins have harness.testing, which the reference has too
    allowed = {f"harness.{name}" for name in public()} | PUBLIC_MODULES | {"harness.testing"}
    assert used <= allowed


def test_plugins_use_public_names_only():
    for folder in (
        "models/harness_models", "datasets/harness_datasets", "plugins/harness_plugins",
    ):  # fmt: skip
        for path in (ROOT / folder).glob("*.py"):
            for name in imports(ast.parse(path.read_text())):
                if name.split(".")[0] == "harness":
                    assert (
                        name in PUBLIC_MODULES or name.removeprefix("harness.") in public()
                    ), f"{path.name} imports {name}"


# a plugin may also report progress
PUBLIC_MODULES = {"harness", "harness.progress"}


def public() -> set[str]:
    import harness

    return {name for name in vars(harness) if not name.startswith("_")}


def test_importing_the_package_is_light():
    program = "import sys, harness; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    # click comes with the command, not with the package
    allowed = sys.stdlib_module_names | {"harness", "pluggy", "sitecustomize"}
    loaded = {name for name in done.stdout.split() if not name.startswith("_")}
    assert loaded - allowed <= {"mpl_toolkits", "google", "distutils-precedence"}
