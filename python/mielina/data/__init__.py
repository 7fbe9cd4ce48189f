"""Data sets and loaders, with the names of `torch.utils.data`."""

from .collate import default_collate, default_convert
from .dataset import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from .loader import DataLoader, get_worker_info
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler
from .scale import MinMaxScaler, StandardScaler
from .split import BalancedSampler, class_weights, stratified_split
