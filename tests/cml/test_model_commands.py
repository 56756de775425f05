import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cml import artifact
from cml.cli import cli
from cml.errors import ArtifactError, QueryError, RegistryError, VocabularyError
from cml.recommend import recommend, similar_items
from cml.snapshot import load_snapshot
from tests.cml.small_models import content, registry


@pytest.fixture
def models(tmp_path):
    return registry(tmp_path, versions=2)


def call(*arguments):
    """Standard output and exit code of a command; errors raised on purpose pass through."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output, result.exit_code


def call_json(*arguments):
    output, code = call(*arguments, "--json")
    assert code == 0, output
    return json.loads(output)


def test_list_marks_the_current_version(models):
    first, second = models.versions()
    listed = call_json("models", "list", "--models", models.root)
    assert listed["current"] == second
    assert [(row["version"], row["current"]) for row in listed["versions"]] == [
        (first, False),
        (second, True),
    ]
    lines = call("models", "list", "--models", models.root)[0].splitlines()
    assert lines[0].startswith(f"  {first}  ")
    assert lines[1].startswith(f"* {second}  ")
    assert "40 users, 200 items, dim 8  ndcg@10 0.1250" in lines[1]


def test_list_of_an_empty_registry_says_how_to_publish(tmp_path):
    assert "cml models publish RUN --to" in call("models", "list", "--models", tmp_path)[0]


def test_show_tells_everything_about_a_version(models):
    shown = call_json("models", "show", "--models", models.root)
    assert shown["version"] == models.current()
    assert shown["metrics"] == {"ndcg@10": 0.125}
    first = models.versions()[0]
    text = call("models", "show", first, "--models", models.root)[0]
    assert first in text
    assert "users 40, items 200" in text
    assert "vectors.safetensors" in text


def test_publish_takes_a_run_or_an_artifact(tmp_path):
    artifact.write(content(), tmp_path / "run" / "artifact")
    one = call_json("models", "publish", tmp_path / "run", "--to", tmp_path / "models")
    other = call_json("models", "publish", tmp_path / "run" / "artifact", "--to", tmp_path / "models")
    assert one == other == {"version": one["version"], "current": one["version"]}


def test_publish_inactive_leaves_the_current_version(models, tmp_path):
    artifact.write(content(seed=8), tmp_path / "candidate")
    before = models.current()
    told = call_json("models", "publish", tmp_path / "candidate", "--to", models.root, "--inactive")
    assert told["current"] == before == models.current()
    assert told["version"] in models.versions()


def test_publish_of_a_directory_without_an_artifact_says_how_to_make_one(tmp_path):
    with pytest.raises(ArtifactError, match="cml train"):
        call("models", "publish", tmp_path, "--to", tmp_path / "models")


def test_rollback_and_back(models):
    first, second = models.versions()
    assert call_json("models", "rollback", "--models", models.root) == {"version": first, "before": second}
    assert call_json("models", "rollback", "--to", second, "--models", models.root)["version"] == second
    with pytest.raises(RegistryError, match="no version"):
        call("models", "rollback", "--to", "000099-000000000000", "--models", models.root)


def test_rollback_to_a_version_mends_a_broken_pointer(models):
    first, second = models.versions()
    for broken in (b"", b"000099-000000000000\n", b"../../etc\n", b"\xff"):
        (models.root / "CURRENT").write_bytes(broken)
        with pytest.raises(RegistryError, match=f"rollback --to VERSION.*{second}"):
            call("models", "rollback", "--models", models.root)
        told = call_json("models", "rollback", "--to", first, "--models", models.root)
        assert told == {"version": first, "before": None}
        assert models.current() == first


def test_verify_names_the_damaged_file_and_exits_with_one(models):
    assert call("models", "verify", "--models", models.root)[1] == 0
    broken = models.versions()[0]
    path = models.path(broken) / artifact.SEEN
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    output, code = call("models", "verify", "--models", models.root)
    assert code == 1
    assert f"{broken}  {path}: damaged" in output
    assert f"{models.versions()[1]}  intact" in output
    assert call("models", "verify", models.versions()[1], "--models", models.root)[1] == 0


def test_verify_of_an_unknown_version_is_an_error_not_a_finding(models):
    with pytest.raises(RegistryError, match="no version 'nope'"):
        call("models", "verify", "nope", "--models", models.root)


def test_a_version_with_a_damaged_manifest_is_listed_with_its_problem(models):
    (models.path(models.versions()[0]) / "manifest.json").write_text("{}")
    rows = call_json("models", "list", "--models", models.root)["versions"]
    assert "damaged" in rows[0]["problem"]
    assert "problem" not in rows[1]


def test_recommend_prints_titles_distances_and_reasons(models):
    wanted = recommend(load_snapshot(models.root), "user/3", k=3, because=2).items
    output, code = call("recommend", "user/3", "-k", 3, "--models", models.root)
    assert code == 0
    for rank, item in enumerate(wanted, start=1):
        assert f"{rank:4d}  {item.distance:8.4g}  {item.record['title']} ({item.item_id})" in output
        assert f"because of {item.because[0].record['title']}" in output
    document = call_json("recommend", "user/3", "-k", 3, "--models", models.root)
    assert document["strategy"] == "personal"
    assert [item["item_id"] for item in document["items"]] == [item.item_id for item in wanted]
    assert document["items"][0]["because"][0]["distance"] == pytest.approx(wanted[0].because[0].distance)


def test_recommend_for_an_unknown_user_names_its_strategy(models):
    output, _ = call("recommend", "nobody", "--models", models.root)
    assert "[popular, version 000002-" in output


def test_recommend_filters_excludes_and_pages(models):
    where = '{"genres": "Drama"}'
    document = call_json(
        "recommend", "user/3", "-k", 5, "--where", where, "--exclude", "x", "--models", models.root
    )
    assert document["skipped"] == ["x"]
    assert all("Drama" in item["item"]["genres"] for item in document["items"])
    second = call_json(
        "recommend", "user/3", "-k", 2, "--offset", 3, "--where", where, "--models", models.root
    )
    assert [item["item_id"] for item in second["items"]] == [
        item["item_id"] for item in document["items"][3:]
    ]


@pytest.mark.parametrize("where", ["drama", "[1]", '{"genres": '])
def test_a_where_that_is_no_object_is_refused(models, where):
    with pytest.raises(QueryError, match="--where"):
        call("recommend", "user/3", "--where", where, "--models", models.root)


def test_similar_lists_the_nearest_items(models):
    wanted = similar_items(load_snapshot(models.root), "film-007", k=4).items
    document = call_json("similar", "film-007", "-k", 4, "--models", models.root)
    assert [item["item_id"] for item in document["items"]] == [item.item_id for item in wanted]
    assert "Similar to Film 7 (film-007)" in call("similar", "film-007", "--models", models.root)[0]
    with pytest.raises(VocabularyError, match="film-xyz"):
        call("similar", "film-xyz", "--models", models.root)


def test_vectors_are_exported_by_id(models, tmp_path):
    told = call_json("export", "vectors", tmp_path / "out", "--models", models.root)
    assert told == {"rows": {"users.parquet": 40, "items.parquet": 200}}
    parts = load_snapshot(models.root).artifact
    table = pq.read_table(tmp_path / "out" / "items.parquet")
    assert table["item_id"].to_pylist() == list(parts.items)
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), dtype=np.float32), parts.item_vectors)
    assert table.schema.metadata[b"model_version"].decode() == models.current()


def test_recommendations_are_exported_as_the_service_would_answer(models, tmp_path):
    (tmp_path / "users.txt").write_text("user/3\nnobody\n", encoding="utf-8")
    path = tmp_path / "lists.parquet"
    told = call_json(
        "export", "recommendations", path, "-k", 4, "--users", tmp_path / "users.txt", "--models", models.root
    )
    assert told == {"users": 2, "rows": 8}
    rows = pq.read_table(path).to_pylist()
    snapshot = load_snapshot(models.root)
    wanted = [
        (user, rank, item.item_id)
        for user in ("user/3", "nobody")
        for rank, item in enumerate(recommend(snapshot, user, k=4).items, start=1)
    ]
    assert [(row["user_id"], row["rank"], row["item_id"]) for row in rows] == wanted
    assert [row["strategy"] for row in rows] == ["personal"] * 4 + ["popular"] * 4
    assert all((row["distance"] is None) == (row["strategy"] == "popular") for row in rows)
    assert all((row["score"] is None) == (row["strategy"] == "personal") for row in rows)


def test_all_users_are_exported_by_default_and_no_part_file_stays(models, tmp_path):
    told = call_json("export", "recommendations", tmp_path / "out" / "all.parquet", "--models", models.root)
    assert told == {"users": 40, "rows": 800}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["all.parquet"]


def test_vectors_cannot_be_exported_below_a_file(models, tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ArtifactError, match="cannot be written: Not a directory"):
        call("export", "vectors", file / "vectors", "--models", models.root)


def test_an_export_never_replaces_what_is_no_regular_file(models, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ArtifactError, match="no regular file"):
        call("export", "recommendations", pipe, "--models", models.root)
    assert pipe.is_fifo()


def test_nobody_to_export_for_is_an_empty_table(models, tmp_path):
    (tmp_path / "users.txt").write_text("\n")
    out = tmp_path / "lists.parquet"
    told = call_json(
        "export", "recommendations", out, "--models", models.root, "--users", tmp_path / "users.txt"
    )
    assert told == {"users": 0, "rows": 0}
    assert pq.read_table(out).num_rows == 0
