"""The features of a KAN layer and their closed-form gradient: where the layer's speed is made.

N rows, I inputs, O outputs, M basis functions. Features [base(x), f_1(x), .., f_M(x)] lie
basis-major, (N, 1 + M, I), as one product with the weight (O, 1 + M, I) reads them.
"""

from typing import Any

import torch
from torch import Tensor

from kanlib.nn.bases import BASE_FUNCTIONS, Basis

# A basis is evaluated for as many rows at a time as leave its scratch in a core's cache (elements).
_SCRATCH = 2**17
# A scaled weight of more elements is multiplied 128 outputs at a time: no temporary is as large.
_LARGE_WEIGHT = 2**22


def as_weight(owner: str, x: Tensor, weight: Tensor) -> Tensor:
    """``x`` in the dtype of ``weight``, which it must have.

    Under autocast the layer before may have left another: there the weight's decides.

    Args:
        owner: the class whose input it is, for the message.
        x: floating point.
        weight: of the layer.

    Raises:
        TypeError: ``x`` has another dtype.
    """
    if x.dtype == weight.dtype:
        return x
    if not (torch.is_autocast_enabled(weight.device.type) and x.is_floating_point()):
        raise TypeError(
            f"{owner}: input of dtype {x.dtype} must have the layer's dtype "
            f"{weight.dtype}; convert it with torch.as_tensor(x).to(layer.weight.dtype)"
        )
    return x.to(weight.dtype)


def edge_features(x: Tensor, basis: Basis, base: str) -> Tensor:
    """[base(x), f_1(x), .., f_M(x)]: (N, I) -> (N, 1 + M, I).

    Args:
        x: (N, I) floating point.
        basis: of M functions.
        base: key of ``kanlib.nn.bases.BASE_FUNCTIONS``.
    """
    if torch.compiler.is_compiling():
        return _features(x, basis, base)
    rows, inputs = x.shape
    features = x.new_empty(rows, 1 + basis.size, inputs)
    features[:, 0] = BASE_FUNCTIONS[base][0](x)
    for block in _row_blocks(x, basis):
        part, exact = features[block, 1:], _exact(x[block])
        if exact.dtype == x.dtype:
            basis.values(exact, out=part)
        else:
            part.copy_(basis.values(exact))
    return features


def _features(x: Tensor, basis: Basis, base: str) -> Tensor:
    """``edge_features`` as a compiler wants it: nothing in place, it chooses the blocks."""
    values = basis.values(_exact(x)).to(x.dtype)
    return torch.cat([BASE_FUNCTIONS[base][0](x).unsqueeze(1), values], dim=1)


