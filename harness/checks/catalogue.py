"""All checks by what they look at, in the order in which they run."""

from __future__ import annotations

from harness.checks import construction, data, evaluation, learning, programs
from harness.checks.check import Check
from harness.checks.data import DataSubject
from harness.checks.subject import ModelSubject

MODEL: tuple[Check[ModelSubject], ...] = (
    *construction.CHECKS, *programs.CHECKS, *learning.CHECKS, *evaluation.CHECKS,
)  # fmt: skip
DATASET: tuple[Check[DataSubject], ...] = data.CHECKS
