"""Faster products: only where they are exact, and never past the block."""

import pytest
import torch

from kanlib import cpu


@pytest.fixture(autouse=True)
def untouched():
    before = torch.get_float32_matmul_precision()
    yield
    after = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(before)
    assert after == before


def test_products_stay_exact_in_single_precision():
    a, b = torch.randn(100, 500), torch.randn(500, 100)
    exact = a.double() @ b.double()
    with cpu.fast_products() as products:
        error = ((a @ b - exact).abs().max() / exact.abs().max()).item()
    assert products in ("default", "onednn")
    assert error < 2e-6


def test_it_is_on_inside_the_block_where_the_probe_finds_it_exact(monkeypatch):
    monkeypatch.setattr(cpu, "_largest_error", lambda: 6e-7)
    with cpu.fast_products() as products:
        assert products == "onednn"
        assert torch.get_float32_matmul_precision() == "medium"


def test_it_is_off_where_the_probe_finds_shortened_numbers(monkeypatch):
    monkeypatch.setattr(cpu, "_largest_error", lambda: 3e-3)  # as bfloat16
    with cpu.fast_products() as products:
        assert products == "default"
        assert torch.get_float32_matmul_precision() == "highest"


def test_the_probe_would_see_bfloat16(monkeypatch):
    class Short(torch.Tensor):
        def __matmul__(self, other):
            return (self.as_subclass(torch.Tensor).bfloat16() @ other.bfloat16()).float()

    draw = torch.randn
    monkeypatch.setattr(
        torch,
        "randn",
        lambda *shape, **options: draw(*shape, **options).as_subclass(Short),
    )
    monkeypatch.setattr(Short, "double", lambda self: self.as_subclass(torch.Tensor).double())
    assert cpu._largest_error() > 1e-4


def test_disabled_it_changes_nothing():
    with cpu.fast_products(enabled=False) as products:
        assert products == "default"
        assert torch.get_float32_matmul_precision() == "highest"


def test_an_error_in_the_block_passes_and_the_setting_is_restored():
    with pytest.raises(KeyError), cpu.fast_products():
        raise KeyError


def test_a_users_own_setting_is_what_is_restored():
    torch.set_float32_matmul_precision("high")
    with cpu.fast_products():
        pass
    after = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    assert after == "high"
