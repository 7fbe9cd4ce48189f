"""Data sets of the user's own: folders of images, and files in MNIST's format."""

from .folder import ImageFolder
from .idx import read_idx, write_idx
from .image import Preprocess, load_image
