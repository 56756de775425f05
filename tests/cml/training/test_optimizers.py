"""Row optimisers against their formulas, and the ball."""

import pytest
import torch

from cml.training.optimizers import RowAdagrad, RowAdam, RowwiseAdagrad
from cml.training.space import project_to_ball

ROWS = torch.tensor([2, 0])
GRADIENTS = [torch.tensor([[0.5, -2.0], [1.0, 0.25]]), torch.tensor([[-0.1, 0.3], [0.0, 4.0]])]


def test_adagrad_equals_the_one_of_torch_on_the_rows_it_touches():
    ours = torch.arange(6.0).reshape(3, 2) / 10
    theirs = ours.clone().requires_grad_()
    reference = torch.optim.Adagrad([theirs], lr=0.1, initial_accumulator_value=0.1, eps=0.0)
    optimizer = RowAdagrad(ours, None, 0.1)
    for gradient in GRADIENTS:
        optimizer.step(ROWS, gradient, 1.0)
        theirs.grad = torch.zeros_like(theirs).index_copy(0, ROWS, gradient)
        reference.step()
    torch.testing.assert_close(ours, theirs.detach())


def test_rowwise_adagrad_divides_by_the_root_of_a_rows_mean_squares():
    table = torch.arange(6.0).reshape(3, 2) / 10
    wanted, squares = table.clone(), {2: 0.1, 0: 0.1}
    optimizer = RowwiseAdagrad(table, None, 0.1)
    for gradient in GRADIENTS:
        optimizer.step(ROWS, gradient, 1.0)
        for row, slope in zip(ROWS.tolist(), gradient, strict=True):
            squares[row] += float(slope[0] ** 2 + slope[1] ** 2) / 2
            wanted[row] -= 0.1 * slope / squares[row] ** 0.5
    torch.testing.assert_close(table, wanted)


def test_a_rowwise_step_commutes_with_rotations():
    turn = torch.linalg.qr(torch.randn(2, 2, generator=torch.Generator().manual_seed(0)))[0]
    table = torch.arange(6.0).reshape(3, 2) / 10
    turned = table @ turn
    for points, around in ((table, torch.eye(2)), (turned, turn)):
        optimizer = RowwiseAdagrad(points, 1.0, 0.1)
        for gradient in GRADIENTS:
            optimizer.step(ROWS, gradient @ around, 1.0)
    torch.testing.assert_close(table @ turn, turned)


def test_adam_equals_the_one_of_torch_when_all_rows_move():
    ours = torch.arange(4.0).reshape(2, 2) / 10
    theirs = ours.clone().requires_grad_()
    reference = torch.optim.Adam([theirs], lr=0.05)
    optimizer = RowAdam(ours, None, 0.05)
    for gradient in GRADIENTS:
        optimizer.step(torch.arange(2), gradient, 1.0)
        theirs.grad = gradient.clone()
        reference.step()
    torch.testing.assert_close(ours, theirs.detach())


@pytest.mark.parametrize("optimizer", [RowwiseAdagrad, RowAdagrad, RowAdam])
def test_the_scale_multiplies_the_learning_rate(optimizer):
    tables = [torch.zeros(3, 2) for _ in range(2)]
    optimizer(tables[0], None, 0.1).step(ROWS, GRADIENTS[0], 0.5)
    optimizer(tables[1], None, 0.05).step(ROWS, GRADIENTS[0], 1.0)
    torch.testing.assert_close(*tables)
    assert not tables[0][1].any()


def test_projection_is_a_constraint_and_not_a_normalisation():
    points = torch.tensor([[0.3, 0.4], [3.0, 4.0], [0.0, 0.0]])
    wanted = torch.tensor([[0.3, 0.4], [1.2, 1.6], [0.0, 0.0]])
    torch.testing.assert_close(project_to_ball(points, 2.0), wanted)
    assert project_to_ball(points, None) is points
