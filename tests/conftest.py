"""Tests that need more than Python: skipped where it is missing, failed where it was promised.

A test marked `docker`, `browser` or `postgres` is skipped with the reason on a machine without it. With
CML_REQUIRE_SERVICES=1 such a skip, whoever asked for it, is a failure: a check that quietly stopped running
must not look like one that passed.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.postgres import any_events_url as any_events_url
from tests.postgres import own_postgres as own_postgres
from tests.postgres import postgres_databases as postgres_databases
from tests.postgres import postgres_server as postgres_server
from tests.postgres import postgres_url as postgres_url
from tests.requirements import unmet

REQUIREMENTS = ("docker", "browser", "postgres")
PROMISED = "CML_REQUIRE_SERVICES"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for requirement in _needed_by(item):
        reason = unmet(requirement)
        if reason:
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and _needed_by(item) and os.environ.get(PROMISED) == "1":
        report.outcome = "failed"
        report.longrepr = f"{PROMISED}=1, yet this test was skipped: {_reason(report)}"
    return report


def _needed_by(item: pytest.Item) -> list[str]:
    return [name for name in REQUIREMENTS if item.get_closest_marker(name)]


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
