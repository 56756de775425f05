"""Alignments equal their slow twins, see no labels, and pull the domains together at their defaults."""

import numpy as np
import pytest
import torch
from scipy import sparse

from adversarial import alignments, objectives
from adversarial.alignments import ALIGNMENTS, AlignmentSettings, make_alignment
from adversarial.errors import SettingError
from adversarial.networks import mlp
from adversarial.relu_slopes import penalised_gradients
from adversarial.sparse_rows import FeatureTable, FirstLayer
from tests.reference import adversarial_alignments as slow


def _features(seed, count=6, dim=3, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64) + shift


def _make(name, dim=3, **settings):
    return make_alignment(name, AlignmentSettings(**settings), dim, torch.Generator().manual_seed(0))


def test_the_covariance_distance_equals_its_slow_twin():
    source, target = _features(0), _features(1, count=5) * 2
    got = alignments.covariance_distance(source, target).item()
    assert got == pytest.approx(slow.covariance_distance(source.tolist(), target.tolist()), rel=1e-12)
    assert got > 0.01
    assert alignments.covariance_distance(source, source + 7).item() == pytest.approx(0, abs=1e-20)


def test_the_kernel_discrepancy_equals_its_slow_twin():
    source, target = _features(0), _features(1, count=5, shift=0.7)
    got = alignments.kernel_discrepancy(source, target).item()
    assert got == pytest.approx(slow.kernel_discrepancy(source.tolist(), target.tolist()), rel=1e-10)
    assert alignments.kernel_discrepancy(source, source).item() == pytest.approx(0, abs=1e-12)


def test_kernels_follow_the_size_of_the_features():
    source, target = _features(0), _features(1, shift=0.7)
    small, large = (alignments.kernel_discrepancy(k * source, k * target).item() for k in (1e-3, 1e3))
    assert small == pytest.approx(large, rel=1e-6)


def test_the_domain_classifier_raises_what_its_extractor_lowers():
    dann = _make("dann")
    dann.classifier.double()
    source, target = _features(0), _features(1, shift=1.0)
    logits = dann.classifier(torch.cat([source, target])).reshape(-1).tolist()
    expected = slow.domain_classifier_loss(logits[:6], logits[6:])
    assert dann.loss(source, target, progress=0.0).item() == 0
    assert dann.loss(source, target, progress=0.999).item() == pytest.approx(-expected, rel=1e-3)


def test_the_wasserstein_loss_is_the_weighted_gap_of_source_over_target():
    wdgrl = _make("wdgrl", weight=0.5)
    wdgrl.critic.double()
    source, target = _features(0), _features(1, shift=1.0)
    expected = 0.5 * (wdgrl.critic(source).mean() - wdgrl.critic(target).mean())
    assert wdgrl.loss(source, target, progress=0.3).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("hidden", [(), (7,), (8, 5)])
