// Elementary functions on vectors: y = f(x) lane by lane, for vf32 and vf64. Errors stand at each function.
//
// Nanoseconds an element, f32 / f64, on one Zen 5 core at 512 bits, data in the cache:
//   exp 0.11 / 0.36    sigmoid 0.17 / 0.51   tanh 0.23 / 0.77   log 0.22 / 0.54      log1p 0.44 / 1.0
//   sin 0.43 / 0.95    atan 0.20 / 0.66      erf 0.31 / 1.5     softplus 0.49 / 1.4  erfinv 0.80 / 2.2
//   pow 1.3 / 3.1      lgamma   - / 3.0      fmod 0.30 / 0.61   hypot 0.20 / 0.42    asinh 0.88 / 2.1
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
