"""scikit-learn estimators around our networks (`pip install "mielina[sklearn]"`)."""

try:
    import sklearn as _sklearn
except ImportError as e:
    raise ImportError('mielina.sklearn needs scikit-learn: pip install "mielina[sklearn]"') from e

from .network import NetworkClassifier, NetworkRegressor
