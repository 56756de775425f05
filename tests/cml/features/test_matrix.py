"""Rows of numbers as features: how they are encoded, read from files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from cml.catalogue import Catalogue
from cml.config import FeatureConfig
from cml.data.matrices import absolute, read_matrices, read_matrix
from cml.errors import ConfigError, DataError
from cml.features.encoding import FeatureEncoder
from cml.features.schema import Feature, FeatureSchema
from cml.features.values import known_features, unfit
from cml.training.features import EncodedFeatures
from cml.vocabulary import Vocabulary
from tests.reference.features import unit_rows

SCHEMA = FeatureSchema((Feature("genres", "multi"), Feature("cover", "matrix"), Feature("year", "numeric")))
ITEMS = [
    {"genres": ["war"], "cover": [3.0, 0.0, -4.0], "year": 1990},
    {"genres": ["art"], "cover": [0.0, 0.0, 0.0], "year": 1994},
    {"genres": ["art"], "year": 1992},
    {"cover": [1e200, 1e200, 0.0]},
]
VOCABULARY = Vocabulary(["a", "b", "7"])
DENSE = np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 5.0], [9.0, 9.0]])


def written(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_rows_stand_between_other_features_and_have_length_one() -> None:
    encoder = FeatureEncoder.fit(SCHEMA, ITEMS)
    rows = encoder.encode(ITEMS).dense()
    expected = unit_rows([[3, 0, -4], [0, 0, 0], [0, 0, 0], [1, 1, 0]])
    np.testing.assert_allclose(rows[:, 2:5], expected, atol=1e-6)
    np.testing.assert_allclose(rows[:, 5], [-1.2247449, 1.2247449, 0, 0], atol=1e-6)
    again = FeatureEncoder.from_arrays(encoder.arrays())
    np.testing.assert_array_equal(again.encode(ITEMS).dense(), rows)
    assert known_features(encoder, ITEMS[0]) == ("genres", "cover", "year")
    assert known_features(encoder, ITEMS[1]) == ("genres", "year")


def test_a_row_that_does_not_fit_is_refused() -> None:
    encoder = FeatureEncoder.fit(SCHEMA, ITEMS)
    with pytest.raises(DataError, match="'cover': a row of 2 numbers, the matrix of training has 3"):
        encoder.encode([{"cover": [1.0, 2.0]}])
    assert unfit(encoder, "cover", [1, 2, 3]) is None
    assert unfit(encoder, "cover", [1.0, 2.0]) == (
        "a row of 2 numbers, the matrix of training has 3 columns; make it in the same way"
    )
    wrong = [[1.0, "x", 2.0], [1.0, float("nan"), 2.0], "1 2 3", [[1.0, 2.0, 3.0]]]
    assert all("finite numbers" in (unfit(encoder, "cover", value) or "") for value in wrong)


def test_dense_and_sparse_files_say_the_same(tmp_path: Path) -> None:
    ids, sparse = ["7", "a", "b", "stranger"], csr_array(DENSE)
    parts = {name: getattr(sparse, name) for name in ("data", "indices", "indptr", "shape")}
    paths = [
        written(tmp_path / "dense.npz", ids=ids, matrix=DENSE),
        written(tmp_path / "sparse.npz", ids=ids, **parts),
    ]
    catalogue = Catalogue.from_columns(3, {"year": [1990, 1995, None]})
    for path in paths:
        matrices = read_matrices([absolute(f"cover={path}")], VOCABULARY)
        features = EncodedFeatures.of(catalogue, FeatureConfig(), matrices)
        np.testing.assert_allclose(
            features.rows.dense(), unit_rows(DENSE[[1, 2, 0]].tolist()), atol=1e-6, err_msg=path.name
        )
        both = EncodedFeatures.of(catalogue, FeatureConfig(columns=("year",)), matrices)
        assert both.rows.n_columns == 3


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"matrix": DENSE[:2]}, "no one-dimensional array `ids`"),
        ({"ids": np.array(["a", "b"], dtype=object), "matrix": DENSE[:2]}, "not a readable NPZ"),
        ({"ids": ["a", "b"]}, "neither `matrix` nor `data`"),
        ({"ids": ["a", "b"], "matrix": DENSE}, "2 ids beside 4 rows"),
        ({"ids": ["a", "b"], "matrix": DENSE[:2, 0]}, r"shape \(2,\)"),
        ({"ids": ["a", "a"], "matrix": DENSE[:2]}, "'a' has two rows"),
        ({"ids": ["x", "y"], "matrix": DENSE[:2]}, "none of its 2 ids"),
        ({"ids": ["a", "b"], "matrix": [[1, 2], [np.nan, 1]]}, "item 'b' holds a number that is not finite"),
        (
            {"ids": ["a"], "data": [1.0], "indices": [5], "indptr": [0, 1], "shape": [1, 2]},
            "no compressed sparse rows",
        ),
    ],
)
def test_a_file_that_is_wrong_says_why(tmp_path: Path, arrays: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_matrix(written(tmp_path / "wrong.npz", **arrays), VOCABULARY)


def test_names_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected NAME=FILE"):
        absolute("covers.npz")
    with pytest.raises(DataError, match="not a readable NPZ"):
        read_matrices([f"cover={tmp_path / 'none.npz'}"], VOCABULARY)
    with pytest.raises(ConfigError, match="has a column of that name"):
        FeatureSchema.parse(["year"], {"year": "number"}, ["year"])
    with pytest.raises(ConfigError, match="no column of the item table"):
        FeatureSchema.parse(["year:matrix"], {"year": "number"})
