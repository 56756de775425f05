"""Words by their hash: the numbers of scikit-learn, the same in a model that was written and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.utils import murmurhash3_32

from cml.arrays import read_arrays, write_arrays
from cml.features.encoding import FeatureEncoder
from cml.features.hashing import bucket_of, murmur3
from cml.features.schema import Feature, FeatureSchema
from cml.features.values import unfit

SCHEMA = FeatureSchema((Feature("genres", "multi"), Feature("plot", "hashed"), Feature("year", "numeric")))
WORDS = [
    *("the", "war", "of", "roses", "and", "a", "clown", "who", "at", "hated", "loved", "found"),
    *("häßlich", "千と千尋", "don't", "x9", "naïve"),
]


def plots(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(1, 12))) for _ in range(n)]


def items(texts: list[str]) -> list[dict[str, object]]:
    return [
        {"genres": ["Drama", "War"][row % 2], "plot": text, "year": 1990 + row}
        for row, text in enumerate(texts)
    ]


def test_the_hash_is_that_of_scikit_learn_for_any_bytes() -> None:
    rng = np.random.default_rng(0)
    for length in range(40):
        for _ in range(25):
            data = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
            assert murmur3(data) == murmurhash3_32(data, seed=0)


@pytest.mark.parametrize("buckets", [7, 64, 50_000])
def test_hashed_text_equals_scikit_learn_whether_words_collide_or_not(buckets: int) -> None:
    """In the buckets that texts of training use; of others scikit-learn knows nothing to weigh them by."""
    learned, later = plots(40, 0), plots(20, 1)
    vectorizer = HashingVectorizer(n_features=buckets, norm=None)
    weighted = TfidfTransformer().fit(vectorizer.transform(learned))
    expected = weighted.transform(vectorizer.transform(later)).toarray()
    encoder = FeatureEncoder.fit(SCHEMA, items(learned), max_terms=buckets)
    hashed = encoder.fitted[1]
    assert len({bucket_of(word, buckets) for word in WORDS}) > 5
    ours = np.zeros_like(expected)
    where = [int(term) for term in hashed.terms]
    ours[:, where] = encoder.encode(items(later)).dense()[:, 2 : 2 + hashed.width]
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    assert (ours < 0).any()
    assert (ours > 0).any()


def test_what_was_written_encodes_to_the_same_bits(tmp_path: Path) -> None:
    encoder = FeatureEncoder.fit(SCHEMA, items(plots(40, 0)), max_terms=64)
    write_arrays(tmp_path / "features.safetensors", encoder.arrays())
    again = FeatureEncoder.from_arrays(read_arrays(tmp_path / "features.safetensors"))
    first, second = encoder.encode(items(plots(20, 1))), again.encode(items(plots(20, 1)))
    for part in ("indptr", "indices", "values"):
        np.testing.assert_array_equal(getattr(first, part), getattr(second, part))
    assert again.fitted[1].buckets == 64


def test_a_word_of_a_bucket_that_training_did_not_use_is_unknown() -> None:
    encoder = FeatureEncoder.fit(
        FeatureSchema((Feature("plot", "hashed"),)), [{"plot": "war"}, {"plot": None}]
    )
    assert encoder.n_columns == 1
    rows = encoder.encode([{"plot": "war clown"}, {"plot": "clown"}, {"plot": ""}, {}])
    assert rows.empty.tolist() == [False, True, True, True]
    assert abs(rows.values[0]) == 1
    assert unfit(encoder, "plot", ["war"]) == "['war'] is not a text"


def test_words_that_cancel_say_nothing() -> None:
    other = next(
        word
        for word in map(str, range(10, 500))
        if bucket_of(word, 5) == (bucket_of("war", 5)[0], -bucket_of("war", 5)[1])
    )
    encoder = FeatureEncoder.fit(FeatureSchema((Feature("plot", "hashed"),)), [{"plot": "war"}], max_terms=5)
    assert encoder.encode([{"plot": f"war {other}"}]).empty.tolist() == [True]
    assert (
        encoder.encode([{"plot": f"war war {other}"}]).values.tolist()
        == encoder.encode([{"plot": "war"}]).values.tolist()
    )
