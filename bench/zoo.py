"""The networks measured: torch modules with seeded random weights and batch-norm statistics."""
import torch
import torchvision
from torch import nn


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
    """(module, input shape). Weights He-normal, batch-norm statistics as after training."""
    build, shape = NETWORKS[name]
    torch.manual_seed(7)
    module = build()
    for m in module.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(m.weight)
            if m.bias is not None:
                nn.init.normal_(m.bias, std=0.1)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.3, 0.7)
            nn.init.uniform_(m.running_var, 0.5, 2.0)
            nn.init.normal_(m.running_mean, std=0.1)
    return module.eval(), shape
