from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from harness.allocator import HUGE_PAGES, allocator, worker_environment

GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
def test_a_worker_gets_huge_pages_and_the_rest_of_the_environment():
    given = worker_environment({"A": "b"})
    assert given == {"A": "b", "GLIBC_TUNABLES": HUGE_PAGES}
    assert allocator(given) == HUGE_PAGES


@pytest.mark.parametrize(
    "environment",
    [{"HARNESS_HUGE_PAGES": "0"}, {"GLIBC_TUNABLES": ""}, {"GLIBC_TUNABLES": "glibc.x=1"}],
)
def test_whoever_asks_for_something_else_gets_it(environment: dict[str, str]):
    assert worker_environment(environment) == environment
    assert allocator(environment) == environment.get("GLIBC_TUNABLES", "")


def test_another_c_library_gets_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert worker_environment({}) == {}


def huge_pages_on_request() -> bool:
    """Whether a process gets huge pages if it asks for them, and only then."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as file:
            return "[madvise]" in file.read()
    except OSError:
        return False


@pytest.mark.skipif(
    not (GLIBC and huge_pages_on_request()),
    reason="no glibc, or the kernel gives huge pages always or never",
)
def test_the_setting_saves_page_faults():
    # bytes come from malloc; NumPy would ask the kernel for huge pages by itself
    program = (
        "import resource\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "kept = b'x' * (64 << 20)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    huge, small = (
        int(subprocess.run([sys.executable, "-c", program], env=env, check=True,
                           capture_output=True, text=True).stdout)
        for env in (worker_environment({}), {})
    )  # fmt: skip
    # where memory is in pieces not every page is a huge one
    assert huge < small / 2
