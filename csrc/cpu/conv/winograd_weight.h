// The filters' gradient by Winograd's tiles: dw = G' [sum over tiles of (A g A') * (B' x B)] G, the adjoint of
// conv/winograd.h. For each of the 36 places a product of (K, tiles) and (tiles, C) whose depth is all tiles of all
// images.
//
// Where the 36 sums are small, the tiles are cut into pieces by the shape alone; a piece is a task, which turns some
// tiles and adds their products while they are in its L2 cache, and the pieces' sums are added in a fixed tree. Else
// all threads turn a chunk of tiles, then all multiply it.
#pragma once
#include "cpu/conv/tiles_last.h"
#include "cpu/gemm.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradWeight : LastTiles {
  using Op = Plain<float>;
  static constexpr int64_t kChunkBytes = 4 << 20, kPieceBytes = 512 << 10, kSmall = 4096, kPieces = 8;

  View dw, g, x;
  int64_t K, C, c_step;               // channels of both, of all phases; from tile to tile of x, whole vectors
  int64_t pieces, held;               // tiles of a chunk
  bool along_c;                       // vectors run along the channels of both images
  int64_t k_step;                     // from channel to channel of g; or, along_c, from tile to tile
  int64_t g_pitch, x_pitch, u_pitch;  // from place to place, of the sums, too
  int64_t mr, panels;

  // Whether planes become channels-last images first: tiles of five outputs are made of these alone, and to turn planes
  // takes less than the shuffles of their tiles (16 x 16 to 64 x 64 channels of 32 images 1.15 to 1.3 times as fast)
  // but where the gradient has twice the image's channels (0.9). Not timed with AVX-512.
  static bool turns(const View& dw, const View& g, const View& x, const Window& v, bool direct) {
    const bool planes = planar(g) && planar(x) && !lanes_along_c(x);
    const bool any = VBYTES == 32 && v.stride[1] == 1 && x.shape[kC] >= 16 && g.shape[kC] < 2 * x.shape[kC];
    return !direct && planes && dw.dtype == DType::f32 && v.dilation[1] == 1 && (any || v.stride[1] == 2) &&
           pays(g, x, v, {1, kPixels, any ? 2 : 5, any ? 4 : 5});
  }
  static bool fits(const View& dw, const View& g, const View& x, const Window& v, bool direct) {
    const bool order = (planar(g) && planar(x)) || (lanes_along_c(g) && lanes_along_c(x));
    return !direct && order && dw.dtype == DType::f32 && v.dilation[1] == 1 &&
           pays(g, x, v, {1, kPixels, 2, lanes_along_c(g) ? 5 : 4});
  }

  WinogradWeight(const View& filters, const View& gradient, const View& image, const Window& v)
      : LastTiles(gradient, image, v), dw(filters), g(gradient), x(image) {
    K = g.shape[kC];
    C = x.shape[kC] * phases();
    along_c = lanes_along_c(g) && lanes_along_c(x);
    const int64_t rounded = round_up(C, L);  // what is summed with what must not depend on the memory order
    c_step = along_c ? round_up(row(), L) : rounded;
    pieces = K * rounded <= kSmall ? min64(kPieces, ceil_div(count, 4 * L)) : 1;
    const int64_t fit = (pieces > 1 ? kPieceBytes : kChunkBytes) / (kPlaces * (K + rounded) * int64_t(sizeof(float)));
    held = min64(round_up(ceil_div(count, pieces), L), max64(2 * L, fit / L * L));
    k_step = along_c ? odd(K) : odd(held);
    g_pitch = odd((along_c ? held : K) * k_step);
    x_pitch = odd(held * c_step);
    u_pitch = odd(K * c_step);
    panels = ceil_div(K, Op::MR);
    mr = ceil_div(K, panels);
  }
  // An odd number of vectors, more than n: distances that are multiples of 4 KB share a set of the L1 cache.
  static int64_t odd(int64_t n) { return ((n / L + 1) | 1) * L; }
  int64_t sums() const { return kPlaces * u_pitch; }
  int64_t turned() const { return kPlaces * (g_pitch + x_pitch); }  // of a chunk
  int64_t begin(int64_t piece) const { return min64(count, round_up(count * piece / pieces, L)); }
  int64_t bytes(int threads) const {
    return align64((pieces * sums() + (pieces > 1 ? threads : 1) * turned()) * int64_t(sizeof(float)));
  }

  // L tiles from t, channel k of the gradient: to (36, K, k_step).
  void gradients(int64_t t, int64_t first, int64_t k, float* gs) const {
    alignas(64) float rows[lines(L)];
    gather(false, g, k, t, min64(count, t + L), L, rows);
    turn(false, rows, line(L), gs + k * k_step + t - first, g_pitch);
  }
  // L tiles from t, L channels from c of the image: to (36, held, c_step), where channels lie in a row.
  void pixels(int64_t t, int64_t first, int64_t c, float* xs) const {
    alignas(64) float rows[lines(L)];
    alignas(64) float block[kPlaces * L * L];
    const int64_t channels = min64(L, C - c);
    for (int64_t i = 0; i < channels; i++) {
      gather(true, x, c + i, t, min64(count, t + L), L, rows);
      turn(true, rows, line(L), block + i * L, L * L);
    }
    for (int64_t place = 0; place < kPlaces; place++) {
      vf32 v[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; i++) v[i] = i < channels ? load(block + (place * L + i) * L) : vf32{};
      transpose(v);
      float* row = xs + place * x_pitch + (t - first) * c_step + c;
#pragma GCC unroll 16
      for (int i = 0; i < L; i++) store(row + i * c_step, v[i]);
    }
  }

  // A panel of filters at one place: u (K, c_step) of it = or += the chunk's products.
  void product(int64_t place, int64_t panel, int64_t depth, const float* gs, const float* xs, float* u,
               bool add) const {
    const int64_t k = panel * mr, n = min64(mr, K - k);
    gs += place * g_pitch + k * (along_c ? 1 : k_step);
    xs += place * x_pitch;
    u += place * u_pitch + k * c_step;
    for (int64_t c = 0; c < C; c += Op::NV * L) {
      const int64_t wide = min64(Op::NV * L, C - c);
      const int nv = int(ceil_div(wide, L)) - 1;
      const Micro<Op> micro =
          along_c ? MicroKernels<Op, true>::table.at[nv][n - 1] : MicroKernels<Op, false>::table.at[nv][n - 1];
      for (int64_t t = 0; t < depth; t += Op::KC) {
        const float* columns = xs + t * c_step + c;
        const Panel<float> rows = along_c ? Panel<float>{gs + t * k_step, 1, k_step} : Panel<float>{gs + t, k_step, 1};
        micro(min64(Op::KC, depth - t), rows, {columns, 1, c_step}, u + c, c_step, wide, add || t > 0, columns);
      }
    }
  }

  // The sums of filter k at all places into the first piece's, in a tree; then G' from both sides: its taps.
  void filter(int64_t k, float* u) const {
    for (int64_t half = 1; half < pieces; half *= 2)
      for (int64_t piece = 0; piece + half < pieces; piece += 2 * half)
        for (int64_t place = 0; place < kPlaces; place++) {
          float *to = u + piece * sums() + place * u_pitch + k * c_step, *from = to + half * sums();
          for (int64_t c = 0; c < c_step; c += L) store(to + c, load(to + c) + load(from + c));
        }
    for (int64_t c = 0; c < C; c += L) {
      alignas(64) float w[5 * 5 * L];
      sized<5>([&]<int M>(Size<M>) { taps_of<7 - M>(u + k * c_step + c, w); });
      for (int64_t i = 0; i < min64(L, C - c); i++) {
        const int64_t phase = (c + i) / x.shape[kC], channel = (c + i) % x.shape[kC];
        float* to = (float*)dw.data + k * dw.stride[kN] + channel * dw.stride[kC];
        for (int64_t t = 0; t < taps * taps; t++) {
          const int64_t r = tap(t / taps, phase / side), s = tap(t % taps, phase % side) - lead;
          if (has(r) && has(s)) to[r * dw.stride[kH] + s * dw.stride[kW]] = w[t * L + i];
        }
      }
    }
  }
  template <int R>
  __attribute__((noinline)) void taps_of(const float* u, float* to) const {
    vf32 half[R][6], w[R];
    for (int j = 0; j < 6; j++) {
      vf32 column[6];
      for (int i = 0; i < 6; i++) {
        column[i] = load(u + (6 * i + j) * u_pitch);
        __builtin_prefetch(u + (6 * i + j) * u_pitch + 64);
      }
      scale(column);
      back<R>(column, w);
      for (int r = 0; r < R; r++) half[r][j] = w[r];
    }
    for (int r = 0; r < R; r++) {
      scale(half[r]);
      back<R>(half[r], w);
      for (int s = 0; s < R; s++) store(to + (r * R + s) * L, w[s]);
    }
  }

  // Tiles [first, last) turned, part by part, and multiplied.
  int64_t parts() const { return along_c ? 2 : K + c_step / L; }
  void turn_part(int64_t part, int64_t t, int64_t first, float* gs, float* xs) const {
    if (along_c)
      for (int64_t i = t; i < min64(count, t + L); i++) {
        if (part == 0) sized<5>([&]<int M>(Size<M>) { gradient<M>(g, i, gs + (i - first) * k_step, g_pitch); });
        else image(x, i, xs + (i - first) * c_step, x_pitch);
      }
    else if (part < K) gradients(t, first, part, gs);
    else pixels(t, first, (part - K) * L, xs);
  }

  void run(const Ctx& ctx) const {
    float *u = (float*)ctx.workspace, *room = u + pieces * sums();
    if (pieces > 1)
      parallel_for(ctx, pieces, [&](int64_t piece, int worker) {
        float *gs = room + worker * turned(), *xs = gs + kPlaces * g_pitch, *sum = u + piece * sums();
        const int64_t end = begin(piece + 1);
        for (int64_t first = begin(piece), start = first; first < end; first += held) {
          const int64_t last = min64(end, first + held);
          for (int64_t part = 0; part < parts(); part++)
            for (int64_t t = first; t < last; t += L) turn_part(part, t, first, gs, xs);
          for (int64_t i = 0; i < kPlaces * panels; i++)
            product(i / panels, i % panels, last - first, gs, xs, sum, first > start);
        }
      });
    else
      for (int64_t first = 0; first < count; first += held) {
        const int64_t depth = min64(held, count - first);
        float *gs = room, *xs = gs + kPlaces * g_pitch;
        parallel_for(ctx, ceil_div(depth, L) * parts(),
                     [&](int64_t i, int) { turn_part(i % parts(), first + i / parts() * L, first, gs, xs); });
        parallel_for(ctx, kPlaces * panels,
                     [&](int64_t i, int) { product(i / panels, i % panels, depth, gs, xs, u, first > 0); });
      }
    parallel_ranges(ctx, K, max64(1, 4096 / C), [&](int64_t k0, int64_t k1) {
      for (int64_t k = k0; k < k1; k++) filter(k, u);
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
