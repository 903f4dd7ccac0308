"""The features of a KAN layer, their product with its weight, and the gradients of both.

N rows, I inputs, O outputs, M functions of the basis. The features [base(x), f_1(x), .., f_M(x)]
have the shape (N, 1 + M, I): the order in which the product with the weight (O, 1 + M, I) reads
them.
"""

from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from kanlib.nn.base_functions import BASE_FUNCTIONS
from kanlib.nn.bases import Basis

# So many values of a basis are computed at a time: they fit into a core's cache.
_SCRATCH = 2**18
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
        TypeError: ``x`` has another dtype, is not floating point, or is no tensor.
    """
    real = isinstance(x, Tensor) and x.is_floating_point()
    if real and x.dtype == weight.dtype:
        return x
    if not (real and torch.is_autocast_enabled(weight.device.type)):
        raise TypeError(
            f"{owner}: input of dtype {getattr(x, 'dtype', type(x).__name__)} must have the "
            f"layer's dtype {weight.dtype}, which must be floating point; convert it with "
            "torch.as_tensor(x).to(layer.weight.dtype)"
        )
    return x.to(weight.dtype)


def edge_features(x: Tensor, basis: Basis, base: str) -> Tensor:
    """[base(x), f_1(x), .., f_M(x)]: (N, I) -> (N, 1 + M, I).

    It keeps nothing but ``x``. It can be differentiated as often as the functions can.

    Args:
        x: (N, I) floating point.
        basis: of M functions.
        base: "silu", "identity" or "zero".
    """
    if torch.compiler.is_exporting():  # a program has no functions with gradients of their own
        return _features(x, basis, base, 0)
    return _fastest(_EdgeFeatures, _TransformableFeatures).apply(x, basis, base, 0)


def _fastest(compiled: type[Any], transformable: type[Any]) -> type[Any]:
    """The form of a function of autograd that is to be called.

    Args:
        compiled: the one for the compiler, which knows neither forward-mode derivatives nor
            ``torch.func`` inside a function.
        transformable: the one with the rules that they ask for.
    """
    if torch.compiler.is_compiling():
        return compiled
    active = torch._C._are_functorch_transforms_active()
    return transformable if active else _without_transforms(transformable)


@cache
def _without_transforms(function: type[Any]) -> type[Any]:
    """A function without ``setup_context``: torch then need not inspect it in each call (70 us)."""

    class Direct(function):
        setup_context = torch.autograd.Function.setup_context

        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Tensor:
            """Compute, and keep what the gradients need."""
            output = function.forward(*inputs)
            function.setup_context(ctx, inputs, output)
            return output

    return Direct


def _features(x: Tensor, basis: Basis, base: str, order: int) -> Tensor:
    """The features of (N, I), or their derivatives of an order: (N, 1 + M, I)."""
    of_base = BASE_FUNCTIONS[base].slope(x, order) if order else BASE_FUNCTIONS[base].value(x)
    if torch.compiler.is_compiling():  # it needs no blocks and nothing written in place
        functions = _functions(_exact(x), basis, order)
        return torch.cat([of_base.unsqueeze(1), functions.to(x.dtype)], dim=1)
    rows, inputs = x.shape
    features = x.new_empty(rows, 1 + basis.size, inputs)
    features[:, 0] = of_base
    for block in _row_blocks(x, basis):
        part, exact = features[block, 1:], _exact(x[block])
        out = part if order == 0 and exact.dtype == x.dtype else None
        made = _functions(exact, basis, order, out)
        if made is not part:  # a basis may have no use for a place to write to
            part.copy_(made)
    return features


def _functions(x: Tensor, basis: Basis, order: int, out: Tensor | None = None) -> Tensor:
    """f_m(x), or its derivative of an order: (N, I) -> (N, M, I)."""
    if order == 0:
        return basis.values(x) if out is None else basis.values(x, out=out)
    return basis.slopes(x) if order == 1 else basis.slopes(x, order)


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
    """Slices of the outputs of ``weight``; just one if it is small or not on a CPU."""
    outputs = len(weight)
    step = 128 if weight.numel() > _LARGE_WEIGHT and weight.device.type == "cpu" else outputs
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
    scaled = torch.empty_like(rows)
    scaled[:, 0] = rows[:, 0]
    torch.mul(rows[:, 1:], scale[block].unsqueeze(1), out=scaled[:, 1:])
    return scaled.flatten(1)


class _EdgeFeatures(torch.autograd.Function):
    """``edge_features``, or their derivatives of an order, with the gradient in closed form."""

    @staticmethod
    def forward(x: Tensor, basis: Basis, base: str, order: int) -> Tensor:
        """(N, I) -> (N, 1 + M, I)."""
        return _features(x, basis, base, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep x."""
        x, ctx.basis, ctx.base, ctx.order = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradient of x, from the derivatives of the next order."""
        (x,) = ctx.saved_tensors
        functions = ctx.basis, ctx.base, ctx.order + 1
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return _input_gradient(grad, x, *functions), None, None, None
        slopes: Tensor = _TransformableFeatures.apply(x, *functions)
        return (slopes * grad).sum(1), None, None, None


class _TransformableFeatures(_EdgeFeatures):
    """With the rules that ``torch.func`` and forward-mode derivatives ask for."""

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The directional derivative."""
        (x,) = ctx.saved_tensors
        slopes: Tensor = _TransformableFeatures.apply(x, ctx.basis, ctx.base, ctx.order + 1)
        return slopes * tangent.unsqueeze(1)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        """Rows are computed alone: a batch of them is more rows."""
        x, *functions = inputs
        x = x.movedim(in_dims[0], 0)
        features: Tensor = _TransformableFeatures.apply(x.flatten(0, 1), *functions)
        return features.unflatten(0, x.shape[:2]), 0


