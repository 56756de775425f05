from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cml.bundled import bundled_interactions, bundled_items
from cml.commands.data import command
from cml.commands.options import ReadingFlags
from cml.config import DataConfig
from cml.errors import ConfigError, DataError
from tests.cml.data_files import write_text


def run(*arguments: object):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=True)


def test_check_counts_what_is_there_and_what_is_rejected(tmp_path):
    text = "who,what,stars,when\nann,x,5,2020-01-01\nann,y,2,2020-01-03\nbob,x,4,1577836800\nbob,,4,1\n"
    path = write_text(tmp_path / "x.csv", text)
    flags = ("--user-column=who", "--item-column=what", "--rating-column=stars", "--timestamp-column=when")
    found = json.loads(run("check", path, *flags, "--like-threshold", 4, "--json").stdout)
    assert found["reading"]["rows"] == 4
    assert found["reading"]["rejected"] == {"missing item id": 1}
    assert found["reading"]["first_rejected"] == [
        f"{path}:5: '', missing item id; fill it in or drop the row"
    ]
    summary = found["summary"]
    assert (summary["pairs"], summary["liked"], summary["users"], summary["items"]) == (2, 2, 2, 1)
    assert summary["density"] == 1.0
    assert summary["head"]["most_liked"] == [{"item_id": "x", "likes": 2}]
    assert summary["time"] == {
        "first": "2020-01-01T00:00:00Z",
        "last": "2020-01-01T00:00:00Z",
        "pairs_without": 0,
    }


def test_check_prints_the_same_for_people(tmp_path):
    path = write_text(tmp_path / "x.csv", "user_id,item_id\nann,x\nbob,\n")
    lines = run("check", path).stdout.splitlines()
    assert lines[0] == f"{path}: CSV"
    assert f"  {path}:3: '', missing item id; fill it in or drop the row" in lines
    assert any(line.startswith("time") and "unknown" in line for line in lines)


def test_check_describes_the_bundled_films():
    result = run("check", bundled_interactions(), "--items", bundled_items(), "--like-threshold", 7)
    assert "48,869 liked" in result.stdout
    assert "title (text), year (number), genres (tags)" in result.stdout


def test_kinds_of_item_columns_can_be_given(tmp_path):
    pairs = write_text(tmp_path / "x.csv", "user_id,item_id\nann,x\n")
    items = write_text(tmp_path / "i.csv", "item_id,code\nx,12\n")
    kinds = json.loads(run("check", pairs, "--items", items, "--item-kind", "code=text", "--json").stdout)
    assert kinds["items"]["kinds"] == {"code": "text"}
    assert "expected COLUMN=KIND" in run("check", pairs, "--items", items, "--item-kind", "text").output


def test_check_strict_refuses():
    result = run("check", "no-such-file.csv", "--strict")
    assert isinstance(result.exception, DataError)


def test_the_command_line_says_it_in_one_line_and_fails(tmp_path):
    path = write_text(tmp_path / "x.csv", "user_id,item_id\nann,\n")
    done = subprocess.run(
        [sys.executable, "-m", "cml", "data", "check", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_list_shows_every_data_set_and_its_terms():
    lines = run("list").stdout.splitlines()
    assert any(line.startswith("movietweetings") and "MIT" in line for line in lines)
    assert any(line.startswith("ml-25m") and "262 MB" in line for line in lines)


def test_fetch_shows_the_terms_and_what_to_do_next(tmp_path, monkeypatch):
    from cml.data.sources import SOURCES, Download, Source

    for name in ("ratings.dat", "movies.dat"):
        write_text(tmp_path / name, "1::2::3::4\n")
    downloads = tuple(Download((tmp_path / name).as_uri()) for name in ("ratings.dat", "movies.dat"))
    small = Source("small", downloads, "the terms", "ratings.dat", "movies.dat", "--like-threshold 7")
    monkeypatch.setitem(SOURCES, "small", small)
    result = run("fetch", "small", "--into", tmp_path / "data")
    assert "small: the terms" in result.stderr
    folder = tmp_path / "data" / "small"
    assert f"--train {folder}/ratings.dat --items {folder}/movies.dat --like-threshold 7" in result.stdout
    assert "already in" in run("fetch", "small", "--into", tmp_path / "data").stdout


def test_flags_win_over_the_configuration_and_the_rest_stays():
    config = DataConfig(user_column="who", like_threshold=4.0)
    flags = ReadingFlags({"like_threshold": 2.0}, strict=False)
    assert flags.applied_to(config) == DataConfig(user_column="who", like_threshold=2.0)
    with pytest.raises(ConfigError, match="--min-user-interactions 0"):
        ReadingFlags({"min_user_interactions": 0}, strict=False).applied_to(config)


def test_the_bundled_data_is_found_from_any_working_directory(tmp_path):
    program = (
        "from cml.bundled import *; print(bundled_interactions().stat().st_size, bundled_items().is_file())"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["620797", "True"]
