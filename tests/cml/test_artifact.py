import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pytest

from cml import artifact
from cml.content import Content, first_times, trending_scores
from cml.errors import ArtifactError
from cml.manifest import parse_manifest
from cml.vocabulary import Vocabulary
from tests.cml.small_models import DAY, content
from tests.reference.lists import nearest

FORMAT_1 = Path(__file__).parent / "format_1"


@pytest.fixture(scope="module")
def made():
    return content()


@pytest.fixture
def loaded(made, tmp_path):
    artifact.write(made, tmp_path / "artifact", created_at=datetime(2026, 1, 2, tzinfo=UTC))
    return artifact.load(tmp_path / "artifact")


def test_an_artifact_gives_back_its_content(made, loaded):
    assert list(loaded.users) == list(made.users)
    assert list(loaded.items) == list(made.items)
    for name in ("user_vectors", "item_vectors", "seen_indptr", "seen_items", "seen_liked", "popularity"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(made, name))
    np.testing.assert_array_equal(loaded.trending, made.trending)
    np.testing.assert_array_equal(loaded.first_seen, made.first_seen)
    assert [loaded.catalogue.record(row) for row in range(200)] == [
        made.catalogue.record(row) for row in range(200)
    ]
    assert (loaded.config, loaded.metrics, loaded.data) == (made.config, made.metrics, made.data)


def test_the_manifest_says_what_is_in_it(made, loaded):
    manifest = loaded.manifest
    assert manifest.created_at == "2026-01-02T00:00:00+00:00"
    assert manifest.counts.model_dump() == {
        "users": 40,
        "items": 200,
        "pairs": len(made.seen_items),
        "liked": int(made.seen_liked.sum()),
    }
    assert (manifest.dim, manifest.radius, manifest.index.kind, manifest.index.recall) == (
        8,
        1.0,
        "exact",
        1.0,
    )
    assert manifest.versions["python"].startswith("3.")


def test_stored_lists_are_the_nearest_unseen_items(made, loaded):
    for user in range(40):
        seen = set(made.seen_items[made.seen_indptr[user] : made.seen_indptr[user + 1]].tolist())
        unseen = [row for row in range(200) if row not in seen]
        wanted = nearest(made.user_vectors[user].tolist(), made.item_vectors.tolist(), 100, unseen)
        assert loaded.top_rows[user].tolist() == [row for row, _ in wanted]
        assert loaded.top_distances[user].tolist() == pytest.approx([d for _, d in wanted], abs=1e-6)


def test_stored_lists_of_users_who_saw_nearly_everything_are_padded(tmp_path):
    small = content(n_users=6, n_items=12, pairs_per_user=8)
    artifact.write(small, tmp_path / "artifact", list_length=10)
    loaded = artifact.load(tmp_path / "artifact")
    for user in range(6):
        n_unseen = 12 - int(np.diff(small.seen_indptr)[user])
        assert (loaded.top_rows[user] >= 0).sum() == min(n_unseen, 10)
        assert np.isinf(loaded.top_distances[user][n_unseen:]).all()


def test_arrays_are_mapped_not_loaded(loaded):
    for array in (loaded.item_vectors, loaded.seen_items, loaded.top_rows):
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_a_version_without_times_has_no_trending_list(made, tmp_path):
    artifact.write(replace(made, trending=None, first_seen=None), tmp_path / "artifact")
    loaded = artifact.load(tmp_path / "artifact")
    assert loaded.trending is None
    assert loaded.first_seen is None


def test_writing_again_replaces_the_older_artifact_and_leaves_nothing_else(tmp_path):
    for seed in (1, 2):
        artifact.write(content(seed=seed), tmp_path / "run" / "artifact")
    assert artifact.load(tmp_path / "run" / "artifact").data == {"fingerprint": "seed 2"}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["artifact"]


def test_who_has_an_artifact_mapped_keeps_it_while_it_is_replaced(tmp_path):
    artifact.write(content(seed=1), tmp_path / "artifact")
    old = artifact.load(tmp_path / "artifact")
    before = old.item_vectors.copy()
    artifact.write(content(seed=2), tmp_path / "artifact")
    np.testing.assert_array_equal(old.item_vectors, before)