def _exact(x: Tensor) -> Tensor:
    """``x`` in a dtype with enough digits to tell its distance from a knot."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _row_blocks(x: Tensor, basis: Basis) -> list[slice]:
    """Slices of rows of ``x`` (N, I) small enough for a core's cache; one on other devices."""
    rows, inputs = x.shape
    step = max(1, _SCRATCH // (basis.size * inputs)) if x.device.type == "cpu" else max(1, rows)
    return [slice(start, min(start + step, rows)) for start in range(0, max(rows, 1), step)]


def _output_blocks(weight: Tensor) -> list[slice]:
    """Slices of the outputs of ``weight``; one where it is small, compiled or not on a CPU."""
    outputs = len(weight)
    large = weight.numel() > _LARGE_WEIGHT and weight.device.type == "cpu"
    # Compiled, each part that is written into its place would be a copy of the whole.
    step = 128 if large and not torch.compiler.is_compiling() else outputs
    return [slice(start, min(start + step, outputs)) for start in range(0, outputs, step)]


def _matrix(weight: Tensor, scale: Tensor, block: slice) -> Tensor:
    """Rows of the product's matrix, (outputs of the block, (1 + M) I), the scale multiplied in."""
    rows = weight[block]
    if torch.compiler.is_compiling():  # the compiler has no use for a place to write to
        return torch.cat([rows[:, :1], rows[:, 1:] * scale[block].unsqueeze(1)], dim=1).flatten(1)
    scaled = torch.empty_like(rows)
    scaled[:, 0] = rows[:, 0]
    torch.mul(rows[:, 1:], scale[block].unsqueeze(1), out=scaled[:, 1:])
    return scaled.flatten(1)


class EdgeFeatures(torch.autograd.Function):
    """``edge_features`` with its closed-form gradient; keeps x, nothing else."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, basis: Basis, base: str) -> Tensor:
        """(N, I) -> (N, 1 + M, I)."""
        ctx.basis, ctx.base = basis, base
        ctx.save_for_backward(x)
        return edge_features(x, basis, base)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradient of x, by the slopes; an error where a second derivative is asked for."""
        (x,) = ctx.saved_tensors
        with torch.no_grad():
            grad = _input_gradient(grads[0], x, ctx.basis, ctx.base)
        return _once(grad, grads[0], x), None, None


class ScaledProduct(torch.autograd.Function):
    """features W^T with a scale on the splines' part of W; keeps no copy of W with the scale."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """Features (N, 1 + M, I), weight (O, 1 + M, I) and scale (O, I) -> (N, O)."""
        ctx.save_for_backward(features, weight, scale)
        inputs, blocks = features.flatten(1), _output_blocks(weight)
        return torch.cat([inputs @ _matrix(weight, scale, block).T for block in blocks], dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of all three; an error where a second derivative is asked for."""
        features, weight, scale = sources = ctx.saved_tensors
        of_features = of_weight = of_scale = None
        with torch.no_grad():
            grad = grads[0].to(features.dtype)  # autocast may have computed y in less
            if ctx.needs_input_grad[0]:
                of_features = _features_gradient(grad, features, weight, scale)
            if any(ctx.needs_input_grad[1:]):
                of_weight, of_scale = _weight_gradients(grad, features, weight, scale)
        return tuple(_once(found, *grads, *sources) for found in (of_features, of_weight, of_scale))


def _features_gradient(grad: Tensor, features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The product df = g W, (N, 1 + M, I)."""
    found = torch.empty_like(features, memory_format=torch.contiguous_format)
    flat = found.flatten(1)
    for block in _output_blocks(weight):
        matrix, add = _matrix(weight, scale, block), int(block.start > 0)
        torch.addmm(flat, grad[:, block], matrix, beta=add, out=flat)
    return found


def _weight_gradients(
    grad: Tensor, features: Tensor, weight: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """The product dW = g^T f, (O, 1 + M, I), times the scale; and the scale's own, (O, I)."""
    inputs = features.flatten(1)
    of_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
    of_scale = torch.zeros_like(scale)
    for block in _output_blocks(weight):
        part = of_weight[block]
        torch.mm(grad[:, block].T, inputs, out=part.flatten(1))
        _unscale(part, weight[block], scale[block], of_scale[block])
    return of_weight, of_scale


class _Once(torch.autograd.Function):
    """A gradient that has no derivative, by anything that it was computed from."""

    @staticmethod
    def forward(ctx: Any, found: Tensor, *sources: Tensor) -> Tensor:
        """``found`` itself."""
        return found.view_as(found)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """An error."""
        raise RuntimeError(
            "a layer of learned functions cannot be differentiated twice: its gradient, made with "
            "create_graph=True, has no derivative"
        )


def _once(found: Tensor | None, *sources: Tensor) -> Tensor | None:
    """``found`` such that its derivative, the second (create_graph), is an error, no silent 0."""
    if found is None or torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return found
    return _Once.apply(found, *sources)


def _unscale(grad: Tensor, weight: Tensor, scale: Tensor, grad_scale: Tensor) -> None:
    """From the gradient of the scaled weight to that of the weight, in place, and of the scale."""
    coefficients, grad_coefficients = weight[:, 1:], grad[:, 1:]
    for m in range(coefficients.shape[1]):  # no temporary of the size of the weight
        grad_scale.addcmul_(grad_coefficients[:, m], coefficients[:, m])
    grad_coefficients.mul_(scale.unsqueeze(1))


def _input_gradient(grad: Tensor, x: Tensor, basis: Basis, base: str) -> Tensor:
    """Chain rule through the features: grad (N, 1 + M, I), x (N, I) -> (N, I)."""
    if torch.compiler.is_compiling():
        return _chain_rule(grad, x, basis, base)
    blocks = _row_blocks(x, basis)
    return torch.cat([_chain_rule(grad[block], x[block], basis, base) for block in blocks])


def _chain_rule(grad: Tensor, x: Tensor, basis: Basis, base: str) -> Tensor:
    splines = (basis.slopes(_exact(x)) * grad[:, 1:]).sum(1)
    return BASE_FUNCTIONS[base][1](grad[:, 0], x) + splines.to(x.dtype)
