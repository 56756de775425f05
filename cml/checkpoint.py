"""A training run on disk between epochs: resumed from there, it ends exactly as if it had not been stopped."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cml.durable import replace_file
from cml.errors import TrainingError
from cml.history import Epoch
from cml.plan import Plan
from cml.space import Space
from cml.trainer import Progress

FORMAT = "1"


@dataclass
class Checkpoint:
    """One safetensors file that always holds a whole state: tables, optimisers, chance, history, best space.

    `run` identifies configuration and data; a file of another run is refused rather than continued. Writing
    may take as long as a short epoch does, so it is left out until `pause` seconds have passed since the last.
    """

    path: Path
    run: str
    pause: float = 10.0
    _written: float = field(default=0.0, init=False)

    def save(self, plan: Plan, progress: Progress) -> None:
        """Replace the file, if it is time to."""
        now = time.monotonic()
        if now - self._written < self.pause:
            return
        metadata = {"format": FORMAT, "run": self.run, "state": json.dumps(_state(plan, progress))}
        replace_file(self.path, save(_tensors(plan, progress), metadata))
        self._written = time.monotonic()

    def resume(self, plan: Plan) -> Progress:
        """Put a saved state into a fresh plan; without a file, start from the beginning.

        Raises TrainingError when the file is damaged or belongs to another run.
        """
        if not self.path.exists():
            return Progress()
        try:
            with safe_open(self.path, "pt", device=str(plan.space.users.device)) as file:
                metadata = file.metadata() or {}
                self._require_own(metadata)
                stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        except (SafetensorError, OSError) as error:
            raise TrainingError(
                f"{self.path}: damaged checkpoint ({error}); delete it to start again"
            ) from None
        for name, tensor in _live(plan).items():
            tensor.copy_(stored[name])
        state = json.loads(metadata["state"])
        plan.rng.bit_generator.state = state["rng"]
        best = Space(stored["best.users"], stored["best.items"], plan.space.radius)
        history = [Epoch(**epoch) for epoch in state["history"]]
        return Progress(history, best, state["best_epoch"], state["best_value"])

    def _require_own(self, metadata: dict[str, str]) -> None:
        if metadata.get("format") != FORMAT or metadata.get("run") != self.run:
            raise TrainingError(
                f"{self.path}: this checkpoint comes from other data or settings; train without --resume, or with "
                "what it was made with"
            )

    def remove(self) -> None:
        """Forget the state: the run is complete."""
        self.path.unlink(missing_ok=True)


def _live(plan: Plan) -> dict[str, Tensor]:
    tensors = {"users": plan.space.users, "items": plan.space.items}
    for name, optimizer in (("user", plan.engine.user_optimizer), ("item", plan.engine.item_optimizer)):
        tensors |= {f"{name}.{key}": value for key, value in optimizer.state().items()}
    return tensors


def _tensors(plan: Plan, progress: Progress) -> dict[str, Tensor]:
    assert progress.best is not None  # the first epoch is always the best so far
    best = {"best.users": progress.best.users, "best.items": progress.best.items}
    return {name: tensor.contiguous() for name, tensor in (_live(plan) | best).items()}


def _state(plan: Plan, progress: Progress) -> dict[str, object]:
    return {
        "rng": plan.rng.bit_generator.state,
        "history": [asdict(epoch) for epoch in progress.history],
        "best_epoch": progress.best_epoch,
        "best_value": progress.best_value,
    }
