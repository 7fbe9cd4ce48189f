// random: Philox 4x32-10. A generator's state is an i64 array {seed, offset}; a call's key is a copy of it, taken by
// random_take, which moves the generator on. So a recorded step draws fresh numbers at each replay.
#pragma once
#include "core/view.h"

namespace mielina {

struct RandomTable {
  // key = state; state.offset += count (in blocks of four 32-bit numbers).
  void (*random_take)(const Ctx&, const View& key, const View& state, int64_t count) noexcept;
  // Element i (in C order of y) takes lane i % 4 of counter offset + i / 4. y in [low, high): f32 has 24 random bits.
  void (*random_uniform)(const Ctx&, const View& y, const View& key, double low, double high) noexcept;
  // Box & Muller: elements 2i and 2i + 1 are made of the same two uniforms (core/normal.h: the same bits on every
  // level).
  void (*random_normal)(const Ctx&, const View& y, const View& key, double mean, double std) noexcept;
  // y: i64 in [low, low + span): low + floor(word span / 2^32), from one word an element if span <= 2^32, else from
  // two.
  void (*random_integers)(const Ctx&, const View& y, const View& key, int64_t low, uint64_t span) noexcept;
  // y = x / (1 - p) where element i's uniform is >= p, else 0. The same call on g with the same key is the gradient.
  void (*dropout)(const Ctx&, const View& y, const View& x, const View& key, double p) noexcept;
};

}  // namespace mielina