@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("one_sided", [False, True])
def test_written_out_critic_gradients_equal_double_backward(hidden, slope, one_sided):
    def activation():
        return torch.nn.LeakyReLU(slope) if slope else torch.nn.ReLU()

    randomness = torch.Generator().manual_seed(3)
    critic = mlp([4, *hidden, 1], randomness=randomness, activation=activation, bias=0.1).double()
    points = torch.randn(9, 4, generator=randomness, dtype=torch.float64)
    weights = torch.randn(9, generator=randomness, dtype=torch.float64)
    loss = (weights * critic(points).reshape(-1)).sum()
    loss = loss + 10 * objectives.gradient_penalty(critic, points, one_sided=one_sided).mean()
    expected = torch.autograd.grad(loss, list(critic.parameters()))
    found = penalised_gradients(critic, points, weights, 10.0, one_sided=one_sided)
    assert torch.allclose(found.slopes, objectives.input_slopes(critic, points), atol=1e-12)
    assert torch.allclose(found.scores, critic(points).reshape(-1), atol=1e-12)
    for ours, theirs in zip(found.parameters, expected, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-6 * (1 + theirs.abs().max())


def test_written_out_critic_gradients_are_finite_where_the_critic_is_flat():
    critic = mlp([4, 6, 1], randomness=torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(critic[-1].weight)
    found = penalised_gradients(critic, torch.rand(5, 4), torch.zeros(5), 10.0)
    assert found.slopes.tolist() == [0.0] * 5
    assert all(torch.isfinite(gradient).all() for gradient in found.parameters)


def test_a_critic_step_is_adam_on_the_papers_loss_at_fresh_points():
    wdgrl, twin = _make("wdgrl", critic_steps=2), _make("wdgrl", critic_steps=2)
    for made in (wdgrl, twin):
        made.critic.double()  # Adam's first steps are signs of the gradient: rounding in floats would decide some
    source, target = _features(0), _features(1, shift=1.0)
    wdgrl.learn(source, target)
    optimiser = torch.optim.Adam(twin.critic.parameters(), lr=1e-4)
    for _ in range(2):
        epsilon = torch.rand(6, generator=twin._randomness, dtype=source.dtype)
        points = objectives.wdgrl_points(source, target, epsilon)
        gap = objectives.domain_gap(twin.critic(source), twin.critic(target))
        penalty = objectives.gradient_penalty(twin.critic, points).mean()
        optimiser.zero_grad()
        (-gap + 10 * penalty).backward()
        optimiser.step()
    *ours, _ = wdgrl.critic.parameters()
    *theirs, _ = twin.critic.parameters()  # the last bias cancels in the gap: its gradient is rounding only
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in ALIGNMENTS if name != "source-only"])
def test_no_default_weight_is_inert_and_following_it_closes_the_gap(name):
    alignment = _make(name, critic_learning_rate=1e-2)  # a critic that keeps up with 150 large steps
    target = _features(1, count=32).float() * 0.5
    source = (_features(0, count=32) * 2 + 1).float().requires_grad_(True)
    measure = alignments.covariance_distance if name == "coral" else alignments.kernel_discrepancy
    start = measure(source.detach(), target).item()
    optimiser = torch.optim.Adam([source], lr=0.05)
    for step in range(150):
        alignment.learn(source.detach(), target)
        optimiser.zero_grad()
        alignment.loss(source, target, progress=0.5 + step / 1000).backward()
        assert source.grad.abs().max() > 0
        optimiser.step()
    assert measure(source.detach(), target).item() < 0.8 * start


def test_source_only_neither_learns_nor_pulls():
    alone = _make("source-only")
    alone.learn(_features(0), _features(1))
    assert alone.loss(_features(0), _features(1), progress=0.5).item() == 0


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(SettingError, match="wdgrl, dann, coral, mmd, source-only"):
        _make("wgdrl")


@pytest.mark.parametrize("seed", range(3))
def test_sparse_rows_times_weights_equal_the_slow_product_and_their_gradient_the_dense_one(seed):
    matrix = sparse.random(9, 12, density=0.3, random_state=seed, format="lil")
    matrix[4] = 0  # an empty row
    matrix[:, 5] = 0  # and an empty column
    table, dense = FeatureTable(matrix), FeatureTable(matrix.toarray())
    layer = FirstLayer(12, 4, randomness=torch.Generator().manual_seed(seed), bias=0.1)
    rows = torch.tensor([4, 0, 8, 3, 3])
    expected = slow.matrix_product(dense.take(rows).tolist(), layer.weight.tolist())
    assert (layer(table.take(rows)) - 0.1).tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    pull = torch.randn(5, 4, generator=torch.Generator().manual_seed(9))
    ours, theirs = (
        torch.autograd.grad((layer(t.take(rows)) * pull).sum(), list(layer.parameters()))
        for t in (table, dense)
    )
    assert torch.allclose(ours[0], theirs[0], atol=1e-6)
    assert torch.allclose(ours[1], theirs[1])


def test_a_batch_of_nothing_but_zeros_is_a_batch_like_any_other():
    table = FeatureTable(sparse.csr_array((3, 5)))
    layer = FirstLayer(5, 2, randomness=torch.Generator().manual_seed(0), bias=0.1)
    out = layer(table.take(torch.tensor([0, 2])))
    out.sum().backward()
    assert out.tolist() == [[pytest.approx(0.1)] * 2] * 2
    assert layer.weight.grad.abs().sum() == 0


@pytest.mark.parametrize(("left", "right"), [(True, True), (True, False), (False, False)])
def test_tables_follow_one_another_and_stay_sparse_when_either_is(left, right):
    a, b = np.eye(3), 2 * np.eye(3)
    as_table = lambda rows, is_sparse: FeatureTable(sparse.csr_array(rows) if is_sparse else rows)  # noqa: E731
    both = as_table(a, left).followed_by(as_table(b, right))
    layer = FirstLayer(3, 2, randomness=torch.Generator().manual_seed(0), bias=0.0)
    rows = both.take(torch.tensor([5, 1]))
    assert torch.equal(layer(rows), torch.stack([2 * layer.weight[2], layer.weight[1]]))
    assert len(both) == 6
    assert isinstance(rows, torch.Tensor) is not (left or right)
