"""Tests that need a server or a browser: what happens where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.documents import REPOSITORY

SUITE = """
import pytest

{mark}
def test_something():
    {body}
"""


def outcome(folder: Path, mark: str, body: str, **environment: str) -> str:
    """What pytest says of one such test, with our conftest, on a machine that has nothing."""
    (folder / "conftest.py").write_text("from tests.conftest import *\n", encoding="utf-8")
    suite = folder / "test_suite.py"
    suite.write_text(SUITE.format(mark=mark, body=body), encoding="utf-8")
    # An empty path hides every program; the settings are ours, so that the markers are known; of other
    # people's plugins there is only the one that the settings name.
    settings = ["-c", str(REPOSITORY / "pyproject.toml"), "--rootdir", str(folder), "-p", "pytest_timeout"]
    alone = {"PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *settings, str(suite)],
        cwd=REPOSITORY,
        env=alone | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout


@pytest.mark.parametrize("requirement", ["docker", "browser"])
def test_what_is_missing_skips_a_test(tmp_path, requirement):
    assert "1 skipped" in outcome(tmp_path, f"@pytest.mark.{requirement}", "pass")


@pytest.mark.parametrize("requirement", ["docker", "browser"])
def test_what_was_promised_and_is_missing_fails_a_test_and_says_why(tmp_path, requirement):
    said = outcome(tmp_path, f"@pytest.mark.{requirement}", "pass", CML_REQUIRE_SERVICES="1")
    assert "1 error" in said
    assert "install" in said


def test_a_test_that_skips_itself_fails_too_where_its_server_was_promised(tmp_path):
    mark = '@pytest.mark.browser\n@pytest.mark.skipif(True, reason="no time")'
    said = outcome(tmp_path, mark, "pass", CML_REQUIRE_SERVICES="1")
    assert "1 error" in said
    assert "no time" in said


def test_any_other_test_may_skip_and_a_failure_may_be_expected(tmp_path):
    assert "1 skipped" in outcome(tmp_path, "", "pytest.skip('not today')", CML_REQUIRE_SERVICES="1")
    expected = outcome(tmp_path, "@pytest.mark.xfail", "assert False", CML_REQUIRE_SERVICES="1")
    assert "1 xfailed" in expected