def shared_sums(x: Tensor, weight: Tensor, basis: Basis, base: str) -> Tensor:
    """R weighted sums of the features of each input: (N, I) -> (N, R, I).

    It keeps no features. It can be differentiated as often as the functions can.

    Args:
        x: (N, I) floating point.
        weight: (1 + M, R, I).
        basis: of M functions.
        base: "silu", "identity" or "zero".
    """
    if torch.compiler.is_exporting():
        return _sum_features(x, weight, basis, base)
    return _fastest(_SharedSums, _TransformableSums).apply(x, weight, basis, base)


def _sum_features(x: Tensor, weight: Tensor, basis: Basis, base: str) -> Tensor:
    """``shared_sums`` as the formula."""
    return torch.einsum("nmi,mri->nri", edge_features(x, basis, base), weight)


class _SharedSums(torch.autograd.Function):
    """``shared_sums`` with gradients in closed form: a compiler makes one loop of each pass."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, basis: Basis, base: str) -> Tensor:
        """X (N, I) and weight (1 + M, R, I) -> (N, R, I)."""
        of_base = BASE_FUNCTIONS[base].value(x).unsqueeze(1) * weight[0]
        return of_base + torch.cat(
            [_sums(x[block], weight[1:], basis) for block in _row_blocks(x, basis)]
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep x and the weight."""
        x, weight, ctx.basis, ctx.base = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients of x and the weight."""
        x, weight = ctx.saved_tensors
        grad = grad.to(x.dtype)
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            formula = partial(_sum_features, basis=ctx.basis, base=ctx.base)
            return *torch.func.vjp(formula, x, weight)[1](grad), None, None
        blocks = _row_blocks(x, ctx.basis)
        of_base = BASE_FUNCTIONS[ctx.base]
        parts = [_sum_slopes(x[b], grad[b], weight[1:], ctx.basis) for b in blocks]
        of_x = of_base.gradient((grad * weight[0]).sum(1), x) + torch.cat(parts)
        of_first = (grad * of_base.value(x).unsqueeze(1)).sum(0, keepdim=True)
        parts = [_coefficient_gradient(x[b], grad[b], ctx.basis) for b in blocks]
        of_weight = torch.cat([of_first, torch.stack(parts).sum(0).to(weight.dtype)])
        return of_x, of_weight, None, None


class _TransformableSums(_SharedSums):
    """With the rules that ``torch.func`` and forward-mode derivatives ask for."""

    @staticmethod
    def jvp(ctx: Any, of_x: Tensor | None, of_weight: Tensor | None, *_: None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The directional derivative, one argument after the other."""
        x, weight = ctx.saved_tensors
        along = x.new_zeros(len(x), *weight.shape[1:])
        if of_x is not None:
            slopes: Tensor = _TransformableFeatures.apply(x, ctx.basis, ctx.base, 1)
            along = along + torch.einsum("nmi,mri->nri", slopes * of_x.unsqueeze(1), weight)
        if of_weight is not None:
            along = along + _sum_features(x, of_weight, ctx.basis, ctx.base)
        return along

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        """The formula, for each of a batch."""
        x, weight, basis, base = inputs
        formula = partial(_sum_features, basis=basis, base=base)
        return torch.vmap(formula, in_dims[:2])(x, weight), 0


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


