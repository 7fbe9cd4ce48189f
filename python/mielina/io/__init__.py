"""Files: safetensors for weights and for nested dicts of tensors, numbers and strings."""

from .files import atomic_write
from .pth import load_pth
from .safetensors import load, save
