"""Feature tables come back as they went out, in every format, and files that do not fit say why."""

import gzip

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from adversarial import tables
from adversarial.errors import DataError, SettingError

FEATURES = np.array([[1.0, 0.0, 2.5], [0.0, -3.0, 0.0], [0.0, 0.0, 4.0]], dtype=np.float32)
LABELS = np.array([1.0, -1.0, 1.0])


def _read(path, **options):
    return tables.read_together([path], **options)[0]


@pytest.mark.parametrize(
    "ending", [".csv", ".tsv", ".csv.gz", ".parquet", ".npz", ".NPZ", ".svmlight", ".svmlight.gz"]
)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_a_table_comes_back_as_it_was_written(ending, kind, tmp_path):
    path = tmp_path / f"table{ending}"
    tables.write(path, kind(FEATURES), LABELS)
    table = _read(path, index_base=0 if "svm" in ending else None)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert tables.as_dense(table.features).tolist() == FEATURES.tolist()
    assert table.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npz"])
def test_a_table_without_labels_says_so_only_when_they_are_needed(ending, tmp_path):
    path = tmp_path / f"table{ending}"
    tables.write(path, FEATURES)
    table = _read(path)
    assert table.labels is None
    with pytest.raises(DataError, match="--label-column"):
        table.require_labels(path)


def test_words_are_labels_too_and_any_column_can_hold_them(tmp_path):
    pd.DataFrame({"a": [1, 2], "mood": ["good", "bad"], "b": [3, 4]}).to_csv(tmp_path / "t.csv", index=False)
    table = _read(tmp_path / "t.csv", label_column="mood")
    assert table.labels.tolist() == ["good", "bad"]
    assert table.features.tolist() == [[1, 3], [2, 4]]
    with pytest.raises(DataError, match="columns mood are not numbers"):
        _read(tmp_path / "t.csv")


def test_columns_are_matched_by_name(tmp_path):
    pd.DataFrame({"a": [1], "b": [2], "label": [0]}).to_csv(tmp_path / "s.csv", index=False)
    pd.DataFrame({"b": [20], "a": [10]}).to_parquet(tmp_path / "t.parquet", index=False)
    _, target = tables.read_together([tmp_path / "s.csv", tmp_path / "t.parquet"])
    assert target.features.tolist() == [[10, 20]]
    pd.DataFrame({"b": [20], "c": [10]}).to_csv(tmp_path / "u.csv", index=False)
    with pytest.raises(DataError, match="a, c"):
        tables.read_together([tmp_path / "s.csv", tmp_path / "u.csv"])


def test_svmlight_width_is_inferred_over_all_files_or_given(tmp_path):
    (tmp_path / "a.svmlight").write_text("1 0:2 3:1\n-1 1:1\n")
    (tmp_path / "b.svmlight").write_text("1 6:5 # a comment with 0:1 in it\n")
    a, b = tables.read_together([tmp_path / "a.svmlight", tmp_path / "b.svmlight"])
    assert (a.features.shape, b.features.shape) == ((2, 7), (1, 7))
    assert a.features.toarray()[0].tolist() == [2, 0, 0, 1, 0, 0, 0]
    assert _read(tmp_path / "b.svmlight", width=9, index_base=0).features.shape == (1, 9)
    with pytest.raises(DataError, match=r"b\.svmlight:1: .*n_features was set to 4"):
        _read(tmp_path / "b.svmlight", width=4)


def test_indices_count_from_one_when_no_file_uses_zero(tmp_path):
    (tmp_path / "a.svmlight").write_text("1 1:2 3:1\n")
    (tmp_path / "b.svmlight").write_text("1 2:2\n")
    paths = [tmp_path / "a.svmlight", tmp_path / "b.svmlight"]
    one, zero = tables.read_together(paths), tables.read_together(paths, index_base=0)
    assert (one[0].features.shape, one[0].index_base) == ((1, 3), 1)
    assert (zero[0].features.shape, zero[0].index_base) == ((1, 4), 0)
    (tmp_path / "b.svmlight").write_text("1\t0:2\n")
    assert [table.index_base for table in tables.read_together(paths)] == [0, 0]


def test_gzipped_svmlight_is_read(tmp_path):
    with gzip.open(tmp_path / "a.svmlight.gz", "wt") as file:
        file.write("1 0:2 3:1\n")
    assert _read(tmp_path / "a.svmlight.gz").features.shape == (1, 4)


def test_formats_mix_as_long_as_the_widths_agree(tmp_path):
    tables.write(tmp_path / "a.npz", FEATURES, LABELS)
    (tmp_path / "b.svmlight").write_text("1 0:5\n")
    a, b = tables.read_together([tmp_path / "a.npz", tmp_path / "b.svmlight"])
    assert (a.features.shape[1], b.features.shape[1]) == (3, 3)
    tables.write(tmp_path / "c.npz", FEATURES[:, :2])
    with pytest.raises(DataError, match=r"c\.npz: has 2 features where 3 are expected"):
        tables.read_together([tmp_path / "a.npz", tmp_path / "c.npz"])


