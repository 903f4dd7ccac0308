"""Faster products and passes: only where they are exact, and never past the block."""

import shutil

import pytest
import torch
from torch._dynamo.utils import counters

from kanlib import cpu
from kanlib.bases import BSpline, GaussianRBF
from kanlib.layers import KANLinear
from kanlib.product import edge_features


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


@pytest.fixture
def compiler():
    if not shutil.which("g++"):
        pytest.skip("needs a C++ compiler (Debian: g++)")
    torch.compiler.reset()  # each process compiles eight forms of a function, then no more
    yield
    torch.compiler.reset()


def gradients(layer, x):
    """Output of a layer and gradients of everything."""
    leaves = [x.detach().requires_grad_(), *layer.parameters()]
    y = layer(leaves[0])
    return [y, *torch.autograd.grad(y.square().sum(), leaves)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize(
    ("basis", "base", "dtype"),
    [
        (BSpline(), "silu", torch.float32),
        (BSpline(), "silu", torch.bfloat16),
        (BSpline(4, 5, (-2.0, 2.0)), "zero", torch.float64),
        (GaussianRBF(), "identity", torch.float32),
    ],
    ids=str,
)
def test_compiled_passes_compute_the_same(compiler, basis, base, dtype):
    layers = [
        KANLinear(6, 3, basis=basis, base=base, separate_scale=kept, dtype=dtype)
        for kept in (False, True)
    ]
    batches = [torch.randn(n, 6, dtype=dtype) for n in (5, 64, 0)]
    batches.append(torch.randn(6, 9, dtype=dtype).T)
    for layer in layers:
        eager = [gradients(layer, x) for x in batches]
        with cpu.compiled_passes() as passes:
            assert passes == "compiled"
            found = [gradients(layer, x) for x in batches]
        for ours, expected in zip(found, eager, strict=True):
            rounding = 0.05 if dtype == torch.bfloat16 else None
            torch.testing.assert_close(ours, expected, rtol=rounding, atol=rounding)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_passes_are_used_inside_the_block_alone(compiler, monkeypatch):
    called = []
    compile_ = cpu._compile
    monkeypatch.setattr(cpu, "_compile", lambda f: called.append(f.__name__) or compile_(f))
    layer, x = KANLinear(4, 3), torch.randn(5, 4)
    with pytest.raises(KeyError), cpu.compiled_passes():
        gradients(layer, x)
        raise KeyError
    assert called == ["neg", "_features", "_chain_rule"]
    gradients(layer, x)
    with cpu.compiled_passes(enabled=False) as passes:
        assert passes == "eager"
        gradients(layer, x)
    assert len(called) == 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_passes_are_compiled_for_each_grid(compiler):
    torch.compiler.reset()
    forms, sizes = counters["stats"], range(1, 10)  # by itself, PyTorch makes 8 at most
    with cpu.compiled_passes():
        before = forms["unique_graphs"]
        for size in sizes:
            edge_features(torch.zeros(2, 3), BSpline(size, 1), "zero")
    assert forms["unique_graphs"] - before == len(sizes)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_layer_compiled_by_its_user_is_not_compiled_in_parts(compiler, monkeypatch):
    layer, x = KANLinear(4, 3), torch.randn(5, 4)
    expected = layer(x)
    whole = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with cpu.compiled_passes():
        monkeypatch.setattr(cpu, "_compile", lambda _: pytest.fail("compiled a part"))
        torch.testing.assert_close(whole(x), expected)


def test_without_a_compiler_passes_stay_eager(monkeypatch):
    def compile_(function, **options):
        def fail(*_):
            raise RuntimeError("No working C++ compiler found")

        return fail

    cpu._compile.cache_clear()
    monkeypatch.setattr(torch, "compile", compile_)
    with cpu.compiled_passes() as passes:
        assert passes == "eager"
        assert cpu.compiled(edge_features) is None
    cpu._compile.cache_clear()
