"""Features of items: what is encoded, what missing and unknown mean, and that numpy and torch agree."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from cml.errors import ArtifactError, ConfigError, DataError
from cml.features.encoding import FAR, LONGEST_TEXT, FeatureEncoder
from cml.features.extractor import Extractor, Layer
from cml.features.schema import Feature, FeatureSchema

ITEMS = [
    {"genres": "Drama|War", "year": 1990, "title": "The war of the roses", "studio": "A"},
    {"genres": ["Comedy"], "year": "1994", "title": "Roses, roses and a clown", "studio": "B"},
    {"genres": "", "year": None, "title": None},
]
SCHEMA = FeatureSchema(
    (
        Feature("genres", "multi"),
        Feature("year", "numeric"),
        Feature("title", "text"),
        Feature("studio", "categorical"),
    )
)


def test_kinds_by_hand() -> None:
    rows = FeatureEncoder.fit(SCHEMA, ITEMS).encode(ITEMS).dense()
    half = np.sqrt(0.5)  # both tags stand in one item, so both weigh the same
    np.testing.assert_allclose(rows[:, :4], [[0, half, half, -1], [1, 0, 0, 1], [0, 0, 0, 0]], atol=1e-6)
    np.testing.assert_array_equal(rows[:, -2:], [[1, 0], [0, 1], [0, 0]])


def test_text_equals_scikit_learn() -> None:
    texts = [str(item["title"] or "") for item in ITEMS] + ["Clown at war, unknown word"]
    vectorizer = TfidfVectorizer().fit(texts[:3])
    encoder = FeatureEncoder.fit(FeatureSchema((Feature("title", "text"),)), ITEMS)
    ours = encoder.encode([{"title": text} for text in texts]).dense()
    np.testing.assert_allclose(ours, vectorizer.transform(texts).toarray(), atol=1e-6)


def test_of_a_long_text_the_beginning_counts() -> None:
    encoder = FeatureEncoder.fit(FeatureSchema((Feature("title", "text"),)), ITEMS)
    war, roses = (encoder.fitted[0].terms.find(word) for word in ("war", "roses"))
    long = {"title": "roses " * (LONGEST_TEXT // 6) + "war " * 100_000}
    assert encoder.encode([long]).indices.tolist() == [roses] != [war]


def test_one_wild_number_counts_as_far_and_no_farther() -> None:
    encoder = FeatureEncoder.fit(FeatureSchema((Feature("year", "numeric"),)), ITEMS)
    assert encoder.encode([{"year": 1e12}, {"year": -1e12}]).values.tolist() == [FAR, -FAR]


def test_terms_beyond_the_limit_are_the_rarest() -> None:
    items = [{"genres": ["a", "b"]}, {"genres": ["b", "c"]}, {"genres": ["b", "c"]}]
    encoder = FeatureEncoder.fit(FeatureSchema((Feature("genres", "multi"),)), items, max_terms=2)
    assert list(encoder.fitted[0].terms) == ["b", "c"]


def test_unknown_values_count_as_missing() -> None:
    encoder = FeatureEncoder.fit(SCHEMA, ITEMS)
    unknown = {"genres": "Opera", "title": "zzz", "studio": "C", "year": float("nan")}
    np.testing.assert_array_equal(encoder.encode([unknown]).dense(), encoder.encode([{}]).dense())


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_numpy_equals_torch_and_stays_in_the_ball(hidden: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    rows = FeatureEncoder.fit(SCHEMA, ITEMS).encode(ITEMS)
    sizes = [rows.n_columns, *hidden, 4]
    linears = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    for linear in linears:
        linear.weight.data *= 4
    values = torch.from_numpy(rows.dense())
    for number, linear in enumerate(linears):
        values = linear(values.relu() if number else values)
    expected = (values / values.norm(dim=1, keepdim=True).clamp(min=1)).detach().numpy()
    ours = Extractor([Layer(each.weight.detach().numpy().T, each.bias.detach().numpy()) for each in linears])(
        rows
    )
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert np.linalg.norm(ours, axis=1).max() <= 1 + 1e-6


def test_bad_input_is_named() -> None:
    with pytest.raises(ConfigError, match="'year' is declared twice"):
        FeatureSchema((Feature("year", "numeric"), Feature("year", "text")))
    with pytest.raises(DataError, match="'year': 'soon' is neither a finite number nor a date"):
        FeatureEncoder.fit(SCHEMA, ITEMS).encode([{"year": "soon"}])
    with pytest.raises(DataError, match="'gone' has no value"):
        FeatureEncoder.fit(FeatureSchema((Feature("gone", "multi"),)), ITEMS)
    wrong = Extractor([Layer(np.ones((3, 2), np.float32), np.zeros(2, np.float32))])
    with pytest.raises(ArtifactError, match="expects 3"):
        wrong(FeatureEncoder.fit(SCHEMA, ITEMS).encode(ITEMS))