def test_a_matrix_saved_by_scipy_is_read(tmp_path):
    sparse.save_npz(tmp_path / "m.npz", sparse.csr_matrix(FEATURES))
    assert _read(tmp_path / "m.npz").features.toarray().tolist() == FEATURES.tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.npz", b"junk", "cannot be read as npz"),
        ("t.svmlight", b"1 0:1\n\n1 a:b\n", "t.svmlight:3: cannot be read as svmlight"),
        ("t.svmlight", b"1 99999999999:1\n", "t.svmlight:1: cannot be read as svmlight"),
        ("t.svmlight", b"\xff\xfe\xbe", "t.svmlight:1: cannot be read as svmlight"),
        ("t.svmlight.gz", b"junk", "cannot be read as svmlight"),
        ("t.svmlight", b"", "0 rows"),
        ("t.svmlight", b"1 0:1\n0 0:1 2:nan\n", "data row 2 has nan as feature 2"),
        ("t.csv", b"a,b,label\n", "no rows"),
        ("t.csv", b"a,b,label\n1,2,0\n1,0\n,2,0\n", "data row 3 has nan as feature a"),
        ("t.csv", b"a,b,label\n1,2,0\n1,2,3,4\n", "Expected 3 fields in line 3, saw 4.$"),
        ("t.csv", b"a,label\n1e39,2\n", r"data row 1 has 1e\+39 as feature a"),
        ("t.csv", b"label\n1\n", "1 rows of 0 features"),
        ("t.parquet", b"junk", "cannot be read as parquet"),
        ("t.csv", b"", "cannot be read as csv"),
        ("t.csv", None, "no such file"),
        ("t.svmlight", None, "no such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        _read(tmp_path / name)
    assert name in str(caught.value)


def test_a_matrix_in_columns_is_not_taken_for_one_in_rows(tmp_path):
    square = np.arange(9.0).reshape(3, 3)
    sparse.save_npz(tmp_path / "m.npz", sparse.csc_matrix(square))
    assert _read(tmp_path / "m.npz").features.toarray().tolist() == square.tolist()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.arange(3.0)}, r"shape \(3,\)"),
        ({"X": np.array([["a"]])}, "<U1"),
        ({"X": np.array([[1j]])}, "real numbers"),
        ({"X": FEATURES, "y": LABELS[:2]}, r"y has shape \(2,\) for 3 rows"),
        ({"data": [1.0], "indices": [50], "indptr": [0, 1], "shape": [1, 10]}, "indices must be < 10"),
    ],
)
def test_arrays_that_are_no_table_say_what_they_are(arrays, message, tmp_path):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        _read(tmp_path / "t.npz")
    assert "t.npz: " in str(caught.value)


def test_numbers_keep_their_digits(tmp_path):
    (tmp_path / "t.csv").write_text("a\n100000001\n100000002\n")
    (tmp_path / "t.svmlight").write_text("1 0:100000001\n1 0:100000002\n")
    for name in ("t.csv", "t.svmlight"):
        assert tables.as_dense(_read(tmp_path / name).features).tolist() == [[100000001], [100000002]]


def test_missing_values_of_parquet_are_missing_features(tmp_path):
    frame = pd.DataFrame(
        {"a": pd.array([1, None], dtype="Int64"), "label": pd.array([None, 1], dtype="Int64")}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="data row 2 has nan as feature a"):
        _read(tmp_path / "t.parquet")
    frame[["label"]].assign(a=1.0).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="data row 1 has no label"):
        _read(tmp_path / "t.parquet").require_labels(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, np.nan, 1], "data row 2 has no label"),
        ([0, 1, 0.5], "data row 3 has label 0.5, .*--task regress"),
        (["a", "a", "a"], "every row has the label 'a'"),
    ],
)
def test_labels_that_name_no_classes_are_refused_by_row(labels, message, tmp_path):
    table = tables.Table(FEATURES, np.array(labels))
    with pytest.raises(DataError, match=message):
        table.require_classes(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"), [(["a", "b"], "not numbers"), ([1, np.inf], "data row 2 has label inf")]
)
def test_labels_that_are_no_amounts_are_refused(labels, message, tmp_path):
    with pytest.raises(DataError, match=message):
        tables.Table(FEATURES[:2], np.array(labels)).require_amounts(tmp_path)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read as npz"):
        _read(tmp_path / "t.npz")


def test_an_npz_without_the_right_names_says_what_is_in_it(tmp_path):
    np.savez(tmp_path / "t.npz", features=FEATURES)
    with pytest.raises(DataError, match=r"holds \['features'\]"):
        _read(tmp_path / "t.npz")


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(SettingError, match="parquet"):
        tables.write(tmp_path / "t.xlsx", FEATURES)
    with pytest.raises(SettingError, match=r"leave \.gz off"):
        tables.write(tmp_path / "t.npz.gz", FEATURES)


def test_svmlight_cannot_hold_words(tmp_path):
    with pytest.raises(DataError, match="CSV or Parquet"):
        tables.write(tmp_path / "t.svmlight", FEATURES, np.array(["a", "b", "c"]))
