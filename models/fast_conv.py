"""A convolution whose gradients are matrix products, where PyTorch's own are slow on a CPU.

oneDNN's backward convolutions reach a tenth of its forward speed on images of a few pixels, and with
one input channel it has little to vectorize in either direction. Here the weight gradient is one
product of the output gradient with the input's patches, and the input gradient of a convolution of
stride 1 is a forward convolution with the kernel turned around.
"""

import torch
import torch.nn.functional as F


def pays(x, weight, stride, padding, groups):
    kernel = weight.shape[2]
    out = (x.shape[2] + 2 * padding - kernel) // stride + 1
    return groups == 1 and kernel > 1 and (weight.shape[1] == 1 or out <= 6)


def patches(x, kernel, stride, padding, out):
    """Rows of what each output sees, [N * out * out, kernel * kernel * C], of x [N, C, S, S]."""
    x = F.pad(x.permute(0, 2, 3, 1), (0, 0) + (padding,) * 4).contiguous()
    n, height, width, channels = x.shape
    row = width * channels
    windows = x.as_strided(
        (n, out, out, kernel, kernel * channels),
        (height * row, stride * row, stride * channels, row, 1))
    return windows.reshape(n * out * out, kernel * kernel * channels)


def rows(tensor):
    """[N, C, H, W] as a matrix of one row a pixel."""
    return tensor.permute(0, 2, 3, 1).reshape(-1, tensor.shape[1])


class FastConv(torch.autograd.Function):
    """conv2d without bias, of square images and kernels."""

    @staticmethod
    def forward(ctx, x, weight, stride, padding):
        width, channels, kernel, _ = weight.shape
        ctx.window = stride, padding
        if channels > 1:
            y = F.conv2d(x, weight, None, stride, padding)
            ctx.save_for_backward(x, weight, None)
            return y
        out = (x.shape[2] + 2 * padding - kernel) // stride + 1
        seen = patches(x, kernel, stride, padding, out)
        ctx.save_for_backward(x, weight, seen)
        return (seen @ weight.reshape(width, -1).t()).view(-1, out, out, width).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, grad):
        x, weight, seen = ctx.saved_tensors
        stride, padding = ctx.window
        width, channels, kernel, _ = weight.shape
        grad_x = None
        if ctx.needs_input_grad[0] and stride == 1:
            turned = weight.flip(2, 3).transpose(0, 1)
            grad_x = F.conv2d(grad, turned.contiguous(memory_format=torch.channels_last), None, 1,
                              kernel - 1 - padding)
        elif ctx.needs_input_grad[0]:
            grad_x = torch.ops.aten.convolution_backward(
                grad, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1,
                [True, False, False])[0]
        if seen is None:
            seen = patches(x, kernel, stride, padding, grad.shape[2])
        grad_weight = (rows(grad).t() @ seen).view(width, kernel, kernel, channels)
        return grad_x, grad_weight.permute(0, 3, 1, 2), None, None


def conv2d(x, weight, bias, stride, padding):
    """The same as F.conv2d, in bfloat16 where autocast is on."""
    if torch.is_autocast_cpu_enabled():
        x, weight = x.bfloat16(), weight.bfloat16()
    with torch.autocast("cpu", enabled=False):
        y = FastConv.apply(x, weight, stride, padding)
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]
