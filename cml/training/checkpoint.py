"""A training run on disk between epochs: resumed from there, it ends exactly as if it had not been stopped."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from cml.arrays import write_arrays
from cml.durable import staged_directory, sync_directory
from cml.errors import TrainingError
from cml.training.history import Epoch
from cml.training.plan import Plan
from cml.training.space import Space
from cml.training.trainer import Progress

FORMAT = "2"
STATE = "state"  # JSON as bytes; the other arrays are tensors


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
        state = {"format": FORMAT, "run": self.run} | _state(plan, progress)
        arrays = _arrays(plan, progress) | {STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)}
        with staged_directory(self.path.parent) as staging:
            write_arrays(staging / self.path.name, arrays)  # from where they are: the tables may be large
            (staging / self.path.name).rename(self.path)
        sync_directory(self.path.parent)
        self._written = time.monotonic()

    def resume(self, plan: Plan) -> Progress:
        """Put a saved state into a fresh plan; without a file, start from the beginning.

        Raises TrainingError when the file is damaged or belongs to another run.
        """
        if not self.path.exists():
            return Progress()
        try:
            with safe_open(self.path, "pt", device=str(plan.space.users.device)) as file:
                state = json.loads(file.get_tensor(STATE).cpu().numpy().tobytes())
                self._require_own(state)
                for name, tensor in _live(plan).items():
                    tensor.copy_(file.get_tensor(name))
                best = Space(file.get_tensor("best.users"), file.get_tensor("best.items"), plan.space.radius)
        except (SafetensorError, OSError) as error:
            raise TrainingError(
                f"{self.path}: damaged checkpoint ({error}); delete it to start again"
            ) from None
        plan.rng.bit_generator.state = state["rng"]
        history = [Epoch(**epoch) for epoch in state["history"]]
        return Progress(history, best, state["best_epoch"], state["best_value"])

    def _require_own(self, state: dict[str, object]) -> None:
        if state["format"] != FORMAT or state["run"] != self.run:
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


def _arrays(plan: Plan, progress: Progress) -> dict[str, NDArray]:
    assert progress.best is not None  # the first epoch is always the best so far
    best = {"best.users": progress.best.users, "best.items": progress.best.items}
    return {name: tensor.cpu().numpy() for name, tensor in (_live(plan) | best).items()}


def _state(plan: Plan, progress: Progress) -> dict[str, object]:
    return {
        "rng": plan.rng.bit_generator.state,
        "history": [asdict(epoch) for epoch in progress.history],
        "best_epoch": progress.best_epoch,
        "best_value": progress.best_value,
    }
