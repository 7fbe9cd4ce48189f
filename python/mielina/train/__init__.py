"""Training loops in Keras' words: fit, evaluate, predict, History and callbacks."""

from .callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint, TerminateOnNaN
from .fit import evaluate, fit, predict
from .history import History
