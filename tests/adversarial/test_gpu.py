"""What is trained on a GPU is what is trained on the CPU: chance is drawn on the CPU for both."""

import numpy as np
import pytest
import torch
from scipy import sparse

from adversarial import methods, toys
from adversarial.alignments import ALIGNMENTS
from adversarial.networks import critic_network, generator_network
from adversarial.trainer import Trainer
from adversarial.wdgrl import DomainAdaptedClassifier

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")


def _trainer(method, device):
    randomness = torch.Generator().manual_seed(0)
    networks = generator_network(2, 16, 2, 2, randomness), critic_network(2, 16, 2, randomness)
    generator, critic = (network.to(device) for network in networks)
    draw = toys.eight_gaussians().draw
    return Trainer(method, generator, critic, draw, noise_dim=2, batch_size=32, randomness=randomness)


@pytest.mark.parametrize("method", methods.METHODS.values(), ids=lambda m: m.name)
def test_generators_learn_the_same(method, tmp_path):
    on_cpu, on_gpu = _trainer(method, "cpu"), _trainer(method, "cuda")
    on_cpu.run(5)
    on_gpu.run(3)
    on_gpu.save(tmp_path / "run.safetensors")
    again = _trainer(method, "cuda")
    again.load(tmp_path / "run.safetensors")
    again.run(2)
    points = [one.sample(20, torch.Generator().manual_seed(1)).cpu() for one in (on_cpu, again)]
    torch.testing.assert_close(points[1], points[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("method", ALIGNMENTS)
def test_estimators_learn_the_same_and_come_back_to_the_cpu(method, kind, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    source = rng.normal(size=(120, 6)).astype(np.float32)
    source[:, 0] += 3 * y
    target = source + np.float32(1)
    features = []
    for device in ("cpu", "cuda"):
        seen = []
        model = DomainAdaptedClassifier(
            method,
            hidden=(8,),
            steps=30,
            record_every=10,
            validation_fraction=0.2,
            device=device,
            random_state=0,
        )
        model.fit(
            kind(source), y, kind(target), observe=lambda _, m=model, s=seen: s.append(m.transform(source))
        )
        assert len(seen) == 3
        assert next(model.network_.parameters()).device.type == "cpu"
        model.save(tmp_path / device)
        features.append(model.transform(kind(target)))
    np.testing.assert_allclose(features[1], features[0], rtol=1e-2, atol=1e-3)
