"""One trainer for all methods: exact resume, constraints that hold, learning judged by what was learned."""

import dataclasses

import numpy as np
import pytest
import torch

from adversarial import checkpoints, methods, objectives, toys, wasserstein
from adversarial.errors import ModelError, SettingError, TrainingError
from adversarial.networks import critic_network, generator_network, mlp
from adversarial.trainer import COLUMNS, Patience, Trainer


def _trainer(method, seed=0, batch_size=16, draw=None, width=8):
    randomness = torch.Generator().manual_seed(seed)
    return Trainer(
        method,
        generator_network(2, width, 2, 2, randomness),
        critic_network(2, width, 2, randomness),
        draw or toys.eight_gaussians().draw,
        noise_dim=2,
        batch_size=batch_size,
        randomness=randomness,
    )


def _weights(trainer):
    return torch.cat(
        [p.detach().flatten() for m in (trainer.generator, trainer.critic) for p in m.parameters()]
    )


@pytest.mark.parametrize("method", methods.METHODS.values(), ids=lambda m: m.name)
def test_a_run_that_was_interrupted_continues_bit_by_bit(method, tmp_path):
    whole, first, second = _trainer(method), _trainer(method), _trainer(method, seed=99)
    whole.run(6)
    first.run(3)
    first.save(tmp_path / "run.safetensors")
    second.load(tmp_path / "run.safetensors")
    second.run(3)
    assert torch.equal(_weights(whole), _weights(second))
    assert whole.history == second.history
    assert [record["step"] for record in second.history] == [1, 2, 3, 4, 5, 6]
    assert not torch.equal(_weights(first), _weights(second))


def test_a_checkpoint_of_another_method_is_refused(tmp_path):
    _trainer(methods.GAN).save(tmp_path / "run.safetensors")
    with pytest.raises(ModelError, match="wgan"):
        _trainer(methods.WGAN).load(tmp_path / "run.safetensors")


def test_a_checkpoint_of_other_networks_is_refused(tmp_path):
    _trainer(methods.GAN).save(tmp_path / "run.safetensors")
    with pytest.raises(ModelError, match="does not fit"):
        _trainer(methods.GAN, width=9).load(tmp_path / "run.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint at all"])
def test_a_missing_or_damaged_checkpoint_is_refused_by_name(content, tmp_path):
    path = tmp_path / "run.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"run\.safetensors"):
        checkpoints.read(path)


def test_each_generator_step_takes_the_methods_number_of_critic_steps():
    method = dataclasses.replace(methods.GAN, critic_steps=3)
    drawn = []

    def draw(count, randomness):
        drawn.append(count)
        return torch.randn(count, 2, generator=randomness)

    _trainer(method, draw=draw).run(2)
    assert drawn == [16] * 6


def test_only_wgan_keeps_its_weights_in_the_clipping_box():
    clipped, free = _trainer(methods.WGAN), _trainer(methods.WGAN_GP)
    for trainer in (clipped, free):
        trainer.run(2)
    assert max(p.abs().max() for p in clipped.critic.parameters()) <= 0.01
    assert max(p.abs().max() for p in free.critic.parameters()) > 0.1


def test_the_critic_goes_up_and_the_generator_comes_after():
    """With the generator frozen the critic's estimate grows; with the critic frozen it shrinks."""
    method = dataclasses.replace(methods.PLANAR_WGAN_GP, optimiser=lambda ps: torch.optim.Adam(ps, lr=1e-2))
    still = dataclasses.replace(method, critic_steps=1)
    trainer = _trainer(still, draw=lambda n, r: torch.randn(n, 2, generator=r) + 3)
    for group in trainer._generator_optimiser.param_groups:
        group["lr"] = 0.0
    trainer.run(60)
    assert trainer.history[-1]["estimate"] > trainer.history[0]["estimate"] + 1
    before = trainer.history[-1]["estimate"]
    trainer._critic_optimiser.param_groups[0]["lr"] = 0.0
    trainer._generator_optimiser.param_groups[0]["lr"] = 1e-2
    trainer.run(60)
    assert trainer.history[-1]["estimate"] < before - 1


def test_the_penalty_looks_between_real_and_generated_samples():
    seen = []

    def critic(points):
        seen.append(points.detach())
        return points.sum(1)

    real, generated = torch.full((50, 2), 1.0), torch.full((50, 2), -3.0)
    penalty = methods.slope_constraint(10.0)(critic, real, generated, torch.Generator().manual_seed(0))
    points = seen[0]
    assert penalty.tolist() == pytest.approx([10 * (2**0.5 - 1) ** 2] * 50)
    assert ((points > -3) & (points < 1)).all()
    assert torch.equal(points[:, 0], points[:, 1])
    assert points[:, 0].std() > 0.8


