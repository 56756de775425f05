"""What a version keeps of features: written, read back, and the same places as before."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cml import artifact
from cml.errors import ArtifactError
from cml.features.encoding import FeatureEncoder
from cml.features.extractor import Extractor, Layer
from cml.features.placing import Placer
from tests.cml import small_models
from tests.cml.features.test_features import ITEMS, SCHEMA


def a_placer(dim: int, *hidden: int, length: float | None = None) -> Placer:
    rng = np.random.default_rng(0)
    encoder = FeatureEncoder.fit(SCHEMA, ITEMS)
    sizes = [encoder.n_columns, *hidden, dim]
    layers = [
        Layer(rng.normal(size=(a, b)).astype(np.float32), rng.normal(size=b).astype(np.float32))
        for a, b in pairwise(sizes)
    ]
    return Placer(encoder, Extractor(layers, length=length))


@pytest.mark.parametrize(("hidden", "length"), [((), None), ((6,), 0.4)])
def test_a_stored_placer_places_alike(tmp_path: Path, hidden: tuple[int, ...], length: float | None) -> None:
    content = small_models.content()
    placer = a_placer(content.item_vectors.shape[1], *hidden, length=length)
    artifact.write(replace(content, placer=placer), tmp_path / "version")
    read = artifact.load(tmp_path / "version").placer
    assert read is not None
    assert read.columns == {"genres": "multi", "year": "numeric", "title": "text", "studio": "categorical"}
    expected = placer.place(ITEMS)
    np.testing.assert_array_equal(read.place(ITEMS).vectors, expected.vectors)
    assert expected.known.tolist() == [True, True, False]
    if length is not None:
        np.testing.assert_allclose(np.linalg.norm(expected.vectors, axis=1), length, atol=1e-6)


def test_a_version_without_features_has_no_placer(tmp_path: Path) -> None:
    artifact.write(small_models.content(), tmp_path / "version")
    assert artifact.load(tmp_path / "version").placer is None


def test_parts_that_do_not_fit_are_refused() -> None:
    placer = a_placer(3)
    with pytest.raises(ArtifactError, match="the extractor takes"):
        Placer(FeatureEncoder(placer.encoder.fitted[:1]), placer.extractor)
    with pytest.raises(ArtifactError, match="places into 999 dimensions"):
        replace(small_models.content(), placer=a_placer(999))
