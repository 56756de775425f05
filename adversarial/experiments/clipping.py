"""[WGAN-3]: what clipping does to a deep critic, and what the gradient penalty does not do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from adversarial import methods, toys
from adversarial.experiments.fixed_pair import noisy, train_critic
from adversarial.experiments.style import BLUE, CYCLE, ORANGE, new_figure
from adversarial.networks import critic_network

BOUNDS = (0.1, 0.03, 0.01)
DEPTH, WIDTH, BATCH, LEARNING_RATE = 10, 64, 128, 1e-3
PENALTY = "gradient penalty"


@dataclass(frozen=True)
class Result:
    """For each critic (one per bound, and one with the penalty) what training left."""

    gradients: dict[str, np.ndarray]
    """Norm of the loss's gradient at the input of each layer, first layer first, (DEPTH + 1,)."""
    weights: dict[str, np.ndarray]
    """All weights, flat."""


def run(*, seed: int = 0, effort: float = 1.0) -> Result:
    """Train each critic for 800 * effort steps on the swiss roll against a noisy copy of it."""
    kinds = {f"clipped at {bound}": replace(methods.WGAN, clip=bound) for bound in BOUNDS}
    kinds[PENALTY] = methods.WGAN_GP
    gradients, weights = {}, {}
    for name, method in kinds.items():
        randomness = torch.Generator().manual_seed(seed)
        critic = critic_network(2, WIDTH, DEPTH, randomness)
        roll = toys.SwissRoll().draw
        train_critic(
            method,
            critic,
            roll,
            noisy(roll),
            steps=max(1, round(800 * effort)),
            batch_size=BATCH,
            randomness=randomness,
            learning_rate=LEARNING_RATE,
        )
        gradients[name] = _gradient_by_layer(method, critic, randomness)
        weights[name] = torch.cat([p.detach().flatten() for p in critic.parameters() if p.dim() > 1]).numpy()
    return Result(gradients, weights)


def draw(result: Result) -> Figure:
    """The gradient's norm by layer, and the weights of a clipped and of a penalised critic."""
    figure, (left, middle, right) = new_figure(1, 3)
    for (name, norms), colour in zip(result.gradients.items(), (*CYCLE[1:], BLUE), strict=True):
        left.semilogy(
            np.arange(1, len(norms) + 1), np.maximum(norms, 1e-30), "o-", ms=3, color=colour, label=name
        )
    left.set(title="Gradient norm by layer", xlabel="layer, first to last")
    left.legend()
    bound = BOUNDS[-1]
    for axes, name, colour in ((middle, f"clipped at {bound}", ORANGE), (right, PENALTY, BLUE)):
        weights = result.weights[name]
        axes.hist(weights, bins=60, range=tuple(np.quantile(weights, [0.001, 0.999])), color=colour)
        axes.set(title=f"Weights, {name}", xlabel="value", ylabel="count")
    middle.set_xticks([-bound, 0, bound])
    return figure


def text(result: Result) -> str:
    """What is seen, with the numbers of this run."""
    ratios = {name: norms[0] / norms[-1] for name, norms in result.gradients.items()}
    shares = "; ".join(f"{name}: {ratio:.2g}" for name, ratio in ratios.items())
    return (
        f"Critics with {DEPTH} hidden layers learn to tell a swiss roll from a noisy copy of it. Left: the norm of "
        "the loss's gradient as it travels from the last layer back to the first. Under clipping it depends on "
        "the bound whether it explodes or vanishes on the way; with the penalty it stays in one range. First "
        f"layer over last: {shares}. Middle: {100 * share_at_bounds(result):.0f} % of the clipped weights lie "
        "within a hundredth of a bound. Right: with the penalty they spread as they need."
    )


def share_at_bounds(result: Result) -> float:
    """The share of weights of the tightest clipped critic within 1 % of the bound."""
    bound = BOUNDS[-1]
    return float((np.abs(result.weights[f"clipped at {bound}"]) > 0.99 * bound).mean())


def _gradient_by_layer(method: methods.Method, critic: nn.Module, randomness: torch.Generator) -> np.ndarray:
    roll = toys.SwissRoll().draw
    real, generated = roll(512, randomness), noisy(roll)(512, randomness)
    inputs: list[torch.Tensor] = []

    def remember(_module: nn.Module, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        kept = arguments[0] if arguments[0].requires_grad else arguments[0].requires_grad_(True)
        inputs.append(kept)
        return (kept,)

    hooks = [m.register_forward_pre_hook(remember) for m in critic.modules() if isinstance(m, nn.Linear)]
    scores = critic(torch.cat([real, generated]))
    for hook in hooks:
        hook.remove()
    loss = method.on_real(scores[: len(real)]).mean() + method.on_generated(scores[len(real) :]).mean()
    return np.array([float(g.norm()) for g in torch.autograd.grad(loss, inputs)])
