"""The networks: building blocks, then one function a network. Each returns a Graph with the input
"image"; `size` is its height and width, **task the rest of what Net takes.

Convolutions with norm and activation are named by a template: "*" stands for conv, bn and relu, "#"
for 0, 1 and 2. Networks in torchvision's form have the names of its modules.
"""

from functools import partial

from graph import Graph, pair


class Net(Graph):
    """`classes` may list several numbers: so many outputs, a linear layer for each."""

    def __init__(self, name, size, channels=1, classes=10, batch=1, tensorflow=False):
        super().__init__(name, [batch, channels, *pair(size)], tensorflow)
        self.classes = classes


def vision(name, size, **task):
    """An empty network with torchvision's defaults."""
    return Net(name, size, **{"channels": 3, "classes": 1000, **task})


def part(template, i):
    """The name of a template's convolution (0), norm (1) or activation (2)."""
    return template.replace("*", ("conv", "bn", "relu")[i]).replace("#", str(i))


KINDS = {"conv": "conv{}", "linear": "fc{}", "max_pool": "pool{}", "batch_norm": "bn{}",
         "flatten": "flatten"}


def chain(g, x, layers, prefix=None):
    """Layers in a row, each (function of Graph, arguments) or (block, arguments). Their names count
    each kind, conv1, relu1, conv2, or with a prefix all of them from 0: features.0, features.1."""
    counts = {}
    for i, (kind, *args) in enumerate(layers):
        counts[kind] = counts.get(kind, 0) + 1
        name = f"{prefix}.{i}" if prefix else KINDS.get(kind, kind + "{}").format(counts[kind])
        x = kind(g, name, x, *args) if callable(kind) else getattr(g, kind)(name, x, *args)
    return x


def heads(g, x, name="logits"):
    """The last layer: a linear one, or one for each number of classes."""
    if isinstance(g.classes, int):
        g.linear(name, x, g.classes)
    else:
        g.outputs = [g.linear(f"{name}_{i}", x, width) for i, width in enumerate(g.classes, 1)]
    return g


def one_head(g):
    """The number of classes of a network whose last convolution makes the scores."""
    if not isinstance(g.classes, int):
        raise ValueError(f"{g.name} has one output, so one number of classes")
    return g.classes


def classifier(g, x, pool="pool", name="logits"):
    x = g.global_avg_pool(pool, x)
    return heads(g, g.flatten("flatten", x), name)


def conv_relu(g, name, x, width, kernel, stride=1, pad=0):
    return g.relu(part(name, 2), g.conv(part(name, 0), x, width, kernel, stride, pad))


def conv_norm(g, name, x, width, kernel, stride=1, pad=0, groups=1, epsilon=1e-5):
    x = g.conv(part(name, 0), x, width, kernel, stride, pad, groups, bias=False)
    return g.batch_norm(part(name, 1), x, epsilon)


def conv_norm_relu(g, name, x, *args, activation="relu", **options):
    return g.elementwise(activation, part(name, 2), conv_norm(g, name, x, *args, **options))


def residual_block(g, name, x, width, stride=1, shortcut=False):
    """Two 3x3 convolutions; `shortcut` puts a 1x1 convolution, without norm, beside them."""
    y = conv_norm_relu(g, f"{name}_a_*", x, width, 3, stride, pad=1)
    y = conv_norm(g, f"{name}_b_*", y, width, 3, pad=1)
    if shortcut:
        x = g.conv(f"{name}_shortcut", x, width, 1, stride)
    return g.relu(f"{name}_relu", g.add(f"{name}_add", y, x))


