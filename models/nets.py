"""The networks: each function returns a Graph. Input "image", output "logits", ten classes."""

from graph import Graph


def classifier(graph, x):
    x = graph.global_avg_pool("pool", x)
    x = graph.flatten("flatten", x)
    graph.linear("logits", x, 10)
    return graph


def lenet5():
    """LeNet-5 with relu and max pooling in place of sigmoid and averaging."""
    g = Graph("lenet5", [1, 1, 28, 28])
    x = g.conv("conv1", "image", 6, 5, pad=2)
    x = g.relu("relu1", x)
    x = g.max_pool("pool1", x, 2)
    x = g.conv("conv2", x, 16, 5)
    x = g.relu("relu2", x)
    x = g.max_pool("pool2", x, 2)
    x = g.flatten("flatten", x)
    for i, width in enumerate([120, 84], 1):
        x = g.linear(f"fc{i}", x, width)
        x = g.relu(f"relu{i + 2}", x)
    g.linear("logits", x, 10)
    return g


def conv_norm(g, name, x, width, kernel, stride=1, pad=0, groups=1, bias=False):
    x = g.conv(f"{name}_conv", x, width, kernel, stride, pad, groups, bias)
    return g.batch_norm(f"{name}_bn", x)


def conv_norm_relu(g, name, x, *args, **options):
    return g.relu(f"{name}_relu", conv_norm(g, name, x, *args, **options))


def residual_block(g, name, x, width, stride=1, shortcut=False, bias=False):
    """Two 3x3 convolutions; `shortcut` puts a 1x1 convolution, without norm, beside them."""
    y = conv_norm_relu(g, f"{name}_a", x, width, 3, stride, pad=1, bias=bias)
    y = conv_norm(g, f"{name}_b", y, width, 3, pad=1, bias=bias)
    if shortcut:
        x = g.conv(f"{name}_shortcut", x, width, 1, stride)
    return g.relu(f"{name}_relu", g.add(f"{name}_add", y, x))


def preactivation_block(g, name, x, width, stride=1):
    """Norm and relu before each convolution; where the shape changes, a 1x1 shortcut after the first."""
    y = g.relu(f"{name}_a_relu", g.batch_norm(f"{name}_a_bn", x))
    if stride != 1 or g.shapes[x][1] != width:
        x = g.conv(f"{name}_shortcut", y, width, 1, stride, bias=False)
    y = g.conv(f"{name}_a_conv", y, width, 3, stride, pad=1, bias=False)
    y = g.relu(f"{name}_b_relu", g.batch_norm(f"{name}_b_bn", y))
    y = g.conv(f"{name}_b_conv", y, width, 3, pad=1, bias=False)
    return g.add(f"{name}_add", y, x)


