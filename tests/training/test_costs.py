"""Costs against hand counts."""

import torch
from torch import Tensor, nn

from kanlib import build_model
from kanlib.models.autoencoder import Autoencoder
from kanlib.models.dense import kan_pure, mlp
from kanlib.training import costs

IMAGES = torch.rand(10, 1, 4, 4) * 2 - 1


def test_multiply_adds_of_known_models():
    assert costs.multiply_adds(nn.Linear(7, 3), torch.zeros(5, 7)) == 5 * 7 * 3
    assert costs.multiply_adds(mlp((1, 4, 4), 3, 5), IMAGES[:1]) == 2 * (16 * 5 + 5 * 3)
    # a KAN layer is one product with G + k coefficients and the base's weight an edge
    assert costs.multiply_adds(kan_pure((1, 4, 4), 3), IMAGES[:1]) == 2 * 16 * 3 * 9
    convolution = nn.Conv2d(1, 8, 3, stride=2, padding=1)
    assert costs.multiply_adds(convolution, torch.zeros(1, 1, 28, 28)) == 14 * 14 * 8 * 9


def test_training_memory_of_a_linear_model():
    model = nn.Linear(16, 16, bias=False)
    x = torch.rand(64, 16)
    # weights, gradients, two moments; for the backward: x, and the outputs that the error is of
    assert costs.training_bytes(model, x) == 4 * (4 * 16 * 16) + 4 * (64 * 16) * 2


def test_costs_has_a_row_a_model_and_no_step_for_pca():
    models = {name: build_model(name, (1, 4, 4), 3) for name in ("kan", "mlp", "pca")}
    before = [p.clone() for p in models["kan"].parameters()]
    table = costs.costs(models, IMAGES)
    for old, new in zip(before, models["kan"].parameters(), strict=True):  # nearly as it was
        torch.testing.assert_close(old, new, rtol=0, atol=1e-6)
    assert list(table.index) == ["kan", "mlp", "pca"] and list(table) == list(costs.COSTS)
    assert table.loc["pca", ["training_mib", "step_ms"]].isna().all()
    assert (table.drop(index="pca") > 0).all(axis=None)
    assert table.loc["pca", "multiply_adds"] == 2 * 3 * 16


class Watched(nn.Module):
    """Notes each call: its name, and on how many threads."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        super().__init__()
        self.layer, self.name, self.calls = nn.Linear(4, 4), name, calls

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((self.name, torch.get_num_threads()))
        return self.layer(x)


def test_all_are_timed_on_one_thread_and_each_after_itself():
    calls: list[tuple[str, int]] = []
    models = {name: Autoencoder(Watched(name, calls), nn.Identity()) for name in "abc"}
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        table = costs.step_times(models, IMAGES)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert table.groupby("model")["round"].agg(list).tolist() == [list(range(15))] * 3
    assert min(table["step_ms"]) > 0
    assert {count for _, count in calls} == {1}
    names = [name for name, _ in calls]
    assert names[::2] == names[1::2]  # the first call of each pair is not timed
    rounds = {tuple(names[i : i + 6 : 2]) for i in range(0, len(names), 6)}
    assert len(rounds) > 1 and all(set(order) == set("abc") for order in rounds)
