"""Networks of KAN layers, and the loss term of their edges."""

import re
from typing import Any

import pytest
import torch

from kanlib import KAN, Chebyshev, KANConv2d, KANLinear, regularization_loss, update_grids


def test_a_network_in_one_line():
    model: Any = KAN([5, 4, 2], basis=Chebyshev(3), separate_scale=True)
    assert model(torch.rand(7, 5)).shape == (7, 2)
    assert [layer.weight.shape for layer in model] == [(4, 4, 5), (2, 4, 4)]
    assert all(layer.spline_scale is not None for layer in model)
    wrong: Any
    for wrong in ([5], 5, None):
        with pytest.raises(ValueError, match=f"widths={re.escape(str(wrong))} "):
            KAN(wrong)
    with pytest.raises(TypeError, match=r"grid_size=8 .*basis=BSpline\(grid_size"):
        KAN([5, 2], grid_size=8)


@pytest.mark.parametrize("sampled", [True, False])
def test_the_loss_term_is_its_formula(sampled):
    model: Any = KAN([3, 2, 2], init_noise=5.0, dtype=torch.float64)
    x = torch.rand(9, 3, dtype=torch.float64)
    expected = 0.0
    for layer, entering in zip(model, (x, model[0](x)), strict=True):
        sizes = [
            layer.edge_functions(entering)[:, o, i].abs().mean().item()
            if sampled
            else layer.weight[o, 1:, i].abs().mean().item()
            for o in range(2)
            for i in range(layer.in_features)
        ]
        shares = torch.tensor(sizes) / sum(sizes)
        expected += 2 * sum(sizes) - 0.5 * (shares * shares.log()).sum().item()
    found = regularization_loss(model, x if sampled else None, l1=2, entropy=0.5)
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("sampled", [True, False])
def test_edges_at_zero_have_finite_gradients(sampled):
    model: Any = KAN([3, 2])
    with torch.no_grad():
        model[0].weight[0] = 0
    regularization_loss(model, torch.rand(4, 3) if sampled else None).backward()
    assert model[0].weight.grad.isfinite().all() and model[0].weight.grad[1].any()
    with torch.no_grad():
        model[0].weight.zero_()
    assert regularization_loss(model) < 1e-30


def test_the_edges_of_convolutions_count():
    layer = KANConv2d(2, 4, 3, groups=2, dtype=torch.float64)
    images = torch.rand(5, 2, 4, 4, dtype=torch.float64)
    edges = layer.edge_functions(images.movedim(1, -1).flatten(0, -2))
    found = regularization_loss(layer, images, entropy=0)
    assert found.item() == pytest.approx(edges.abs().mean(0).sum().item())
    dense = KANLinear(9, 4, dtype=torch.float64)
    dense.load_state_dict(layer.state_dict())
    torch.testing.assert_close(regularization_loss(layer), regularization_loss(dense))


def test_without_a_kan_layer_there_is_no_loss_term():
    with pytest.raises(ValueError, match="model=Linear "):
        regularization_loss(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("grid_eps", [1.0, 0.02])
def test_the_example_of_efficient_kan_is_learned(grid_eps):
    def error(points):
        u, v = points.T
        return (model(points)[:, 0] - (u + v) / (1 + u * v)).square().mean()

    model: Any = KAN([2, 2, 1], base="identity")
    for _ in range(2):
        x = torch.rand(256, 2)
        update_grids(model, x, grid_eps)
        optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

        def closure(x=x, optimizer=optimizer):
            optimizer.zero_grad()
            loss = error(x) + 1e-5 * regularization_loss(model, entropy=0)
            loss.backward()
            return loss

        for _ in range(20):
            optimizer.step(closure)
    assert error(torch.rand(256, 2)) < 1e-4
