from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from cml.data.fetch import fetch, find_source
from cml.data.sources import SOURCES, Download, Source
from cml.errors import DataError

RATINGS = b"1\t2\t3\t4\n"


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def source(url: str, **checksums: str) -> Source:
    return Source("small", (Download(url, checksums=checksums),), "terms", "u.data", "u.item")


def serving(data: bytes, *, announced: int | None = None):
    class Response(io.BytesIO):
        headers = {"Content-Length": str(announced or len(data))}  # noqa: RUF012

    return lambda _url: Response(data)


FILES = {"small/u.data": RATINGS, "small/u.item": b"item", "small/README": b"terms"}


@pytest.mark.parametrize(("name", "pack"), [("x.zip", zipped), ("x.tar.gz", tarred)])
def test_an_archive_becomes_a_folder_of_its_files(tmp_path, name, pack):
    data = pack(FILES)
    sums = {"md5": hashlib.md5(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest()}
    seen: list[tuple[str, int, int | None]] = []
    fetched = fetch(
        source(f"https://x/{name}", **sums),
        tmp_path,
        open_url=serving(data),
        progress=lambda *step: seen.append(step),
    )
    assert fetched.downloaded
    assert fetched.interactions.read_bytes() == RATINGS
    assert fetched.items == tmp_path / "small" / "u.item"
    assert seen[-1] == (name, len(data), len(data))
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_data_set_that_is_there_is_not_fetched_again(tmp_path):
    def no_network(_url: str):
        raise AssertionError("fetched again")

    fetch(source("https://x/x.zip"), tmp_path, open_url=serving(zipped(FILES)))
    assert not fetch(source("https://x/x.zip"), tmp_path, open_url=no_network).downloaded


def test_a_wrong_checksum_shows_both_sums_and_the_way_out_and_leaves_nothing(tmp_path):
    data = zipped(FILES)
    wrong = source("https://x/x.zip", md5="0" * 32)
    with pytest.raises(DataError, match=f"md5 is {hashlib.md5(data).hexdigest()}, expected 0+.*--no-verify"):
        fetch(wrong, tmp_path, open_url=serving(data))
    assert list(tmp_path.iterdir()) == []
    assert fetch(wrong, tmp_path, open_url=serving(data), verify=False).downloaded


def test_each_checksum_counts(tmp_path):
    data = zipped(FILES)
    sums = {"md5": hashlib.md5(data).hexdigest(), "sha256": "f" * 64}
    with pytest.raises(DataError, match="sha256 is"):
        fetch(source("https://x/x.zip", **sums), tmp_path, open_url=serving(data))


def failing(error: Exception):
    def open_url(_url: str):
        raise error

    return open_url


@pytest.mark.parametrize(
    ("open_url", "message"),
    [
        (
            failing(URLError("Name or service not known")),
            r"https://x/x.zip: cannot be fetched \(Name or service",
        ),
        (failing(TimeoutError("timed out")), "cannot be fetched .timed out.*local files"),
        (failing(HTTPError("u", 404, "Not Found", None, None)), "answers 404 Not Found"),
        (serving(b"half", announced=8), "broke off after 4 of 8 bytes"),
        (serving(zipped({"a/b.txt": b""})), r"holds no u.data \(found: b.txt\)"),
        (serving(b"<html>no zip</html>"), r"holds no u.data \(found: x.zip\)"),
    ],
)
def test_failures_are_explained_and_leave_nothing(tmp_path, open_url, message):
    with pytest.raises(DataError, match=message):
        fetch(source("https://x/x.zip"), tmp_path, open_url=open_url)
    assert list(tmp_path.iterdir()) == []


def test_nothing_in_an_archive_is_written_outside_its_folder(tmp_path):
    files = {"../../evil": b"x", "/abs/evil2": b"x", **FILES}
    for name, pack in (("x.zip", zipped), ("x.tar.gz", tarred)):
        into = tmp_path / name / "deep" / "data"
        fetch(source(f"https://x/{name}"), into, open_url=serving(pack(files)))
        assert sorted(path.name for path in (into / "small").iterdir()) == [
            "README",
            "evil",
            "evil2",
            "u.data",
            "u.item",
        ]
        assert not list((tmp_path / name).glob("evil")) + list((tmp_path / name / "deep").glob("evil"))


def test_of_files_of_one_name_the_outer_one_is_taken(tmp_path):
    files = {"small/samples/u.data": b"sample", **FILES, "other/deep/u.data": b"other"}
    fetched = fetch(source("https://x/x.zip"), tmp_path, open_url=serving(zipped(files)))
    assert fetched.interactions.read_bytes() == RATINGS


def test_a_folder_in_the_way_is_not_touched(tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"exists without u\.data"):
        fetch(source("https://x/x.zip"), tmp_path, open_url=serving(zipped(FILES)))
    assert [path.name for path in tmp_path.rglob("*")] == ["small", "mine.txt"]


def test_names_and_categories_are_checked():
    assert find_source("ml-100k").interactions == "u.data"
    books = find_source("amazon-reviews-2023", "Books")
    assert books.name == "amazon-reviews-2023-Books"
    assert books.downloads[0].url.endswith("/rating_only/Books.csv.gz")
    assert books.interactions == "Books.csv.gz"
    for name, category in [("ml-99", None), ("ml-1m", "Books"), ("amazon-reviews-2023", None)]:
        with pytest.raises(DataError, match=r"known: ml-100k|--category"):
            find_source(name, category)
    with pytest.raises(DataError, match="--category"):
        find_source("amazon-reviews-2023", "../../x")


def test_every_source_is_complete_and_its_sums_have_the_right_length():
    assert len(SOURCES) == 10
    for known in SOURCES.values():
        assert known.terms
        assert known.interactions
        for download in known.downloads:
            assert download.url.startswith("https://")
            for algorithm, digest in download.checksums.items():
                assert len(bytes.fromhex(digest)) == hashlib.new(algorithm).digest_size


def test_a_file_url_is_fetched_by_the_real_opener(tmp_path):
    (tmp_path / "from").mkdir()
    for name in ("u.data", "u.item"):
        Path(tmp_path / "from" / name).write_bytes(RATINGS)
    downloads = tuple(Download((tmp_path / "from" / name).as_uri()) for name in ("u.data", "u.item"))
    fetched = fetch(Source("small", downloads, "terms", "u.data", "u.item"), tmp_path / "to")
    assert fetched.interactions.read_bytes() == RATINGS
