"""Which benchmarks brought nothing, and why: a peer that could not be had, or a failure."""

from typing import Any

import pytest

__all__ = ["Outcomes"]


class Outcomes:
    """A plugin for pytest that keeps the reason of every benchmark that was skipped or failed."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest after each phase of each benchmark."""
        if report.skipped:
            self.missing[name_of(report)] = reason_of_skip(report.longrepr)
        elif report.failed:
            said = getattr(getattr(report.longrepr, "reprcrash", None), "message", str(report.longrepr))
            self.missing.setdefault(name_of(report), f"failed: {said.splitlines()[0]}")


def name_of(report: pytest.TestReport) -> str:
    return report.nodeid.rsplit("/", 1)[-1]


def reason_of_skip(told: Any) -> str:
    return str(told[2]).removeprefix("Skipped: ") if isinstance(told, tuple) else str(told)