def scaled_product(features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """Features W^T, with a scale on the splines' part of W. It keeps no scaled copy of W.

    Args:
        features: (N, 1 + M, I).
        weight: (O, 1 + M, I).
        scale: (O, I).

    Returns:
        (N, O), in the dtype of ``features`` or, under autocast, in its dtype.
    """
    if torch.compiler.is_compiling():  # it knows what to keep and what to compute again
        return _product(features, weight, scale)
    return _fastest(_ScaledProduct, _ScaledProduct).apply(features, weight, scale)


def _product(features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """``scaled_product`` as the formula."""
    return functional.linear(features.flatten(1), scaled_weight(weight, scale).flatten(1))


class _ScaledProduct(torch.autograd.Function):
    """``scaled_product`` in blocks. What is more than a gradient follows from the formula."""

    @staticmethod
    def forward(features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """Features (N, 1 + M, I), weight (O, 1 + M, I) and scale (O, I) -> (N, O)."""
        inputs, blocks = features.flatten(1), _output_blocks(weight)
        return torch.cat([inputs @ _matrix(weight, scale, block).T for block in blocks], dim=1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep all three."""
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients of all three."""
        features, weight, scale = ctx.saved_tensors
        grad = grad.to(features.dtype)  # under autocast y may have another dtype
        if torch.is_grad_enabled():
            return torch.func.vjp(_product, features, weight, scale)[1](grad)
        of_features = of_weight = of_scale = None
        if ctx.needs_input_grad[0]:
            of_features = _features_gradient(grad, features, weight, scale)
        if any(ctx.needs_input_grad[1:]):
            of_weight, of_scale = _weight_gradients(grad, features, weight, scale)
        return of_features, of_weight, of_scale

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The directional derivative, one argument after the other."""
        features, weight, scale = ctx.saved_tensors
        of_features, of_weight, of_scale = (
            torch.zeros_like(tensor) if tangent is None else tangent
            for tensor, tangent in zip(ctx.saved_tensors, tangents, strict=True)
        )
        moved = scaled_weight(of_weight, scale)
        moved = moved + functional.pad(weight[:, 1:] * of_scale.unsqueeze(1), (0, 0, 1, 0))
        along_weight = functional.linear(features.flatten(1), moved.flatten(1))
        return _product(of_features, weight, scale) + along_weight

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, int]:
        """The formula, for each of a batch."""
        return torch.vmap(_product, in_dims)(*tensors), 0


def _features_gradient(grad: Tensor, features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The gradient of the features, g W: (N, 1 + M, I)."""
    blocks = _output_blocks(weight)
    first, *others = zip(blocks, grad.split(blocks[0].stop, 1), strict=True)
    found = first[1] @ _matrix(weight, scale, first[0])
    for block, part in others:
        torch.addmm(found, part, _matrix(weight, scale, block), out=found)
    return found.view(features.shape)


def _weight_gradients(
    grad: Tensor, features: Tensor, weight: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of the weight, g^T f times the scale, (O, 1 + M, I), and the scale, (O, I)."""
    inputs, blocks = features.flatten(1), _output_blocks(weight)
    if len(blocks) == 1:  # ``grad`` may be a batch of gradients, which nothing else can hold
        return _unscaled((grad.T @ inputs).view(weight.shape), weight, scale)
    of_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
    of_scale = torch.empty_like(scale)
    for block in blocks:
        part = of_weight[block]
        torch.mm(grad[:, block].T, inputs, out=part.flatten(1))
        of_scale[block] = _unscaled(part, weight[block], scale[block])[1]
    return of_weight, of_scale


def _unscaled(of_scaled: Tensor, weight: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Of the scaled weight's gradient the weight's, in its place, and the scale's."""
    of_scale = of_scaled.new_zeros(scale.shape)
    for m in range(1, weight.shape[1]):  # one by one: no temporary is as large as the weight
        of_scale.addcmul_(of_scaled[:, m], weight[:, m])
    of_scaled[:, 1:].mul_(scale.unsqueeze(1))
    return of_scaled, of_scale


def _input_gradient(grad: Tensor, x: Tensor, basis: Basis, base: str, order: int) -> Tensor:
    """The gradient of x from that of its features: (N, 1 + M, I) -> (N, I)."""
    functions = basis, base, order
    if torch.compiler.is_compiling():
        return _chain_rule(grad, x, *functions)
    blocks = _row_blocks(x, basis)
    return torch.cat([_chain_rule(grad[block], x[block], *functions) for block in blocks])


def _chain_rule(grad: Tensor, x: Tensor, basis: Basis, base: str, order: int) -> Tensor:
    splines = (_functions(_exact(x), basis, order) * grad[:, 1:]).sum(1)
    of_base = BASE_FUNCTIONS[base]
    grad = grad[:, 0]
    along_base = of_base.gradient(grad, x) if order == 1 else of_base.slope(x, order) * grad
    return along_base + splines.to(x.dtype)