def test_the_same_content_gives_the_same_bytes(made, tmp_path):
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    one, other = (artifact.write(made, tmp_path / name, created_at=moment) for name in ("one", "other"))
    assert one == other


def test_an_artifact_of_format_1_still_loads():
    """Written once when the format was new; a change that cannot read it needs a new format number."""
    loaded = artifact.load(FORMAT_1)
    assert list(loaded.users) == ["007", "größe/1"]
    assert [loaded.catalogue.title(row) for row in range(3)] == ["Alien", None, "Amélie"]
    assert loaded.top_rows[0].tolist() == [1, 2, -1, -1]
    assert loaded.manifest.created_at == "2026-01-02T00:00:00+00:00"


def test_a_newer_format_is_refused_with_the_way_out(loaded, tmp_path):
    newer = loaded.manifest.model_copy(update={"format": 99})
    with pytest.raises(ArtifactError, match=r"format 99.*upgrade cml-recommender"):
        parse_manifest(newer.to_bytes(), tmp_path / "manifest.json")


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[1]", b"not json", orjson.dumps({"format": 1, "checksum": "x"})]
)
def test_what_is_no_manifest_is_refused(raw, tmp_path):
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        parse_manifest(raw, tmp_path / "manifest.json")


def test_a_directory_without_a_manifest_is_no_artifact(tmp_path):
    with pytest.raises(ArtifactError, match="not a complete artifact"):
        artifact.load(tmp_path)


@pytest.mark.parametrize(
    ("part", "value", "complaint"),
    [
        ("user_vectors", np.zeros((3, 8), dtype=np.float32), "user_vectors has shape"),
        ("item_vectors", np.zeros((200, 4), dtype=np.float32), "item_vectors has shape"),
        ("item_vectors", np.full((200, 8), np.nan, dtype=np.float32), "diverged"),
        ("popularity", np.zeros(3), "popularity has shape"),
        ("user_vectors", np.zeros((40, 8)), "user_vectors holds float64, not float32"),
        ("items", Vocabulary(["one"]), "has shape"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(made, part, value, complaint):
    with pytest.raises(ArtifactError, match=complaint):
        replace(made, **{part: value})


def test_pairs_in_any_order_become_sorted_seen_items():
    made = Content.from_pairs(
        users=Vocabulary(["a", "b", "c"]),
        items=Vocabulary(["x", "y", "z"]),
        user_vectors=np.zeros((3, 2)),
        item_vectors=np.zeros((3, 2)),
        user_rows=np.array([2, 0, 2, 0]),
        item_rows=np.array([2, 1, 0, 0]),
        liked=np.array([True, False, False, True]),
        timestamps=np.array([10.0, 20.0, np.nan, 30.0]),
        config={},
    )
    assert made.seen_indptr.tolist() == [0, 2, 2, 4]
    assert made.seen_items.tolist() == [0, 1, 0, 2]
    assert made.seen_liked.tolist() == [True, False, False, True]
    assert made.popularity.tolist() == [1, 0, 1]
    assert made.first_seen.tolist() == [30.0, 20.0, 10.0]


def test_trending_counts_likes_that_halve_with_age():
    rows, times = np.array([0, 0, 1, 2]), np.array([28 * DAY, 14 * DAY, 0.0, np.nan])
    assert trending_scores(rows, times, 4).tolist() == [1.5, 0.25, 0, 0]
    assert trending_scores(rows, np.full(4, np.nan), 4).tolist() == [0, 0, 0, 0]


def test_first_times_are_the_earliest_known():
    times = first_times(np.array([1, 1, 0]), np.array([5.0, 3.0, np.nan]), 3)
    assert np.isnan(times[[0, 2]]).all()
    assert times[1] == 3.0


def test_publishing_and_answering_need_no_training_libraries(tmp_path):
    artifact.write(content(), tmp_path / "artifact")
    script = (
        "import sys; from pathlib import Path\n"
        "from cml.registry import Registry; from cml.snapshot import Snapshot; from cml.recommend import recommend\n"
        f"models = Registry(Path({str(tmp_path / 'models')!r})); models.publish(Path({str(tmp_path / 'artifact')!r}))\n"
        "assert recommend(Snapshot.load(models), 'user/1').items\n"
        "assert not {'torch', 'pandas', 'scipy', 'sklearn', 'pyarrow'} & set(sys.modules)\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
