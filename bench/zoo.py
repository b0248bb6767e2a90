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


NETWORKS = {
    "resnet18": (torchvision.models.resnet18, (1, 3, 224, 224)),
    "resnet34": (torchvision.models.resnet34, (1, 3, 224, 224)),
    "resnet50": (torchvision.models.resnet50, (1, 3, 224, 224)),
    "vgg16": (torchvision.models.vgg16, (1, 3, 224, 224)),
    "nin": (nin, (1, 1, 224, 224)),
}


def make(name):
    """(module, input shape)."""
    build, shape = NETWORKS[name]
    return random_weights(build(), 7), shape
