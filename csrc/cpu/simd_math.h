// Elementary functions on vectors: y = f(x) lane by lane, for vf32 and vf64.
#pragma once
#include "cpu/math/erf.h"
#include "cpu/math/exp.h"
#include "cpu/math/gamma.h"
#include "cpu/math/hyperbolic.h"
#include "cpu/math/inverse_trig.h"
#include "cpu/math/log.h"
#include "cpu/math/power.h"
#include "cpu/math/remainder.h"
#include "cpu/math/trig.h"
