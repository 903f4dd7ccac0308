"""Grids: shares that can be counted by hand, and functions that stay as they were."""

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from kanlib import BSpline, Chebyshev, KANLinear, coverage, refine
from kanlib.models.dense import kan_pure
from kanlib.nn import Coverage, refine_model, update_grids

CUBIC = BSpline()  # 5 intervals of 0.4 on [-1, 1]; the extended grid ends at 2.2


def layer_of(basis=CUBIC, out=4, **options):
    torch.manual_seed(0)
    return KANLinear(3, out, basis=basis, init_noise=5.0, dtype=torch.float64, **options)


def test_shares_are_those_counted_by_hand():
    x = torch.tensor([[-1.0, 0.0, 1.0], [1.1, -2.1, 2.2], [3.0, -9.0, 0.5]], dtype=torch.float64)
    assert coverage(layer_of(), x) == {"": Coverage(inside=4 / 9, fading=2 / 9, outside=3 / 9)}


def test_behind_a_layer_norm_it_is_normalised_inputs_that_lie_on_the_grid():
    layer = layer_of(layer_norm=True)
    x = torch.tensor([[-1.0, 0.0, 1.0], [1e3, 0.0, -1e3]], dtype=torch.float64)  # 0, +-1.22
    assert coverage(layer, x) == {"": Coverage(inside=2 / 6, fading=4 / 6, outside=0)}
    finer = refine(layer, 10)
    inside = torch.tensor([[1.0, 1.0, -1.0]], dtype=torch.float64) * 1e-3  # within 0.5 of 0
    torch.testing.assert_close(finer(inside), layer(inside))


def test_layers_of_a_model_are_named_and_it_is_left_as_it_was():
    model = nn.Sequential(layer_of(), nn.ReLU(), KANLinear(4, 2, dtype=torch.float64))
    x = torch.rand(5, 3, dtype=torch.float64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = coverage(model, x)
    assert list(found) == ["0", "2"]
    assert found["0"] == Coverage(1, 0, 0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in model)


def test_a_compiled_model_is_covered_as_the_model_is():
    model = nn.Sequential(layer_of(), KANLinear(4, 2, dtype=torch.float64))
    x = torch.rand(5, 3, dtype=torch.float64) * 4
    compiled: Any = torch.compile(model, backend="eager")
    with torch.inference_mode():
        compiled(x)  # from now on it runs code that calls no hooks
    found = coverage(compiled, x)
    assert list(found.values()) == list(coverage(model, x).values())


def test_a_layer_that_is_called_by_keyword_is_covered():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer_of()

        def forward(self, x):
            return self.layer(x=x)

    assert coverage(Named(), torch.zeros(2, 3, dtype=torch.float64))["layer"].inside == 1


@pytest.mark.parametrize(
    ("model", "rows"),
    [(nn.Linear(3, 2), 1), (KANLinear(3, 2, basis=Chebyshev()), 1), (KANLinear(3, 2), 0)],
    ids=["no KAN layer", "another basis", "no inputs"],
)
def test_without_a_grid_or_inputs_nothing_is_covered(model, rows):
    with pytest.raises(ValueError, match=f"model={type(model).__name__}.*\\({rows}, 3\\)"):
        coverage(model, torch.zeros(rows, 3))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("separate_scale", "factor"), [(True, 2), (False, 7)])
