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


def conv_norm(g, name, x, width, kernel, stride=1, pad=0):
    x = g.conv(f"{name}_conv", x, width, kernel, stride, pad, bias=False)
    return g.batch_norm(f"{name}_bn", x)


def resnet8():
    """ResNet-8 as in MLPerf Tiny: one block a stage, 1x1 convolutions as shortcuts."""
    g = Graph("resnet8", [1, 1, 28, 28])
    x = conv_norm(g, "stem", "image", 16, 3, pad=1)
    x = g.relu("stem_relu", x)
    for i, (width, stride) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
        y = conv_norm(g, f"stage{i}_a", x, width, 3, stride, pad=1)
        y = g.relu(f"stage{i}_a_relu", y)
        y = conv_norm(g, f"stage{i}_b", y, width, 3, pad=1)
        if stride != 1:
            x = g.conv(f"stage{i}_shortcut", x, width, 1, stride)
        x = g.add(f"stage{i}_add", y, x)
        x = g.relu(f"stage{i}_relu", x)
    return classifier(g, x)


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
