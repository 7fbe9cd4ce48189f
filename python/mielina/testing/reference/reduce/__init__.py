"""reduce: from many elements to one, along axes; running reductions; what rests on order."""

from mielina.testing.reference.reduce.order import *
from mielina.testing.reference.reduce.sums import *
