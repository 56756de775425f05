"""Training on a GPU learns what it learns on the CPU."""

import pytest
import torch

from cml.config import load_config
from cml.evaluation.ranking import top_unseen
from cml.training.trainer import fit
from tests.cml.training_worlds import scattered

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
OBJECTIVES = [
    "loss=smooth-warp",
    "loss=smooth-warp start=random covariance=1",
    "loss=smooth-warp optimizer=adam learning_rate=0.01",
    "loss=smooth-warp batch=pairs negatives=per-pair draws=10",
    "loss=smooth-warp gradient=autograd",
    "loss=warp rank=exact impostor=mean negatives=all",
    "loss=warp rank=parallel impostor=first negatives=per-pair",
    "loss=warp rank=sequential impostor=first negatives=per-pair",
    "loss=lmnn",
]


def trained_on(device, settings):
    overrides = (f"device={device}", "dim=4", "epochs=2", "batch_size=64", "pool=20", *settings.split())
    there = set()
    found = fit(
        scattered(),
        load_config(overrides=overrides),
        save=lambda plan, _: there.add(plan.space.items.device.type),
    )
    assert there == {device}
    return found.space  # on the CPU, wherever it was trained


@pytest.mark.parametrize("settings", OBJECTIVES)
def test_both_devices_arrive_at_the_same_tables(settings):
    on_cpu, on_gpu = trained_on("cpu", settings), trained_on("cuda", settings)
    torch.testing.assert_close(on_gpu.items, on_cpu.items, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(on_gpu.users, on_cpu.users, rtol=1e-3, atol=1e-4)


def test_rankings_agree():
    space = trained_on("cpu", "loss=smooth-warp")
    seen = scattered().seen()
    on_cpu = top_unseen(space.users, space.items, seen, 5)
    on_gpu = top_unseen(space.users.cuda(), space.items.cuda(), seen, 5)
    assert on_gpu.tolist() == on_cpu.tolist()
