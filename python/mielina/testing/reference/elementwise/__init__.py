"""elementwise: y[i] = f(x[i], ...) with broadcasting."""

from mielina.testing.reference.elementwise.activation import *
from mielina.testing.reference.elementwise.arithmetic import *
from mielina.testing.reference.elementwise.logic import *
from mielina.testing.reference.elementwise.special import *
