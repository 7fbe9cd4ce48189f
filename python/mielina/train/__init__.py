"""Training loops in Keras' words: fit, evaluate, predict, History, callbacks and metrics."""

from .averages import EMA, SWA
from .callbacks import (
    Callback,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from .ensemble import Ensemble, ensemble
from .fit import evaluate, fit, predict
from .history import History
from .loggers import CSVLogger, TensorBoard
from .metrics import Metric
from .scores import (
    F1,
    R2,
    ROCAUC,
    CalibrationError,
    ConfusionMatrix,
    Dice,
    IoU,
    Perplexity,
    Precision,
    Recall,
    TopK,
)
