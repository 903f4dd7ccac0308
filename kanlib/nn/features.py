"""The features of a KAN layer, their product with its weight, and the gradients of both.

N rows, I inputs, O outputs, M functions of the basis. The features [base(x), f_1(x), .., f_M(x)]
have the shape (N, 1 + M, I): the order in which the product with the weight (O, 1 + M, I) reads
them.
"""

from typing import Any

import torch
from torch import Tensor

from kanlib.nn.bases import BASE_FUNCTIONS, Basis

# So many values of a basis are computed at a time: they fit into a core's cache.
_SCRATCH = 2**17
# A scaled weight with more elements is multiplied 128 outputs at a time, to save memory.
_LARGE_WEIGHT = 2**22


def as_weight(owner: str, x: Tensor, weight: Tensor) -> Tensor:
    """``x`` in the dtype of ``weight``.

    It must have that dtype already. Only under autocast, where the layer before may have computed
    in another one, is it converted.

    Args:
        owner: the class whose input ``x`` is, for the message.
        x: the input.
        weight: of the layer.

    Raises:
        TypeError: ``x`` has another dtype, or is not floating point.
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
        base: "silu", "identity" or "zero".
    """
    of_base = BASE_FUNCTIONS[base][0](x)
    if torch.compiler.is_compiling():  # it needs no blocks and nothing written in place
        return torch.cat([of_base.unsqueeze(1), basis.values(_exact(x)).to(x.dtype)], dim=1)
    rows, inputs = x.shape
    features = x.new_empty(rows, 1 + basis.size, inputs)
    features[:, 0] = of_base
    for block in _row_blocks(x, basis):
        part, exact = features[block, 1:], _exact(x[block])
        if exact.dtype == x.dtype:
            made = basis.values(exact, out=part)
            if made is not part:  # a basis may have no use for a place to write to
                part.copy_(made)
        else:
            part.copy_(basis.values(exact))
    return features


