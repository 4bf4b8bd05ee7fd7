"""Where a run took place: machine, versions, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from harness.sources import package_hash

# what JAX reads from the environment and what moves a result
SETTINGS = (
    "JAX_PLATFORMS", "XLA_FLAGS", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_DEFAULT_PRNG_IMPL", "JAX_RANDOM_SEED_OFFSET", "JAX_THREEFRY_PARTITIONABLE",
    "JAX_DEFAULT_DTYPE_BITS", "JAX_NUMPY_DTYPE_PROMOTION", "JAX_DISABLE_JIT",
    "JAX_NUM_CPU_DEVICES",
)  # fmt: skip
ANYWHERE = "any of a cluster"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "grain", "numpy")


def versions() -> dict[str, str]:
    """Versions of the packages that decide a result, without importing one of them."""
    named = {f"{name}_version": importlib.metadata.version(name) for name in PACKAGES}
    return {
        "harness_version": importlib.metadata.version("model-zoo-harness"),
        "python_version": platform.python_version(),
        **named,
    }


def key_parts(*, anywhere: bool = False) -> dict[str, str]:
    """What of this machine a run's key holds.

    The host, its processor, all versions, the harness's own code and the settings that
    change the arithmetic: a row measured elsewhere or otherwise never stands for a run.

    Args:
      anywhere: of any machine of a cluster, where nobody knows beforehand which one it will
        be; a row of one of them stands for a run on another.
    """
    here = {"host": socket.gethostname(), "cpu_model": cpu_model()}
    return {
        **versions(),
        **settings(),
        **(dict.fromkeys(here, ANYWHERE) if anywhere else here),
        "harness_code": package_hash("harness"),
    }


def settings() -> dict[str, str]:
    """What JAX is told by the environment, "" where nothing is said."""
    return {name: os.environ.get(name, "") for name in SETTINGS}


def place() -> dict[str, Any]:
    """The columns of the group "place" that need no JAX."""
    return {"host": socket.gethostname(), "cpu_model": cpu_model(), **commit(), **versions()}


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    found = {key.strip(): value.strip() for key, value in fields.items()}
    return found.get("model name", platform.machine())


def utc() -> str:
    """Now, as rows and gates keep it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> dict[str, Any]:
    """The commit of the folder that the command runs in; None where there is no git."""
    head = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no") if head else None
    return {"commit": head, "dirty": None if changes is None else bool(changes)}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def devices(count: int = 1) -> dict[str, Any]:
    """The columns on the devices of a run that asks for so many; imports JAX."""
    import jax

    return {
        "device_kind": jax.devices()[0].device_kind,
        "device_count": count,
        "mesh": f"data={count}" if count > 1 else "",
    }


def peak_rss_bytes() -> int | None:
    """The largest resident memory of this process so far; None where nothing tells it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_peak_bytes() -> int | None:
    """The most memory of its device that this process has used so far; imports JAX.

    None where the platform does not tell, as for processors.
    """
    import jax

    try:
        told = jax.local_devices()[0].memory_stats() or {}
    except Exception:  # a device that is lost, or a platform that has no such question
        return None
    return told.get("peak_bytes_in_use")


def memory() -> dict[str, int | None]:
    """The columns on the memory that this process has used so far."""
    return {"peak_rss_bytes": peak_rss_bytes(), "device_peak_bytes": device_peak_bytes()}


def summary(row: Mapping[str, Any]) -> str:
    """One line about where rows were measured.

    >>> summary({"cpu_model": "EPYC", "device_kind": "cpu", "jax_version": "0.10.2"})
    'EPYC, device cpu, jax 0.10.2'
    """
    parts = [row.get("cpu_model"), f"device {row.get('device_kind')}"]
    parts += [f"jax {row.get('jax_version')}"] if row.get("jax_version") else []
    return ", ".join(str(part) for part in parts if part)
