"""The edge of the program: whatever goes wrong outside of it is told in one line, with an exit code."""

import os

import numpy as np
import pytest

from cml import cli
from cml.arrays import write_arrays
from cml.durable import replace_file


def failing(monkeypatch, capsys, *arguments):
    """What `cml ARGUMENTS` prints on standard error when it ends with 1."""
    monkeypatch.setattr("sys.argv", ["cml", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    assert ended.value.code == 1
    assert printed.out == ""
    return printed.err


def test_a_run_directory_that_cannot_be_made_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("user_id,item_id\nu,i\nv,j\n")
    said = failing(monkeypatch, capsys, "train", "--train", pairs, "--out", pairs / "run", "--json")
    assert said.startswith(f"error: {pairs / 'run'}: Not a directory; ")
    assert said.count("\n") == 1


def test_too_little_memory_is_told_in_one_line(monkeypatch, capsys):
    def exhausted():
        raise MemoryError("unable to allocate 109 TiB")

    monkeypatch.setattr(cli, "cli", lambda **_: exhausted())
    said = failing(monkeypatch, capsys)
    assert said.startswith("error: out of memory: unable to allocate 109 TiB; ")


@pytest.fixture
def full_disk(monkeypatch):
    """Syncing fails as the kernel reports it: without a path."""

    def full(_descriptor):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.fsync", full)


@pytest.mark.usefixtures("full_disk")
def test_arrays_that_do_not_fit_name_their_path(tmp_path):
    with pytest.raises(OSError, match="No space left") as failed:
        write_arrays(tmp_path / "vectors", {"a": np.zeros(3)})
    assert failed.value.filename == str(tmp_path / "vectors")


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_old_file_and_names_its_path(tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(b"old")

    with pytest.raises(OSError, match="No space left") as failed:
        replace_file(path, b"new")
    assert failed.value.filename == str(path)
    assert [file.name for file in tmp_path.iterdir()] == ["history.csv"]
    assert path.read_bytes() == b"old"
