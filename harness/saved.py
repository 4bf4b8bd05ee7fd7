"""A trained state as arrays of a run's result, and back into a module.

Kept is every variable of the module, the parameters and the others, each leaf as an array
named after its path: `saved/head/kernel`. NumPy's files know neither bfloat16 nor random
keys, so such a leaf is kept as the integers behind it. The array `saved` is a text of JSON
with what the integers stand for, and the `DataSpec` that the module was built for: together
with the model's parameters in the row, all that is needed to build it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey

from harness.errors import ContractError
from harness.events import Array
from harness.ledger import named_array
from harness.specs import DataSpec

CONTENTS = "saved"
FORMAT = 1
# a result is a few times its size in memory on its way from the worker to the store
LIMIT_BYTES = 256 << 20


@dataclass(frozen=True)
class Saved:
    """A trained state.

    Attributes:
      spec: the data that the module was built for.
      leaves: an array by the path of each leaf, random keys as keys.
    """

    spec: DataSpec
    leaves: Mapping[str, Any]


def pack(trees: Sequence[Any], spec: DataSpec) -> tuple[list[Array], int]:
    """The arrays that keep a state, and how many bytes its leaves have.

    Args:
      trees: the states of a module, as `program.TrainState` has them in two.

    Raises:
      ValueError: why it cannot be kept.
    """
    leaves = [found for tree in trees for found in named_leaves(tree)]
    size = sum(_plain(leaf).nbytes for _, leaf in leaves)
    if size > LIMIT_BYTES:
        raise ValueError(
            f"they are {size / 2**20:,.0f} MiB and a store takes {LIMIT_BYTES >> 20} MiB a run"
        )
    listed = {name: _kind(leaf) for name, leaf in leaves}
    if len(listed) < len(leaves):
        raise ValueError("two of their variables have one path")
    told = {"format": FORMAT, "spec": asdict(spec), "leaves": listed}
    # a number in a spec may be NumPy's
    contents = np.frombuffer(json.dumps(told, default=lambda n: n.item()).encode(), np.uint8)
    arrays = [named_array(_array_name(name), _bits(leaf)) for name, leaf in leaves]
    # the list comes last: where it is, all that it names is
    return [*arrays, named_array(CONTENTS, contents)], size


def unpack(array: Callable[[str], np.ndarray | None]) -> Saved:
    """The inverse of `pack`.

    Args:
      array: gives the kept array of a name, None where there is none.

    Raises:
      ValueError: what is wrong with the arrays.
    """
    contents = array(CONTENTS)
    if contents is None:
        raise ValueError(f"there is no array {CONTENTS!r}")
    try:
        told = json.loads(contents.tobytes())
        if told["format"] != FORMAT:
            raise ValueError(f"format {told['format']} is of another version of the harness")
        spec = _spec(told["spec"])
        leaves = {name: _leaf(name, kind, array) for name, kind in told["leaves"].items()}
    except (KeyError, TypeError, AttributeError, RecursionError, ContractError) as error:
        raise ValueError(f"its list is no list ({type(error).__name__}: {error})") from None
    return Saved(spec, leaves)


def fill(trees: Sequence[Any], leaves: Mapping[str, Any]) -> list[Any]:
    """The trees with kept leaves in the places of their own.

    Raises:
      ValueError: paths, shapes or dtypes are not those of the trees.
    """
    own = {name: jnp.asarray(leaf) for tree in trees for name, leaf in named_leaves(tree)}
    for name in sorted({*own, *leaves}):
        if name not in leaves:
            raise ValueError(f"{name} is in the model and was not kept")
        if name not in own:
            raise ValueError(f"{name} was kept and is not in the model")
        if _shown(own[name]) != _shown(leaves[name]):
            raise ValueError(
                f"{name} was {_shown(leaves[name])} and is {_shown(own[name])} in the model"
            )
    filled = []
    for tree in trees:
        names = [name for name, _ in named_leaves(tree)]
        structure = jax.tree.structure(tree)
        filled.append(jax.tree.unflatten(structure, [leaves[name] for name in names]))
    return filled


def named_leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """Each leaf of a state with its path: names and numbers with `/` between them."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        # every variable holds its array as its `value`
        at = next((i for i, key in enumerate(path) if key == GetAttrKey("value")), len(path))
        short = (*path[:at], *path[at + 1 :])
        yield jax.tree_util.keystr(short, simple=True, separator="/"), leaf


def _array_name(path: str) -> str:
    return f"{CONTENTS}/{path}"


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _bits(leaf: Any) -> np.ndarray:
    """A leaf as an array of one of NumPy's own dtypes."""
    array = np.asarray(_plain(leaf))
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _kind(leaf: Any) -> dict[str, str]:
    """What the integers that keep a leaf stand for."""
    if _is_key(leaf):
        return {"key": str(jax.random.key_impl(leaf))}
    return {"dtype": str(leaf.dtype)}


def _leaf(
    name: str, kind: Mapping[str, str], array: Callable[[str], np.ndarray | None]
) -> jax.Array:
    bits = array(_array_name(name))
    if bits is None:
        raise ValueError(f"there is no array {_array_name(name)!r}")
    if "key" in kind:
        return jax.random.wrap_key_data(jnp.asarray(bits), impl=kind["key"])
    dtype = jnp.dtype(kind["dtype"])
    leaf = jnp.asarray(bits if bits.dtype == dtype else bits.view(dtype))
    if leaf.dtype != dtype:
        raise ValueError(f"{name} is {dtype}, and JAX is set to fewer bits (JAX_ENABLE_X64)")
    return leaf


def _spec(values: Mapping[str, Any]) -> DataSpec:
    """A `DataSpec` from JSON, which knows no tuples."""
    fields: dict[str, Any]
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return DataSpec(**fields)


def _shown(leaf: Any) -> str:
    return f"{leaf.dtype} {list(leaf.shape)}"
