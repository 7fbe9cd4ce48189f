// What Winograd's convolutions have in common in either memory order: filters G w G', transformed once a call, in
// panels of output channels, and blocks of tiles, turned and multiplied.
#pragma once
#include "cpu/conv/tiles_last.h"
#include "cpu/gemm.h"
#include "cpu/image/rows.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradBlocks : LastTiles {
  using Op = Plain<float>;
  Problem q;
  int64_t K, C;                                      // channels out of the tiles; of all phases, into them
  int64_t mr, panels;                                // output channels of a panel; how many panels
  int64_t blocks, held, block_bytes, scratch_bytes;  // blocks held at once; scratch: the sums of a panel
  float* ready = nullptr;                            // filters that are turned already
  bool alone;  // a task turns a block and multiplies it, while it is in its L2 cache
  static constexpr int64_t kAlone = 768 << 10, kHeld = 16 << 20;

  WinogradBlocks(const Problem& problem, int64_t most)
      : LastTiles(problem.y, problem.x, problem.window, problem.zoom), q(problem) {
    K = q.y.shape[kC];
    C = q.x.shape[kC] * phases();
    panels = ceil_div(K, most);
    mr = ceil_div(K, panels);
    panels *= zoom * zoom;
  }
  // A panel has some channels of one phase of the output.
  int64_t channel_of(int64_t panel) const { return panel / (zoom * zoom) * mr; }
  int64_t phase_of(int64_t panel) const { return panel % (zoom * zoom); }
  // Blocks of so many tiles, each a matrix of `pitch` floats a place.
  void cut(int64_t tiles, int64_t pitch) {
    blocks = ceil_div(count, tiles);
    block_bytes = align64(kPlaces * pitch * int64_t(sizeof(float)));
    scratch_bytes = align64(kPlaces * tiles * mr * int64_t(sizeof(float)));
    held = max64(1, min64(blocks, kHeld / block_bytes));
  }
  int64_t bytes(int threads) const {
    return filter_bytes() + (alone ? threads : held) * block_bytes + threads * scratch_bytes;
  }
  int64_t panel_size() const { return kPlaces * C * mr; }
  int64_t filter_bytes() const { return align64(panels * panel_size() * int64_t(sizeof(float))); }

  // The taps of n filters' `some` channels, as lanes. Where a filter's lie in a row, squares of filters and taps are
  // turned: of as many channels as fill them, since nine taps are two squares of eight (AVX2). Where its channels do,
  // squares of filters and channels: number by number they were half of the time of 512 x 512 filters on 10 x 10
  // pixels.
  void taps_of(const float* at, int64_t n, int64_t some, float* to) const {
    const int64_t R = q.window.taps[1], sk = q.w.stride[kN], sc = q.w.stride[kC], sr = q.w.stride[kH],
                  ss = q.w.stride[kW], all = some * R * R;
    const bool row = ss == 1 && sr == R;
    if (!row && (sc != 1 || some == 1)) {
      for (int64_t t = 0; t < all; t++, to += L) {
        const float* from = at + t / (R * R) * sc + t / R % R * sr + t % R * ss;
        if (sk == 1) store(to, n < L ? load_n(from, n) : load(from));
        else
          for (int64_t i = 0; i < L; i++) to[i] = i < n ? from[i * sk] : 0.0f;
      }
      return;
    }
    // A square: `wide` numbers of each filter, which become vectors `apart`, `many` of them.
    auto square = [&](const float* from, int64_t wide, float* put, int64_t apart, int64_t many)
                      __attribute__((always_inline)) {
                        vf32 v[L] = {};
#pragma GCC unroll 16
                        for (int i = 0; i < L; i++) v[i] = i < n ? load_n(from + i * sk, wide) : vf32{};
                        transpose(v);
#pragma GCC unroll 16
                        for (int i = 0; i < L; i++)
                          if (i < many) store(put + i * apart, v[i]);
                      };
    if (row)
      for (int64_t t = 0; t < all; t += L) square(at + t, min64(L, all - t), to + t * L, L, L);
    else
      for (int64_t t = 0; t < R * R; t++) square(at + t / R * sr + t % R * ss, some, to + t * L, R * R * L, some);
  }

  // Where the taps of a phase lie among a filter's, as lanes; those that it has not, behind the others.
  void places_of_taps(int64_t phase, int64_t missing, int64_t* place) const {
    const int64_t row = zoom * side;  // phases of one side
    for (int64_t r = 0; r < taps; r++)
      for (int64_t s = 0; s < taps; s++) {
        const int64_t i = tap(r, phase / row), j = tap(s, phase % row) - lead;
        *place++ = has(i) && has(j) ? (i * size + j) * L : missing;
      }
  }

  // Channels [c0, c1) of one panel of filters: u (36, depth, mr).
  void filters(int64_t panel, int64_t c0, int64_t c1, int64_t depth, float* u) const {
    constexpr int64_t kTaps = 10 * 10;  // of five taps a phase
    alignas(64) float all[(kTaps + L + 1) * L] = {};
    int64_t place[4][5 * 5];
    const float* w = (const float*)q.w.data + channel_of(panel) * q.w.stride[kN];
    const int64_t valid = min64(mr, K - channel_of(panel)), channels = q.x.shape[kC], all_taps = size * size;
    const int64_t sc = q.w.stride[kC], most = kTaps / all_taps;
    const int64_t at_once = phases() > 1 ? 1 : sc == all_taps ? most : sc == 1 ? min64(L, most) : 1;
    for (int64_t phase = 0; phase < phases(); phase++)
      places_of_taps(phase + phase_of(panel), (kTaps + L) * L, place[phase]);
    for (int64_t c = c0, some; c < c1; c += some) {
      some = min64(at_once, c1 - c);
      for (int64_t k = 0; k < mr; k += L) {
        taps_of(w + c * sc + k * q.w.stride[kN], max64(0, min64(L, valid - k)), some, all);
        for (int64_t i = 0; i < some; i++) {
          // A whole vector reaches into the next channel's row, which is yet to come: AVX2 stores parts in pieces.
          const int64_t n = mr < L && c + i + 1 < c1 ? L : min64(L, mr - k);
          for (int64_t phase = 0; phase < phases(); phase++)
            sized<5>([&]<int M>(Size<M>) {
              turn_taps<7 - M>(all + i * all_taps * L, place[phase], u + (phase * channels + c - c0 + i) * mr + k,
                               depth * mr, n);
            });
        }
      }
    }
  }

  // R x R taps of one phase as lanes: G from both sides, to the 36 places, `pitch` apart; some lanes of them.
  template <int R>
  __attribute__((noinline)) static void turn_taps(const float* all, const int64_t* place, float* to, int64_t pitch,
                                                  int64_t some) {
    vf32 half[6][R], v[6];
    for (int64_t r = 0; r < R; r++, place += R) {
      vf32 tap[R];
#pragma GCC unroll 5
      for (int64_t s = 0; s < R; s++) tap[s] = load(all + place[s]);
      taps_into<R>(tap, v);
#pragma GCC unroll 6
      for (int j = 0; j < 6; j++) half[j][r] = v[j];
    }
    for (int j = 0; j < 6; j++, to += pitch) {
      taps_into<R>(half[j], v);
#pragma GCC unroll 6
      for (int i = 0; i < 6; i++) store_part(to + 6 * i * pitch, v[i], some);
    }
  }

  void all_filters(const Ctx& ctx, float* u) const {
    parallel_for(ctx, panels, [&](int64_t p, int) { filters(p, 0, q.x.shape[kC], C, u + p * panel_size()); });
  }
  // turn(block, part, v) fills a part of a block; multiply(block, panel, u, v, sums) goes on to the outputs.
  template <class Turn, class Multiply>
  void run(const Ctx& ctx, int64_t parts, Turn turn, Multiply multiply) const {
    float* u = ready ? ready : (float*)ctx.workspace;
    char* images = (char*)ctx.workspace + (ready ? 0 : filter_bytes());
    char* scratch = images + (alone ? ctx.threads : held) * block_bytes;
    if (!ready) all_filters(ctx, u);
    if (alone) {
      parallel_for(ctx, blocks, [&](int64_t block, int worker) {
        float *v = (float*)(images + worker * block_bytes), *sums = (float*)(scratch + worker * scratch_bytes);
        for (int64_t part = 0; part < parts; part++) turn(block, part, v);
        for (int64_t p = 0; p < panels; p++) multiply(block, p, u + p * panel_size(), v, sums);
      });
      return;
    }
    for (int64_t first = 0; first < blocks; first += held) {
      const int64_t now = min64(held, blocks - first);
      parallel_for(ctx, now * parts, [&](int64_t i, int) {
        turn(first + i / parts, i % parts, (float*)(images + i / parts * block_bytes));
      });
      parallel_for(ctx, now * panels, [&](int64_t i, int worker) {
        const int64_t block = i / panels, panel = i % panels;
        multiply(first + block, panel, u + panel * panel_size(), (const float*)(images + block * block_bytes),
                 (float*)(scratch + worker * scratch_bytes));
      });
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
