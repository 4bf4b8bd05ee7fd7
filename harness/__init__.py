"""A pluggable model-zoo benchmark harness on the JAX stack.

Data sets and models come as plugins; every pairing runs through one jitted engine, and
what it measured is tabulated. Importing this package imports neither JAX nor pandas:
the functions below load them when they are called.
"""

import sys as _sys

try:
    from importlib.metadata import version as _version

    from harness.api import build_model as build_model
    from harness.api import load as load
    from harness.api import load_dataset as load_dataset
    from harness.api import run as run
    from harness.errors import ContractError as ContractError
    from harness.errors import DataError as DataError
    from harness.errors import HarnessError as HarnessError
    from harness.errors import Unavailable as Unavailable
    from harness.errors import Unsupported as Unsupported
    from harness.errors import UsageError as UsageError
    from harness.files import LocatedFile as LocatedFile
    from harness.files import locate_files as locate_files
    from harness.hookspecs import Register as Register
    from harness.hookspecs import hookimpl as hookimpl
    from harness.kept import load_examples as load_examples
    from harness.kept import load_history as load_history
    from harness.paths import cache_dir as cache_dir
    from harness.specs import DataFile as DataFile
    from harness.specs import Dataset as Dataset
    from harness.specs import DataSpec as DataSpec
    from harness.specs import Predictions as Predictions
    from harness.specs import Task as Task
    from harness.trained import load_model as load_model
except KeyboardInterrupt:
    # `harness` and `python -m harness` end in one line from the start, programs as they like
    _program = "".join(_sys.argv[:1])
    if _program != "-m" and not _program.endswith("/harness"):
        raise
    print("harness: interrupted", file=_sys.stderr)
    raise SystemExit(130) from None

__version__ = _version("model-zoo-harness")