@pytest.mark.parametrize("method", methods.METHODS.values(), ids=lambda m: m.name)
def test_training_draws_nothing_from_the_global_generator(method):
    before = torch.get_rng_state()
    _trainer(method).run(1)
    assert torch.equal(before, torch.get_rng_state())


def test_the_history_is_a_table_and_is_shown_as_it_grows():
    seen = []
    trainer = _trainer(methods.WGAN_GP)
    trainer.run(3, observe=seen.append)
    assert seen == trainer.history
    assert set(seen[0]) == set(COLUMNS)


def test_sampling_does_not_disturb_training():
    one, other = _trainer(methods.GAN), _trainer(methods.GAN)
    for trainer in (one, other):
        trainer.run(2)
        if trainer is one:
            assert trainer.sample(5, torch.Generator().manual_seed(1)).shape == (5, 2)
        trainer.run(2)
    assert torch.equal(_weights(one), _weights(other))


def test_patience_stops_after_as_many_records_without_a_gain():
    stop = Patience("loss", steps=2, smallest_gain=0.1)
    assert [stop({"loss": value}) for value in [1.0, 0.8, 0.75, 0.6, 0.59, 0.58]] == [False] * 5 + [True]


def test_an_early_stop_ends_the_run():
    trainer = _trainer(methods.GAN)
    trainer.run(10, stop=lambda record: record["step"] == 4)
    assert len(trainer.history) == 4


def test_samples_that_are_not_finite_stop_training_with_the_step():
    trainer = _trainer(methods.WGAN_GP, draw=lambda count, _: torch.full((count, 2), float("nan")))
    with pytest.raises(TrainingError, match="step 1"):
        trainer.run(1)


def test_impossible_sizes_are_refused():
    with pytest.raises(SettingError, match="batch_size 0"):
        _trainer(methods.GAN, batch_size=0)


def test_methods_differ_in_losses_and_constraint_as_the_papers_say():
    assert methods.NS_GAN.for_generator is objectives.generator_non_saturating
    assert methods.GAN.for_generator is objectives.generator_saturating
    assert methods.GAN.on_real is methods.NS_GAN.on_real
    assert (methods.WGAN.clip, methods.WGAN.critic_steps, methods.WGAN.penalty) == (0.01, 5, None)
    assert (methods.WGAN_GP.clip, methods.WGAN_GP.critic_steps) == (None, 5)
    parameter = torch.nn.Parameter(torch.zeros(1))
    assert methods.WGAN.optimiser([parameter]).param_groups[0]["lr"] == 5e-5
    assert methods.WGAN_GP.optimiser([parameter]).param_groups[0]["betas"] == (0.0, 0.9)


def test_starting_weights_have_the_stated_spread_and_never_exceed_two_of_it():
    network = mlp([400, 300, 1], randomness=torch.Generator().manual_seed(0), bias=0.1)
    weight = network[0].weight
    spread = (2 / 400) ** 0.5
    assert weight.abs().max() <= 2 * spread
    assert weight.std().item() == pytest.approx(0.88 * spread, rel=0.02)  # cutting at two sigma leaves 0.88
    assert network[0].bias.tolist() == pytest.approx([0.1] * 300)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ns-gan", "wgan-gp"])
def test_a_generator_moves_to_where_the_data_is(name):
    """A floor for learning: data around (2, -1), start near the origin."""

    def draw(count, randomness):
        return torch.tensor([2.0, -1.0]) + 0.2 * torch.randn(count, 2, generator=randomness)

    method = dataclasses.replace(
        methods.PLANAR_METHODS[name], optimiser=lambda ps: torch.optim.Adam(ps, lr=1e-3, betas=(0.5, 0.9))
    )
    trainer = _trainer(method, draw=draw, width=32, batch_size=64)
    held_out = torch.Generator().manual_seed(7)
    real = draw(300, held_out)
    before = wasserstein.exact(trainer.sample(300, held_out), real).value
    trainer.run(500)
    after = wasserstein.exact(trainer.sample(300, held_out), real).value
    assert after < 0.7 < 1.5 < before


@pytest.mark.parametrize(("name", "modes"), [("8gaussians", 8), ("25gaussians", 25)])
def test_all_modes_of_real_data_count_as_covered_and_a_collapsed_sample_as_one(name, modes):
    world = toys.world(name)
    real = world.draw(1000, torch.Generator().manual_seed(0))
    assert toys.covered_modes(world, real) == modes
    assert toys.covered_modes(world, world.centres[3].expand(1000, 2)) == 1
    assert toys.covered_modes(world, torch.full((1000, 2), 50.0)) == 0


def test_the_swiss_roll_stays_within_the_plot():
    points = toys.world("swissroll").draw(2000, torch.Generator().manual_seed(0)).numpy()
    radius = np.linalg.norm(points, axis=1)
    assert 0.4 < radius.min() < radius.max() < 2.1
    with pytest.raises(SettingError, match="8gaussians"):
        toys.world("moon")
