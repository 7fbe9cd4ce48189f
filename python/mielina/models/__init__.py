"""Convolutional networks of the literature, with torchvision's names of weights, so that its files load unchanged."""

from .alexnet import AlexNet, alexnet
from .imagenet import IMAGENET, imagenet_classes
from .lenet import LeNet5, lenet5
from .registry import create, load_model, names, save_model
from .resnet import ResNet, resnet18, resnet34, resnet50
from .unet import UNet, unet
from .vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn
