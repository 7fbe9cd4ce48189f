"""Layers, losses and containers."""

from . import functional, init
from .activation import *
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Bilinear, Identity, Linear
from .loss import *
from .module import Module
from .parameter import Buffer, Parameter