def _exact(x: Tensor) -> Tensor:
    """``x`` in a dtype with enough digits for its distance from a knot."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _row_blocks(x: Tensor, basis: Basis) -> list[slice]:
    """Slices of the rows of ``x`` (N, I): small enough for a core's cache.

    There is one on other devices, and in compiled code, which needs no blocks.
    """
    rows, inputs = x.shape
    if torch.compiler.is_compiling() or x.device.type != "cpu":
        return [slice(0, rows)]
    step = max(1, _SCRATCH // (basis.size * inputs))
    return [slice(start, min(start + step, rows)) for start in range(0, max(rows, 1), step)]


def _output_blocks(weight: Tensor) -> list[slice]:
    """Slices of the outputs of ``weight``; just one if it is small, compiled or not on a CPU."""
    outputs = len(weight)
    large = weight.numel() > _LARGE_WEIGHT and weight.device.type == "cpu"
    # Compiled code would copy the whole tensor whenever it writes a part of it.
    step = 128 if large and not torch.compiler.is_compiling() else outputs
    return [slice(start, min(start + step, outputs)) for start in range(0, outputs, step)]


def scaled_weight(weight: Tensor, scale: Tensor | None) -> Tensor:
    """The weight of a layer with the scale of its splines multiplied in.

    Args:
        weight: (O, 1 + M, I), as in ``KANLinear``.
        scale: (O, I), or None for a layer without one.

    Returns:
        (O, 1 + M, I); ``weight`` itself if there is no scale. Twice differentiable.
    """
    if scale is None:
        return weight
    return torch.cat([weight[:, :1], weight[:, 1:] * scale.unsqueeze(1)], dim=1)


def _matrix(weight: Tensor, scale: Tensor, block: slice) -> Tensor:
    """The scaled weight of a block of outputs as a matrix: (outputs of the block, (1 + M) I)."""
    rows = weight[block]
    if torch.compiler.is_compiling():  # see ``edge_features``
        return scaled_weight(rows, scale[block]).flatten(1)
    scaled = torch.empty_like(rows)
    scaled[:, 0] = rows[:, 0]
    torch.mul(rows[:, 1:], scale[block].unsqueeze(1), out=scaled[:, 1:])
    return scaled.flatten(1)


class EdgeFeatures(torch.autograd.Function):
    """``edge_features`` with its gradient in closed form. It keeps nothing but ``x``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, basis: Basis, base: str) -> Tensor:
        """(N, I) -> (N, 1 + M, I)."""
        ctx.basis, ctx.base = basis, base
        ctx.save_for_backward(x)
        return edge_features(x, basis, base)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradient of x, from the slopes. To differentiate it again is an error."""
        (x,) = ctx.saved_tensors
        with torch.no_grad():
            grad = _input_gradient(grads[0], x, ctx.basis, ctx.base)
        return _once(grad, grads[0], x), None, None


class SharedSums(torch.autograd.Function):
    """R weighted sums of the features of each input, with gradients in closed form.

    It keeps no features, and a compiler makes one loop of each pass.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, basis: Basis, base: str) -> Tensor:
        """X (N, I) and weight (1 + M, R, I) -> (N, R, I)."""
        ctx.basis, ctx.base = basis, base
        ctx.save_for_backward(x, weight)
        of_base = BASE_FUNCTIONS[base][0](x).unsqueeze(1) * weight[0]
        return of_base + torch.cat(
            [_sums(x[block], weight[1:], basis) for block in _row_blocks(x, basis)]
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients of x and the weight. To differentiate them again is an error."""
        x, weight = ctx.saved_tensors
        with torch.no_grad():
            grad = grads[0].to(x.dtype)
            blocks = _row_blocks(x, ctx.basis)
            of_base, slope = BASE_FUNCTIONS[ctx.base]
            parts = [_sum_slopes(x[b], grad[b], weight[1:], ctx.basis) for b in blocks]
            of_x = slope((grad * weight[0]).sum(1), x) + torch.cat(parts)
            of_first = (grad * of_base(x).unsqueeze(1)).sum(0, keepdim=True)
            parts = [_coefficient_gradient(x[b], grad[b], ctx.basis) for b in blocks]
            of_weight = torch.cat([of_first, torch.stack(parts).sum(0).to(weight.dtype)])
        return *(_once(found, *grads, x, weight) for found in (of_x, of_weight)), None, None


# A compiler must see sums over functions or rows, not tensors (N, M, R, I): so one r at a time.


def _sums(x: Tensor, coefficients: Tensor, basis: Basis) -> Tensor:
    """sum_m c_mri B_m(x_i): (N, I) and (M, R, I) -> (N, R, I)."""
    values = basis.values(_exact(x))
    sums = [(values * c).sum(1) for c in coefficients.unbind(1)]
    return torch.stack(sums, 1).to(x.dtype)


def _sum_slopes(x: Tensor, grad: Tensor, coefficients: Tensor, basis: Basis) -> Tensor:
    """The splines' part of the gradient of x, from that of the sums (N, R, I): (N, I)."""
    slopes, parts = basis.slopes(_exact(x)), coefficients.unbind(1)
    sums = [(slopes * c).sum(1) * g for c, g in zip(parts, grad.unbind(1), strict=True)]
    return torch.stack(sums).sum(0).to(x.dtype)


def _coefficient_gradient(x: Tensor, grad: Tensor, basis: Basis) -> Tensor:
    """The gradient of the coefficients: (M, R, I)."""
    values = basis.values(_exact(x))
    return torch.stack([(values * g.unsqueeze(1)).sum(0) for g in grad.unbind(1)], 1)


class ScaledProduct(torch.autograd.Function):
    """features W^T, with a scale on the splines' part of W. It keeps no scaled copy of W."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """Features (N, 1 + M, I), weight (O, 1 + M, I) and scale (O, I) -> (N, O)."""
        ctx.save_for_backward(features, weight, scale)
        inputs, blocks = features.flatten(1), _output_blocks(weight)
        return torch.cat([inputs @ _matrix(weight, scale, block).T for block in blocks], dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients of all three. To differentiate them again is an error."""
        features, weight, scale = sources = ctx.saved_tensors
        of_features = of_weight = of_scale = None
        with torch.no_grad():
            grad = grads[0].to(features.dtype)  # under autocast y may have another dtype
            if ctx.needs_input_grad[0]:
                of_features = _features_gradient(grad, features, weight, scale)
            if any(ctx.needs_input_grad[1:]):
                of_weight, of_scale = _weight_gradients(grad, features, weight, scale)
        return tuple(_once(found, *grads, *sources) for found in (of_features, of_weight, of_scale))


def _features_gradient(grad: Tensor, features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The gradient of the features, g W: (N, 1 + M, I)."""
    found = torch.empty_like(features, memory_format=torch.contiguous_format)
    flat = found.flatten(1)
    for block in _output_blocks(weight):
        matrix, add = _matrix(weight, scale, block), int(block.start > 0)
        torch.addmm(flat, grad[:, block], matrix, beta=add, out=flat)
    return found


def _weight_gradients(
    grad: Tensor, features: Tensor, weight: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of the weight, g^T f times the scale, (O, 1 + M, I), and the scale, (O, I)."""
    inputs = features.flatten(1)
    of_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
    of_scale = torch.zeros_like(scale)
    for block in _output_blocks(weight):
        part = of_weight[block]  # first the gradient of the scaled weight
        torch.mm(grad[:, block].T, inputs, out=part.flatten(1))
        for m in range(1, weight.shape[1]):  # one by one: no temporary is as large as the weight
            of_scale[block].addcmul_(part[:, m], weight[block, m])
        part[:, 1:].mul_(scale[block].unsqueeze(1))
    return of_weight, of_scale


class _Once(torch.autograd.Function):
    """Raises an error when a gradient is differentiated by anything it was computed from."""

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
    """``found``, with an error instead of a silent 0 as its derivative (create_graph=True)."""
    if found is None or torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return found
    return _Once.apply(found, *sources)


def _input_gradient(grad: Tensor, x: Tensor, basis: Basis, base: str) -> Tensor:
    """The gradient of x from that of its features: (N, 1 + M, I) -> (N, I)."""
    blocks = _row_blocks(x, basis)
    return torch.cat([_chain_rule(grad[block], x[block], basis, base) for block in blocks])


def _chain_rule(grad: Tensor, x: Tensor, basis: Basis, base: str) -> Tensor:
    splines = (basis.slopes(_exact(x)) * grad[:, 1:]).sum(1)
    return BASE_FUNCTIONS[base][1](grad[:, 0], x) + splines.to(x.dtype)
