"""A retraining on disk: each step's result is kept, so that the same command goes on where a killed one was.

ROOT/steps/state.json             whose run it is, and when it began
ROOT/steps/data.safetensors       what was gathered: a resumed run learns from what it would have learned from
ROOT/steps/*.json, *.safetensors  results of steps that are done, checkpoints of those that are not
ROOT/artifact, ROOT/report.*      what a run leaves
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cml.arrays import read_arrays, write_arrays
from cml.data.dataset import COLUMNS, Dataset
from cml.durable import STAGING_PREFIX, remove_staged, replace_file, staged_directory, sync_directory
from cml.errors import ArtifactError, ConfigError
from cml.events.values import ItemState, Marks
from cml.manifest import MANIFEST
from cml.retraining.interactions import Gathered
from cml.training.space import Space
from cml.vocabulary import Vocabulary

STATE = "state.json"
DATA = "data.safetensors"
STEPS = "steps"
KINDS = (".json", ".safetensors")  # of files that steps leave


class Workspace:
    """The directory of one run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps = root / STEPS
        self.artifact = root / "artifact"

    def state(self) -> dict[str, Any]:
        """What the unfinished run that left this directory is; empty without one."""
        try:
            found = json.loads((self.steps / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def begin(self, state: dict[str, Any]) -> None:
        """Forget an older run and start one. Raises ConfigError where something else would be forgotten with it."""
        self._require_own()
        self.finish(keep=False)
        self.steps.mkdir(parents=True, exist_ok=True)
        replace_file(self.steps / STATE, json.dumps(state).encode())

    def _require_own(self) -> None:
        """A directory that somebody named may have a `steps` or an `artifact` of theirs."""
        files = self.steps.iterdir() if self.steps.is_dir() else ()
        strange = [
            file for file in files if not (file.suffix in KINDS or file.name.startswith(STAGING_PREFIX))
        ]
        if self.artifact.is_dir() and not (self.artifact / MANIFEST).exists():
            strange.append(self.artifact)
        if strange:
            raise ConfigError(
                f"{strange[0]}: was not left by a retraining, which would remove it; choose another --out"
            )

    def finish(self, *, keep: bool) -> None:
        """Remove what only a resumed run would need: it holds personal data, and never stays. keep: the artifact."""
        (self.steps / STATE).unlink(missing_ok=True)  # first: what follows is no run any more
        shutil.rmtree(self.steps, ignore_errors=True)
        if not keep:
            shutil.rmtree(self.artifact, ignore_errors=True)
        if self.root.is_dir():
            remove_staged(self.root)

    def gathered(self) -> Gathered | None:
        """What was gathered, None where that is not done yet. Raises ArtifactError for damaged data."""
        path = self.steps / DATA
        return _unpacked(read_arrays(path)) if path.exists() else None

    def once(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The JSON result of a step, made unless it is there already."""
        path = self.steps / f"{name}.json"
        if not path.exists():
            replace_file(path, json.dumps(make()).encode())
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def space_once(self, name: str, radius: float | None, make: Callable[[], Space]) -> Space:
        """The space that a step trained, made unless it is there already."""
        path = self.steps / f"{name}.safetensors"
        if not path.exists():
            space = make()
            _write(path, {"users": space.users.numpy(), "items": space.items.numpy()})
            return space
        found = read_arrays(path)
        users, items = (torch.from_numpy(np.array(found[table])) for table in ("users", "items"))
        return Space(users, items, radius)

    def gathered_once(self, make: Callable[[], Gathered]) -> Gathered:
        """What was gathered, unless that is done already."""
        kept = self.gathered()
        if kept is None:
            kept = make()
            _write(self.steps / DATA, _packed(kept))
        return kept


def _write(path: Path, arrays: dict[str, NDArray]) -> None:
    with staged_directory(path.parent) as staging:
        write_arrays(staging / path.name, arrays)
        (staging / path.name).rename(path)
    sync_directory(path.parent)


def _packed(gathered: Gathered) -> dict[str, NDArray]:
    data = gathered.data
    arrays: dict[str, NDArray] = {name: getattr(data, name) for name in COLUMNS}
    for side, vocabulary in (("users", data.users), ("items", data.items)):
        arrays |= {f"{side}.{name}": array for name, array in vocabulary.arrays().items()}
    said = {
        "marks": asdict(gathered.marks),
        "events": gathered.events,
        "file_pairs": gathered.file_pairs,
        "erased_users": gathered.erased_users,
        "items": [asdict(state) for state in gathered.items],
    }
    return arrays | {"said": np.frombuffer(json.dumps(said).encode(), np.uint8)}


def _unpacked(found: dict[str, NDArray]) -> Gathered:
    try:
        arrays = {name: np.array(array) for name, array in found.items()}
        said = json.loads(arrays.pop("said").tobytes())
        vocabularies = {
            side: Vocabulary.from_arrays(
                {name.partition(".")[2]: a for name, a in arrays.items() if name.startswith(f"{side}.")}
            )
            for side in ("users", "items")
        }
        columns: dict[str, Any] = {name: arrays[name] for name in COLUMNS}
        data = Dataset(vocabularies["users"], vocabularies["items"], **columns)
    except (KeyError, ValueError) as error:
        raise ArtifactError(
            f"what a run gathered is damaged ({error}); start it again with --restart"
        ) from None
    states = tuple(ItemState(**one) for one in said.pop("items"))
    return Gathered(data=data, marks=Marks(**said.pop("marks")), items=states, **said)
