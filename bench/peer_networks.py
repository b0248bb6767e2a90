"""The networks measured: torch modules with seeded random weights and batch-norm statistics."""
import torchvision
from torch import nn

from from_torch import random_weights


def nin(channels=1, classes=10):
    """Network in network, as the textbook has it: input CHANNELS x 224 x 224."""
    def block(i, o, kernel, stride, pad):
        return [nn.Conv2d(i, o, kernel, stride, pad), nn.ReLU(), nn.Conv2d(o, o, 1), nn.ReLU(),
                nn.Conv2d(o, o, 1), nn.ReLU()]
    return nn.Sequential(
        *block(channels, 96, 11, 4, 0), nn.MaxPool2d(3, 2), *block(96, 256, 5, 1, 2), nn.MaxPool2d(3, 2),
        *block(256, 384, 3, 1, 1), nn.MaxPool2d(3, 2), nn.Dropout(0.5), *block(384, classes, 3, 1, 1),
        nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten())


def one_channel_resnet18():
    """ResNet-18 of the textbook: one input channel, ten classes."""
    net = torchvision.models.resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return net


def one_channel_vgg11(divisor=1):
    """VGG-11 of the textbook, its convolutions narrower by a divisor, its linear layers 4096 wide."""
    layers, channels = [], 1
    for repeats, width in (1, 64), (1, 128), (2, 256), (2, 512), (2, 512):
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, width // divisor, 3, 1, 1), nn.ReLU()]
            channels = width // divisor
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 49, 4096), nn.ReLU(), nn.Dropout(),
                         nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 10))


def lenet5():
    """LeNet-5 of the textbook, on 28 x 28 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2), nn.Conv2d(6, 16, 5), nn.Sigmoid(),
        nn.AvgPool2d(2, 2), nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(),
        nn.Linear(84, 10))


RGB, GRAY = (1, 3, 224, 224), (1, 1, 224, 224)
NETWORKS = {
    "resnet18": (torchvision.models.resnet18, RGB),
    "resnet34": (torchvision.models.resnet34, RGB),
    "resnet50": (torchvision.models.resnet50, RGB),
    "resnet101": (torchvision.models.resnet101, RGB),
    "resnet152": (torchvision.models.resnet152, RGB),
    "resnext50": (torchvision.models.resnext50_32x4d, RGB),
    "vgg11": (one_channel_vgg11, GRAY),
    "vgg16": (torchvision.models.vgg16, RGB),
    "vgg19": (torchvision.models.vgg19, RGB),
    "nin": (nin, GRAY),
    "resnet18_gray": (one_channel_resnet18, GRAY),
    "resnet18_96": (one_channel_resnet18, (1, 1, 96, 96)),
    "vgg11_8": (lambda: one_channel_vgg11(8), GRAY),
    "googlenet": (lambda: torchvision.models.googlenet(init_weights=False, aux_logits=False), RGB),
    "densenet121": (torchvision.models.densenet121, RGB),
    "squeezenet": (torchvision.models.squeezenet1_1, RGB),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, RGB),
    "lenet5": (lenet5, (1, 1, 28, 28)),
}


def make(name):
    """(module, input shape)."""
    build, shape = NETWORKS[name]
    return random_weights(build(), 7), shape