def resnext_block(g, name, x, width, group_width, stride=1, shortcut=False):
    """1x1, grouped 3x3 in groups of `group_width` channels, 1x1; all of `width` channels."""
    y = conv_norm_relu(g, f"{name}_a", x, width, 1)
    y = conv_norm_relu(g, f"{name}_b", y, width, 3, stride, pad=1, groups=width // group_width)
    y = conv_norm(g, f"{name}_c", y, width, 1)
    if shortcut:
        x = conv_norm(g, f"{name}_shortcut", x, width, 1, stride)
    return g.relu(f"{name}_relu", g.add(f"{name}_add", y, x))


def resnet8(size=28):
    """ResNet-8 as in MLPerf Tiny: one block a stage, 1x1 convolutions as shortcuts."""
    g = Graph("resnet8", [1, 1, size, size])
    x = conv_norm_relu(g, "stem", "image", 16, 3, pad=1)
    for i, (width, stride) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
        x = residual_block(g, f"stage{i}", x, width, stride, shortcut=stride != 1)
    return classifier(g, x)


def resnet18(size=224):
    """ResNet-18 in the textbook form: one input channel, shortcuts without norm."""
    g = Graph("resnet18", [1, 1, size, size])
    x = conv_norm_relu(g, "stem", "image", 64, 7, 2, pad=3)
    x = g.max_pool("stem_pool", x, 3, 2, pad=1)
    for stage, width in enumerate([64, 128, 256, 512], 1):
        for block in (1, 2):
            first = block == 1 and stage > 1
            x = residual_block(g, f"stage{stage}_{block}", x, width, 2 if first else 1, first)
    return classifier(g, x)


def preresnet20(size=28):
    """ResNet v2 (pre-activation) of three stages of three blocks, 16 to 64 channels."""
    g = Graph("preresnet20", [1, 1, size, size])
    x = g.conv("stem_conv", "image", 16, 3, pad=1, bias=False)
    for stage, width in enumerate([16, 32, 64], 1):
        for block in (1, 2, 3):
            stride = 2 if block == 1 and stage > 1 else 1
            x = preactivation_block(g, f"stage{stage}_{block}", x, width, stride)
    x = g.relu("last_relu", g.batch_norm("last_bn", x))
    return classifier(g, x)


def resnext14(size=28):
    """A small ResNeXt: three stages of blocks with groups of 8 channels, 32 to 128 channels."""
    g = Graph("resnext14", [1, 1, size, size])
    x = conv_norm_relu(g, "stem", "image", 32, 3, pad=1)
    for stage, width in enumerate([32, 64, 128], 1):
        for block in (1, 2):
            first = block == 1 and stage > 1
            x = resnext_block(g, f"stage{stage}_{block}", x, width, 8, 2 if first else 1, first)
    return classifier(g, x)


def mobilenet_v1(size=96, multiplier=0.25):
    """MobileNet-v1: a 3x3 convolution, then thirteen pairs of depthwise 3x3 and 1x1."""
    g = Graph("mobilenet_v1", [1, 1, size, size])
    width = int(32 * multiplier)
    x = conv_norm_relu(g, "stem", "image", width, 3, 2, pad=1)
    pairs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
             (1024, 1)]
    for i, (wide, stride) in enumerate(pairs, 1):
        x = conv_norm_relu(g, f"pair{i}_depthwise", x, width, 3, stride, pad=1, groups=width)
        width = int(wide * multiplier)
        x = conv_norm_relu(g, f"pair{i}_pointwise", x, width, 1)
    return classifier(g, x)


def nin(size=224, norm=False):
    """Network in network: a convolution and two 1x1 of the same width, four times. `norm` puts a
    batch norm behind each convolution, which training likes and export folds away."""
    g = Graph("nin", [1, 1, size, size])
    x = "image"
    blocks = [(96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1), (10, 3, 1, 1)]
    for i, (width, *window) in enumerate(blocks, 1):
        if i == 4:
            x = g.dropout("dropout", x)
        for j, (kernel, stride, pad) in enumerate([window, (1, 1, 0), (1, 1, 0)], 1):
            x = g.conv(f"block{i}_conv{j}", x, width, kernel, stride, pad)
            if norm:
                x = g.batch_norm(f"block{i}_bn{j}", x)
            x = g.relu(f"block{i}_relu{j}", x)
        if i < 4:
            x = g.max_pool(f"pool{i}", x, 3, 2)
    x = g.global_avg_pool("pool", x)
    g.flatten("logits", x)
    return g


def vgg11_8():
    """VGG-11 with an eighth of the channels."""
    g = Graph("vgg11_8", [1, 1, 224, 224])
    x = "image"
    stages = [[8], [16], [32, 32], [64, 64], [64, 64]]
    layer = 0
    for i, widths in enumerate(stages, 1):
        for width in widths:
            layer += 1
            x = g.conv(f"conv{layer}", x, width, 3, pad=1)
            x = g.relu(f"relu{layer}", x)
        x = g.max_pool(f"pool{i}", x, 2)
    x = g.flatten("flatten", x)
    for i in (1, 2):
        x = g.linear(f"fc{i}", x, 512)
        x = g.relu(f"relu{layer + i}", x)
        x = g.dropout(f"dropout{i}", x)
    g.linear("logits", x, 10)
    return g