def residual_row(g, prefix, x, row, shortcut=None):
    """A row of convolutions (name, width, kernel, stride, groups), each with its norm, and relus
    between; beside it x or, under the name `shortcut`, a 1x1 convolution with norm."""
    y = x
    for i, (name, width, kernel, stride, groups) in enumerate(row):
        block = conv_norm_relu if i < len(row) - 1 else conv_norm
        y = block(g, name, y, width, kernel, stride, kernel // 2, groups)
    if shortcut:
        stride = max(stride for _, _, _, stride, _ in row)
        x = conv_norm(g, shortcut, x, width, 1, stride)
    return g.relu(f"{prefix}relu", g.add(f"{prefix}add", y, x))


def bottleneck(template, inner, width, stride, groups=1):
    """A row of 1x1 and 3x3 convolutions of `inner` channels and a 1x1 of `width`."""
    row = [(inner, 1, 1, 1), (inner, 3, stride, groups), (width, 1, 1, 1)]
    return [(template(i), *convolution) for i, convolution in enumerate(row)]


def resnext_block(g, name, x, width, group_width, stride=1, shortcut=False, inner=None):
    """1x1, grouped 3x3 in groups of `group_width` channels, both of `inner` channels; 1x1."""
    inner = inner or width
    row = bottleneck(lambda i: f"{name}_{'abc'[i]}_*", inner, width, stride, inner // group_width)
    return residual_row(g, f"{name}_", x, row, f"{name}_shortcut_*" if shortcut else None)


def preactivation_block(g, name, x, width, stride=1, inner=None):
    """Norm and relu before each convolution: two 3x3, or with `inner` a bottleneck. Where the shape
    changes, a 1x1 shortcut after the first norm."""
    row = [(width, 3, stride, 1), (width, 3, 1, 1)]
    if inner:
        row = [(inner, 1, 1, 0), (inner, 3, stride, 1), (width, 1, 1, 0)]
    y = x
    for letter, convolution in zip("abc", row):
        y = g.relu(f"{name}_{letter}_relu", g.batch_norm(f"{name}_{letter}_bn", y))
        if letter == "a" and (stride != 1 or g.shapes[x][1] != width):
            x = g.conv(f"{name}_shortcut", y, width, 1, stride, bias=False)
        y = g.conv(f"{name}_{letter}_conv", y, *convolution, bias=False)
    return g.add(f"{name}_add", y, x)


def inception_block(g, name, x, unit, kernel, one, two, three, four):
    """Side by side: 1x1; 1x1 and 3x3; 1x1 and `kernel` x `kernel`; max pool and 1x1."""
    ways = [unit(g, f"{name}.branch1.*", x, one, 1)]
    for i, (widths, size) in enumerate([(two, 3), (three, kernel)], 2):
        y = unit(g, f"{name}.branch{i}.0.*", x, widths[0], 1)
        ways.append(unit(g, f"{name}.branch{i}.1.*", y, widths[1], size, pad=size // 2))
    y = g.max_pool(f"{name}.branch4.0", x, 3, 1, pad=1)
    ways.append(unit(g, f"{name}.branch4.1.*", y, four, 1))
    return g.concat(f"{name}.concat", ways)


def dense_block(g, name, x, layers, growth):
    """Each layer, a 1x1 and a 3x3 convolution behind their norms, reads all results before it."""
    parts = [x]
    for i in range(1, layers + 1):
        layer = f"{name}.denselayer{i}"
        y = g.concat(f"{layer}.concat", parts) if i > 1 else x
        for j, (width, kernel) in enumerate([(4 * growth, 1), (growth, 3)], 1):
            y = g.relu(f"{layer}.relu{j}", g.batch_norm(f"{layer}.norm{j}", y))
            y = g.conv(f"{layer}.conv{j}", y, width, kernel, pad=kernel // 2, bias=False)
        parts.append(y)
    return g.concat(f"{name}.concat", parts)


def fire_block(g, name, x, squeeze, expand):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 side by side."""
    x = g.relu(f"{name}.squeeze_activation", g.conv(f"{name}.squeeze", x, squeeze, 1))
    ways = []
    for way, kernel in [("expand1x1", 1), ("expand3x3", 3)]:
        y = g.conv(f"{name}.{way}", x, expand, kernel, pad=kernel // 2)
        ways.append(g.relu(f"{name}.{way}_activation", y))
    return g.concat(f"{name}.concat", ways)


def inverted_residual(g, name, x, width, stride, expansion):
    """1x1 to `expansion` times the channels, depthwise 3x3, 1x1 back without activation."""
    channels, y, i = g.shapes[x][1], x, 0
    inner = channels * expansion
    if expansion != 1:
        y = conv_norm_relu(g, f"{name}.conv.{i}.#", y, inner, 1, activation="relu6")
        i += 1
    y = conv_norm_relu(g, f"{name}.conv.{i}.#", y, inner, 3, stride, 1, inner, activation="relu6")
    y = g.conv(f"{name}.conv.{i + 1}", y, width, 1, bias=False)
    y = g.batch_norm(f"{name}.conv.{i + 2}", y)
    return g.add(f"{name}.add", x, y) if stride == 1 and width == channels else y


def residual(size=6, width=3, stride=1, shortcut=False, **task):
    """One residual block."""
    g = Net("residual", size, **{"channels": 3, "batch": 4, **task})
    residual_block(g, "block", g.input, width, stride, shortcut)
    return g


def resnext(size=96, width=32, group_width=16, stride=1, shortcut=False, **task):
    """One ResNeXt block, as wide inside as outside."""
    g = Net("resnext_block", size, **{"channels": 32, "batch": 4, **task})
    resnext_block(g, "block", g.input, width, group_width, stride, shortcut)
    return g


def lenet5(size=28, **task):
    """LeNet-5 with relu and max pooling in place of sigmoid and averaging."""
    g = Net("lenet5", size, **task)
    x = chain(g, g.input, [("conv", 6, 5, 1, 2), ("relu",), ("max_pool", 2),
                           ("conv", 16, 5), ("relu",), ("max_pool", 2), ("flatten",),
                           ("linear", 120), ("relu",), ("linear", 84), ("relu",)])
    return heads(g, x)


def alexnet(size=224, lrn=False, **task):
    """AlexNet in one piece; `lrn` adds the response norms of the paper."""
    g = Net("alexnet", size, **task)
    norm = [("lrn", 5, 1e-4, 0.75, 2)] if lrn else []
    hidden = [("linear", 4096), ("relu",), ("dropout",)]
    return heads(g, chain(g, g.input, [
        ("conv", 96, 11, 4, 1), ("relu",), *norm, ("max_pool", 3, 2),
        ("conv", 256, 5, 1, 2), ("relu",), *norm, ("max_pool", 3, 2),
        ("conv", 384, 3, 1, 1), ("relu",), ("conv", 384, 3, 1, 1), ("relu",),
        ("conv", 256, 3, 1, 1), ("relu",), ("max_pool", 3, 2), ("flatten",), *hidden, *hidden]))


def vision_alexnet(size=224, **task):
    """AlexNet as in "One weird trick", 64 to 256 channels."""
    g = vision("alexnet", size, **task)
    x = chain(g, g.input, [
        ("conv", 64, 11, 4, 2), ("relu",), ("max_pool", 3, 2), ("conv", 192, 5, 1, 2), ("relu",),
        ("max_pool", 3, 2), ("conv", 384, 3, 1, 1), ("relu",), ("conv", 256, 3, 1, 1), ("relu",),
        ("conv", 256, 3, 1, 1), ("relu",), ("max_pool", 3, 2)], "features")
    x = g.flatten("flatten", g.adaptive_avg_pool("avgpool", x, 6))
    x = chain(g, x, [("dropout",), ("linear", 4096), ("relu",)] * 2, "classifier")
    return heads(g, x, "classifier.6")


VGG_BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg_layers(depth, width_divisor, norm):
    """The layers before and behind the flatten: 3x3 convolutions in blocks that end in a pool."""
    features = []
    for width, count in zip((64, 128, 256, 512, 512), VGG_BLOCKS[depth]):
        layer = [("conv", max(1, width // width_divisor), 3, 1, 1), ("relu",)]
        if norm:
            layer.insert(1, ("batch_norm",))
        features += layer * count + [("max_pool", 2)]
    hidden = [("linear", max(1, 4096 // width_divisor)), ("relu",), ("dropout",)]
    return features, hidden * 2


def vgg(depth, size=224, width_divisor=1, norm=False, **task):
    """VGG, all widths divided by `width_divisor`."""
    features, hidden = vgg_layers(depth, width_divisor, norm)
    g = Net(f"vgg{depth}" + (f"_{width_divisor}" if width_divisor > 1 else ""), size, **task)
    return heads(g, chain(g, g.input, [*features, ("flatten",), *hidden]))


def vision_vgg(depth, size=224, width_divisor=1, norm=False, **task):
    """VGG, all widths divided by `width_divisor`."""
    features, hidden = vgg_layers(depth, width_divisor, norm)
    g = vision(f"vgg{depth}", size, **task)
    x = chain(g, g.input, features, "features")
    x = g.flatten("flatten", g.adaptive_avg_pool("avgpool", x, 7))
    return heads(g, chain(g, x, hidden, "classifier"), "classifier.6")


def vgg11_8(size=224, **task):
    """VGG-11 with an eighth of the channels."""
    return vgg(11, size, width_divisor=8, **task)


def nin(size=224, norm=False, **task):
    """Network in network: a convolution and two 1x1 of the same width, four times. `norm` puts a
    batch norm behind each convolution, which training likes and export folds away."""
    g = Net("nin", size, **task)
    x = g.input
    blocks = [(96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1), (one_head(g), 3, 1, 1)]
    for i, (width, *shape) in enumerate(blocks, 1):
        if i == 4:
            x = g.dropout("dropout", x)
        x = nin_block(g, f"block{i}", x, width, *shape, norm)
        if i < 4:
            x = g.max_pool(f"pool{i}", x, 3, 2)
    g.flatten("logits", g.global_avg_pool("pool", x))
    return g


def nin_block(g, name, x, width, kernel, stride, pad, norm):
    for j, shape in enumerate([(kernel, stride, pad), (1, 1, 0), (1, 1, 0)], 1):
        x = g.conv(f"{name}_conv{j}", x, width, *shape)
        if norm:
            x = g.batch_norm(f"{name}_bn{j}", x)
        x = g.relu(f"{name}_relu{j}", x)
    return x


INCEPTIONS = {
    "3a": (64, (96, 128), (16, 32), 32), "3b": (128, (128, 192), (32, 96), 64), "pool3": None,
    "4a": (192, (96, 208), (16, 48), 64), "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64), "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128), "pool4": None,
    "5a": (256, (160, 320), (32, 128), 128), "5b": (384, (192, 384), (48, 128), 128)}


def inceptions(g, unit, kernel, pool):
    """GoogLeNet before its classifier. pool(name, x) halves the plane."""
    x = pool("maxpool1", unit(g, "conv1.*", g.input, 64, 7, 2, pad=3))
    x = unit(g, "conv3.*", unit(g, "conv2.*", x, 64, 1), 192, 3, pad=1)
    x = pool("maxpool2", x)
    for name, widths in INCEPTIONS.items():
        x = (inception_block(g, "inception" + name, x, unit, kernel, *widths) if widths
             else pool("max" + name, x))
    return x


def googlenet(size=224, **task):
    """GoogLeNet without its auxiliary heads."""
    g = Net("googlenet", size, **task)
    x = inceptions(g, conv_relu, 5, lambda name, x: g.max_pool(name, x, 3, 2, pad=1))
    return classifier(g, x)


def vision_googlenet(size=224, **task):
    """GoogLeNet with batch norms, 3x3 in place of 5x5, without its auxiliary heads."""
    g = vision("googlenet", size, **task)
    unit = partial(conv_norm_relu, epsilon=1e-3)
    x = inceptions(g, unit, 3, lambda name, x: g.max_pool(
        name, x, 2 if name == "maxpool4" else 3, 2, ceil=True))
    x = g.flatten("flatten", g.global_avg_pool("avgpool", x))
    return heads(g, g.dropout("dropout", x), "fc")


def resnet8(size=28, **task):
    """ResNet-8 as in MLPerf Tiny: one block a stage, 1x1 convolutions as shortcuts."""
    g = Net("resnet8", size, **task)
    x = conv_norm_relu(g, "stem_*", g.input, 16, 3, pad=1)
    for i, (width, stride) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
        x = residual_block(g, f"stage{i}", x, width, stride, shortcut=stride != 1)
    return classifier(g, x)


RESNET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
                 152: (3, 8, 36, 3)}


def resnet_blocks(depth):
    """(stage, block, width, stride) of the four stages of ResNets, blocks from 1."""
    for stage, (width, count) in enumerate(zip((64, 128, 256, 512), RESNET_BLOCKS[depth]), 1):
        for block in range(1, count + 1):
            yield stage, block, width, 2 if block == 1 and stage > 1 else 1


def resnet(depth, size=224, **task):
    """ResNet; the 1x1 shortcuts of ResNet-18 and 34 are without norm."""
    g = Net(f"resnet{depth}", size, **task)
    x = conv_norm_relu(g, "stem_*", g.input, 64, 7, 2, pad=3)
    x = g.max_pool("stem_pool", x, 3, 2, pad=1)
    for stage, block, width, stride in resnet_blocks(depth):
        name = f"stage{stage}_{block}"
        if depth < 50:
            x = residual_block(g, name, x, width, stride, stride != 1)
        else:
            x = resnext_block(g, name, x, 4 * width, width, stride, block == 1, inner=width)
    return classifier(g, x)


def resnet18(size=224, **task):
    """ResNet-18; its 1x1 shortcuts are without norm."""
    return resnet(18, size, **task)


def resnet_v2(depth, size=224, **task):
    """ResNet v2: norms and relus before the convolutions."""
    g = Net(f"resnet{depth}_v2", size, **task)
    x = g.conv("stem_conv", g.input, 64, 7, 2, pad=3, bias=False)
    x = g.max_pool("stem_pool", x, 3, 2, pad=1)
    for stage, block, width, stride in resnet_blocks(depth):
        widths = {"width": width} if depth < 50 else {"width": 4 * width, "inner": width}
        x = preactivation_block(g, f"stage{stage}_{block}", x, stride=stride, **widths)
    return classifier(g, g.relu("last_relu", g.batch_norm("last_bn", x)))


def preresnet20(size=28, **task):
    """ResNet v2 (pre-activation) of three stages of three blocks, 16 to 64 channels."""
    g = Net("preresnet20", size, **task)
    x = g.conv("stem_conv", g.input, 16, 3, pad=1, bias=False)
    for stage, width in enumerate([16, 32, 64], 1):
        for block in (1, 2, 3):
            stride = 2 if block == 1 and stage > 1 else 1
            x = preactivation_block(g, f"stage{stage}_{block}", x, width, stride)
    return classifier(g, g.relu("last_relu", g.batch_norm("last_bn", x)))


def resnext14(size=28, **task):
    """A small ResNeXt: three stages of blocks with groups of 8 channels, 32 to 128 channels."""
    g = Net("resnext14", size, **task)
    x = conv_norm_relu(g, "stem_*", g.input, 32, 3, pad=1)
    for stage, width in enumerate([32, 64, 128], 1):
        for block in (1, 2):
            first = block == 1 and stage > 1
            x = resnext_block(g, f"stage{stage}_{block}", x, width, 8, 2 if first else 1, first)
    return classifier(g, x)


def torch_resnet(g, depth, groups=1, group_width=64):
    """ResNet with norms in its shortcuts. A bottleneck's 3x3 convolution in the first stage has
    `groups` groups of `group_width` channels."""
    x = conv_norm_relu(g, "*1", g.input, 64, 7, 2, pad=3)
    x = g.max_pool("maxpool", x, 3, 2, pad=1)
    for stage, block, width, stride in resnet_blocks(depth):
        prefix = f"layer{stage}.{block - 1}."
        row = [(f"{prefix}*1", width, 3, stride, 1), (f"{prefix}*2", width, 3, 1, 1)]
        if depth >= 50:
            row = bottleneck(lambda i, p=prefix: f"{p}*{i + 1}", width * group_width // 64 * groups,
                             4 * width, stride, groups)
        changes = stride != 1 or g.shapes[x][1] != row[-1][1]
        x = residual_row(g, prefix, x, row, f"{prefix}downsample.#" if changes else None)
    return classifier(g, x, "avgpool", "fc")


def vision_resnet(depth, size=224, **task):
    """ResNet with norms in its 1x1 shortcuts."""
    return torch_resnet(vision(f"resnet{depth}", size, **task), depth)


def resnext50_32x4d(size=224, **task):
    """ResNeXt-50: 3x3 convolutions in 32 groups."""
    return torch_resnet(vision("resnext50_32x4d", size, **task), 50, 32, 4)


def wide_resnet50_2(size=224, **task):
    """ResNet-50 with twice the channels in its 3x3 convolutions."""
    return torch_resnet(vision("wide_resnet50_2", size, **task), 50, 1, 128)


def regnet_x_400mf(size=224, **task):
    """RegNetX-400MF: bottlenecks that do not narrow, in groups of 16 channels."""
    g = vision("regnet_x_400mf", size, **task)
    x = conv_norm_relu(g, "stem.#", g.input, 32, 3, 2, pad=1)
    for stage, (width, count) in enumerate([(32, 1), (64, 2), (160, 7), (400, 12)], 1):
        for block in range(count):
            prefix = f"trunk_output.block{stage}.block{stage}-{block}."
            row = bottleneck(lambda i, p=prefix: f"{p}f.{'abc'[i]}.#", width, width,
                             1 if block else 2, width // 16)
            x = residual_row(g, prefix, x, row, None if block else f"{prefix}proj.#")
    return classifier(g, x, "avgpool", "fc")


def densenet121(size=224, **task):
    """DenseNet-121: four dense blocks, between them a 1x1 convolution to half the channels."""
    g = vision("densenet121", size, **task)
    x = g.conv("features.conv0", g.input, 64, 7, 2, pad=3, bias=False)
    x = g.relu("features.relu0", g.batch_norm("features.norm0", x))
    x = g.max_pool("features.pool0", x, 3, 2, pad=1)
    for i, layers in enumerate([6, 12, 24, 16], 1):
        x = dense_block(g, f"features.denseblock{i}", x, layers, 32)
        if i < 4:
            name = f"features.transition{i}"
            x = g.relu(f"{name}.relu", g.batch_norm(f"{name}.norm", x))
            x = g.conv(f"{name}.conv", x, g.shapes[x][1] // 2, 1, bias=False)
            x = g.avg_pool(f"{name}.pool", x, 2)
    x = g.relu("features.relu5", g.batch_norm("features.norm5", x))
    return classifier(g, x, "avgpool", "classifier")


SQUEEZENETS = {
    "1_0": [(96, 7), "pool", (16, 64), (16, 64), (32, 128), "pool", (32, 128), (48, 192), (48, 192),
            (64, 256), "pool", (64, 256)],
    "1_1": [(64, 3), "pool", (16, 64), (16, 64), "pool", (32, 128), (32, 128), "pool", (48, 192),
            (48, 192), (64, 256), (64, 256)]}


def squeezenet(version, size=224, **task):
    """SqueezeNet: fire blocks, a 1x1 convolution as classifier."""
    g = vision(f"squeezenet{version}", size, **task)
    stem, *blocks = SQUEEZENETS[version]
    layers = [("max_pool", 3, 2, 0, True) if b == "pool" else (fire_block, *b) for b in blocks]
    x = chain(g, g.input, [("conv", *stem, 2), ("relu",), *layers], "features")
    x = chain(g, x, [("dropout",), ("conv", one_head(g), 1), ("relu",)], "classifier")
    g.flatten("flatten", g.global_avg_pool("classifier.3", x))
    return g


def mobilenet_v1(size=96, width_divisor=4, **task):
    """MobileNet-v1: a 3x3 convolution, then thirteen pairs of depthwise 3x3 and 1x1."""
    g = Net("mobilenet_v1", size, **task)
    width = max(1, 32 // width_divisor)
    x = conv_norm_relu(g, "stem_*", g.input, width, 3, 2, pad=1)
    pairs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
             (1024, 1)]
    for i, (wide, stride) in enumerate(pairs, 1):
        x = conv_norm_relu(g, f"pair{i}_depthwise_*", x, width, 3, stride, pad=1, groups=width)
        width = max(1, wide // width_divisor)
        x = conv_norm_relu(g, f"pair{i}_pointwise_*", x, width, 1)
    return classifier(g, x)


def mobilenet_v2(size=224, **task):
    """MobileNet-v2: inverted residuals with relu6."""
    g = vision("mobilenet_v2", size, **task)
    x = conv_norm_relu(g, "features.0.#", g.input, 32, 3, 2, pad=1, activation="relu6")
    i = 0
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
              (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, width, count, stride in stages:
        for block in range(count):
            i += 1
            x = inverted_residual(g, f"features.{i}", x, width, 1 if block else stride, expansion)
    x = conv_norm_relu(g, f"features.{i + 1}.#", x, 1280, 1, activation="relu6")
    x = g.flatten("flatten", g.global_avg_pool("avgpool", x))
    return heads(g, g.dropout("classifier.0", x), "classifier.1")


TEXTBOOK = {
    "residual": residual, "resnext_block": resnext, "lenet5": lenet5, "alexnet": alexnet,
    **{f"vgg{depth}": partial(vgg, depth) for depth in VGG_BLOCKS},
    "vgg11_8": vgg11_8, "nin": nin, "googlenet": googlenet, "resnet8": resnet8,
    **{f"resnet{depth}": partial(resnet, depth) for depth in RESNET_BLOCKS},
    **{f"resnet{depth}_v2": partial(resnet_v2, depth) for depth in RESNET_BLOCKS},
    "preresnet20": preresnet20, "resnext14": resnext14,
    "mobilenet_v1": partial(mobilenet_v1, size=224, width_divisor=1),
    "mobilenet_v1_025": mobilenet_v1}
TORCHVISION = {
    "alexnet": vision_alexnet,
    **{f"vgg{depth}": partial(vision_vgg, depth) for depth in VGG_BLOCKS},
    "googlenet": vision_googlenet,
    **{f"resnet{depth}": partial(vision_resnet, depth) for depth in RESNET_BLOCKS},
    "resnext50_32x4d": resnext50_32x4d, "wide_resnet50_2": wide_resnet50_2,
    "regnet_x_400mf": regnet_x_400mf, "densenet121": densenet121,
    **{f"squeezenet{version}": partial(squeezenet, version) for version in SQUEEZENETS},
    "mobilenet_v2": mobilenet_v2}
FORMS = {
    "textbook": TEXTBOOK, "torchvision": TORCHVISION,
    "tensorflow": {name: partial(build, tensorflow=True) for name, build in TEXTBOOK.items()}}
