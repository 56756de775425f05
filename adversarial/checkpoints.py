"""Named tensors and a few facts in one safetensors file, written whole or not at all.

Data formats only: nothing is executed when such a file is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from adversarial.errors import ModelError


def write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Replace `path` by the given tensors and JSON-able facts; a kill leaves the old file or the new one."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    replace_file(path, save(contiguous, metadata={"facts": json.dumps(facts)}))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts that `write` stored. Raises ModelError for a file that is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as stored:
            facts = json.loads((stored.metadata() or {})["facts"])
            return {name: stored.get_tensor(name) for name in stored.keys()}, facts  # noqa: SIM118
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path}: not a file that this package wrote, or damaged ({error})") from error


def replace_file(path: Path, content: bytes) -> None:
    """Write beside `path`, flush to disk, rename over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def module_tensors(prefix: str, module: torch.nn.Module) -> dict[str, Tensor]:
    """A module's parameters and buffers under `prefix/`."""
    return {f"{prefix}/{name}": value for name, value in module.state_dict().items()}


def load_module(prefix: str, module: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `module_tensors` took. Raises ModelError when names or shapes differ."""
    state = below(prefix, tensors)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"the stored {prefix} does not fit this one: {error}") from error


def optimiser_tensors(prefix: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments and step counts under `prefix/row/name`; its settings are not stored."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}/{row}/{name}": torch.as_tensor(value)
        for row, values in state.items()
        for name, value in values.items()
    }


def load_optimiser(prefix: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` took into an optimiser of the same kind over the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in below(prefix, tensors).items():
        row, name = key.split("/")
        state.setdefault(int(row), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries whose name starts with `prefix/`, without it."""
    start = f"{prefix}/"
    return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}
