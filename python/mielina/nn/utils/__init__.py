"""Helpers around layers: gradient clipping, parameters as one vector, sequences of several lengths."""

from . import rnn
from .clip import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .convert import parameters_to_vector, vector_to_parameters