def test_a_finer_grid_leaves_the_function_as_it_was(order, separate_scale, factor):
    layer = layer_of(BSpline(5, order), separate_scale=separate_scale)
    finer = refine(layer, 5 * factor)
    x = torch.linspace(-1, 1, 201, dtype=torch.float64)[:, None].expand(-1, 3)
    torch.testing.assert_close(finer(x), layer(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("order", [1, 3, 5])
def test_a_grid_as_long_as_the_extended_one_gives_the_same_function_everywhere(order):
    layer = layer_of(BSpline(5, order))
    reach = 1 + 0.4 * order
    longer = refine(layer, 5 + 2 * order, (-reach, reach))
    x = torch.linspace(-9, 9, 901, dtype=torch.float64)[:, None].expand(-1, 3)
    torch.testing.assert_close(longer(x), layer(x), rtol=1e-9, atol=1e-9)
    assert coverage(longer, x)[""].inside > coverage(layer, x)[""].inside


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtypes_stay(dtype):
    layer = layer_of().to(dtype)
    finer = refine(layer, 100)
    x = torch.rand(9, 3, dtype=dtype)
    assert finer.weight.dtype == dtype and finer(x).isfinite().all()
    torch.testing.assert_close(
        finer(x), layer(x), rtol=0.1, atol=0.1 if dtype != torch.float32 else 1e-5
    )


@pytest.mark.parametrize(("name", "value"), [("grid_size", 0), ("grid_range", (1.0, 1.0))])
def test_an_argument_out_of_range_is_named(name, value):
    options: dict[str, Any] = {"grid_size": 5} | {name: value}
    with pytest.raises(ValueError, match=re.escape(f"{name}={value!r} ")):
        refine(layer_of(), **options)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize(
    "change",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.weight_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        lambda layer: prune.l1_unstructured(layer, "spline_scale", 0.5),
    ],
    ids=["weight norm", "spectral norm", "old weight norm", "pruned", "scale pruned"],
)
@pytest.mark.parametrize(
    "move",
    [
        lambda layer: refine(layer, 10),
        lambda layer: refine_model(nn.Sequential(layer), "finer"),
        lambda layer: layer.update_grid(torch.rand(9, 3)),
    ],
    ids=["refine", "refine_model", "update_grid"],
)
def test_a_layer_whose_weights_are_made_of_others_is_refused(change, move):
    layer: Any = layer_of(separate_scale=True)
    change(layer)
    with pytest.raises(TypeError, match=r"(?s)(refine|update_grid): layer=.*KANLinear.* first"):
        move(layer)


class Louder(KANLinear):
    """Has an argument of its own."""

    def __init__(self, factor: float) -> None:
        super().__init__(3, 4, dtype=torch.float64)
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * super().forward(x)


def test_a_subclass_and_hooks_survive():
    model: Any = nn.Sequential(Louder(2.0))
    seen: list[Any] = []
    model[0].register_forward_hook(lambda layer, args, y: seen.append(layer) or y + 1)
    layer = model[0]
    x = torch.rand(5, 3, dtype=torch.float64)
    before = model(x)
    refine_model(model, "longer")
    assert model[0] is layer and layer.basis.grid_size == 11
    torch.testing.assert_close(model(x), before)
    assert seen == [layer, layer]
    copied: Any = refine(layer, 22)
    assert type(copied) is Louder and copied is not layer
    torch.testing.assert_close(copied(x), before)
    assert seen[-1] is copied


@pytest.mark.parametrize("how", ["finer", "longer"])
def test_a_refined_model_computes_the_same(how):
    model = kan_pure((1, 4, 4), 3).double()
    x = torch.rand(20, 1, 4, 4, dtype=torch.float64) * 2 - 1
    before = model(x)
    refine_model(model, how)
    torch.testing.assert_close(model(x), before, rtol=0, atol=1e-9)
    basis = next(m.basis for m in model.modules() if isinstance(m, KANLinear))
    assert isinstance(basis, BSpline)
    assert (basis.grid_size, basis.grid_range) == {
        "finer": (10, (-1.0, 1.0)),
        "longer": (11, (pytest.approx(-2.2), pytest.approx(2.2))),
    }[how]


@pytest.mark.parametrize(
    ("model", "how", "stated"),
    [
        (nn.Sequential(KANLinear(2, 2)), "wider", "how='wider' "),
        (nn.Sequential(KANLinear(2, 2, basis=Chebyshev())), "finer", "basis=Chebyshev"),
    ],
    ids=["another way", "another basis"],
)
def test_what_refine_model_cannot_do_is_refused(model, how, stated):
    with pytest.raises(ValueError, match=stated):
        refine_model(model, how)


def test_layers_that_share_a_weight_go_on_sharing_it_or_are_refused():
    first, second = layer_of(out=3), layer_of(out=3)
    second.weight = first.weight
    model = nn.Sequential(first, second)
    x = torch.rand(5, 3, dtype=torch.float64)
    before = model(x)
    refine_model(model, "longer")
    assert first.weight is second.weight
    torch.testing.assert_close(model(x), before)
    with pytest.raises(ValueError, match="model=Sequential: layers that share a weight"):
        update_grids(model, x)
    second.basis = BSpline(11, 3, (-1.0, 1.0))
    with pytest.raises(ValueError, match=r"grid_range=\(-1\.0, 1\.0\).* with the same weight"):
        refine_model(model, "finer")


def test_a_model_of_which_one_layer_is_refused_stays_as_it_was():
    model = nn.Sequential(layer_of(out=3), prune.l1_unstructured(layer_of(out=3), "weight", 1))
    with pytest.raises(TypeError, match="refine: "):
        refine_model(model, "finer")
    assert model[0].basis == CUBIC


def test_what_is_frozen_or_shared_stays_so_and_so_does_the_mode():
    layer = KANLinear(2, 2, separate_scale=True).eval()
    layer.weight.requires_grad_(False)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    x = torch.rand(5, 2) * 2 - 1
    before, state = model(x), torch.get_rng_state()
    refine_model(model, "longer")
    torch.testing.assert_close(model(x), before, rtol=0, atol=1e-6)
    assert model[0] is model[2] is layer
    assert [p.requires_grad for p in model.parameters()] == [False, True]
    assert torch.equal(torch.get_rng_state(), state)
    assert not model[0].training
