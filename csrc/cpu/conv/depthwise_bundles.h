// Depthwise convolutions of small images: L channels at a time lie in the L1 cache as one channels-last image. Planes
// are turned to it and the result back, since their rows of 7 or 14 pixels fill no vector; so are they for the filters'
// gradient. Channels-last images are copied, as their pixels lie far apart.
#pragma once
#include "cpu/conv/depthwise_rows.h"
#include "cpu/copy.h"
#include "cpu/image/rows.h"

namespace mielina {
namespace MIELINA_ISA {

struct DepthwiseBundles : DepthwiseRows {
  static constexpr int64_t kPixels = 1024;  // of the image and the result: the L1 cache and a little more
  View image;                               // as it lies; q.x is a bundle of its planes
  int64_t blocks;                           // vectors of channels
  bool last;                                // channels last

  static bool even(const View& v) { return v.stride[kW] == 1 && v.stride[kH] == v.shape[kW]; }
  static bool along_c(const Problem& q) { return q.x.stride[kC] == 1 && q.y.stride[kC] == 1; }
  static int64_t pixels(const View& v) { return v.shape[kH] * v.shape[kW]; }
  // Rows of the result that are shorter than a vector, or that would need vectors of even pixels.
  static bool fits(const Problem& q) { return VBYTES > 16 && suits(q); }
  __attribute__((noinline)) static bool suits(const Problem& q) {
    const bool filled = q.y.shape[kW] >= L && q.window.stride[2] == 1;
    return (along_c(q) || (even(q.x) && even(q.y) && !filled)) && q.y.shape[kC] == q.x.shape[kC] &&
           q.x.shape[kC] >= L && pixels(q.x) + pixels(q.y) <= kPixels && DepthwiseRows::fits(q);
  }
  __attribute__((noinline)) explicit DepthwiseBundles(const Problem& problem)
      : DepthwiseRows(problem, 1), image(problem.x), blocks(ceil_div(C, L)), last(along_c(problem)) {
    q.x.stride[kH] = W * L;
    q.x.stride[kW] = L;
    if (step == 2) block = kRows;  // four would be 1.15 times as slow: these lines share no sets
  }

  // A row outside the image; a worker's image and result, of whole blocks of rows, and the result's planes as floats.
  int64_t zero_bytes() const { return W * VBYTES; }
  int64_t rows() const { return ceil_div(H, block) * block; }
  int64_t worker_bytes() const { return (pixels(q.x) + 2 * rows() * Q) * VBYTES; }
  int64_t bytes(int64_t threads) const { return zero_bytes() + align64(filter_bytes()) + threads * worker_bytes(); }

  static const float* plane(const View& v, int64_t n, int64_t c) {
    return (const float*)v.data + n * v.stride[kN] + c * v.stride[kC];
  }
  // Channels [c, c + L) of v, those beyond its last zero.
  __attribute__((noinline)) void get(const View& v, int64_t n, int64_t c, float* to) const {
    const float* from = plane(v, n, c);
    const int64_t have = min64(L, C - c);
    if (last) {
      for (int64_t h = 0; h < v.shape[kH]; h++)
        for (int64_t w = 0; w < v.shape[kW]; w++, to += L) {
          const float* p = from + h * v.stride[kH] + w * v.stride[kW];
          __builtin_prefetch(p + L, 0, 2);  // the next channels
          store(to, load_part(p, have));
        }
      return;
    }
    if (have < L) __builtin_memset(to, 0, size_t(pixels(v) * VBYTES));
    turn_planes((uint32_t*)to, L, (const uint32_t*)from, v.stride[kC], pixels(v), have);
  }
  __attribute__((noinline)) void put(const float* sum, float* planes, char* y, int64_t c) const {
    const int64_t have = min64(L, C - c), size = kDTypeSize[int(q.y.dtype)], each = pixels(q.y);
    const bool plain = q.y.dtype == DType::f32;
    const RowTo<float> row_to = row_to_fn<float>(q.y.dtype);
    if (last) {
      for (int64_t h = 0; h < H; h++)
        for (int64_t w = 0; w < Q; w++, sum += L) {
          char* to = y + (h * q.y.stride[kH] + w * q.y.stride[kW]) * size;
          if (plain) store_part((float*)to, load(sum), have);
          else row_to(sum, to, 1, have);
        }
      return;
    }
    turn_planes(plain ? (uint32_t*)y : (uint32_t*)planes, plain ? q.y.stride[kC] : each, (const uint32_t*)sum, L, have,
                each);
    for (int64_t k = 0; k < have && !plain; k++) row_to(planes + k * each, y + k * q.y.stride[kC] * size, 1, each);
  }

  // f(block, h, j) for all blocks of rows and columns of the output.
  template <class F>
  void walk(const float* x, const float* zeros, float* w, F f) const {
    const Span all{0, int32_t(L)};
    Lines line;
    for (int64_t h = 0; h < H; h += block) {
      lines(x, h, zeros, line.at);
      for (int64_t j = 0; j < Q; j++) {
        const Inside in = inside(j);
        f(Block{line.at, in.at * L, part.gap[1] * L, in.last - in.first, &all, 0, w + in.first * L, part.taps[1] * L,
                L},
          h, j);
      }
    }
  }

  static void ask(const char*& at, int64_t bytes) {
    for (const char* end = at + bytes; at < end; at += 64) __builtin_prefetch(at, 0, 2);
  }
  __attribute__((noinline)) void run(const Ctx& ctx) const {
    float *zeros = (float*)ctx.workspace, *w = zeros + W * L, *start = w + taps() * wide();
    char* workers = (char*)w + align64(filter_bytes());
    __builtin_memset(zeros, 0, size_t(zero_bytes()));
    put_filters(w);
    const int64_t count = q.y.shape[kN] * blocks, grain = 1 + 16 * 1024 / (rows() * Q * (1 + taps())),
                  steps = rows() / block * Q, size = kDTypeSize[int(q.y.dtype)];
    parallel_for(ctx, ceil_div(count, grain), [&](int64_t task, int worker) {
      float *x = (float*)(workers + worker * worker_bytes()), *sum = x + pixels(q.x) * L,
            *planes = sum + rows() * Q * L;
      for (int64_t i = task * grain; i < min64(count, (task + 1) * grain); i++) {
        const int64_t n = i / blocks, c = i % blocks * L;
        get(image, n, c, x);
        // Asks for the result's place and the next planes meanwhile (512 images of 16 x 14 x 14: 118 to 50 cycles a
        // vector of the result where both lie in memory, none gained in the caches).
        char* y = (char*)q.y.data + (n * q.y.stride[kN] + c * q.y.stride[kC]) * size;
        const char *to = y, *next = (char*)plane(image, (i + 1) / blocks, (i + 1) % blocks * L);
        walk(x, zeros, w + place(c, 0), [&](const Block& b, int64_t h, int64_t j) {
          if (!last) {
            ask(to, pixels(q.y) * L * size / steps);
            ask(next, pixels(q.x) * VBYTES / steps);
          }
          sum_of(b, start + c, sum + (h * Q + j) * L, Q * L);
        });
        put(sum, planes, y, c);
      }
    });
  }

  // ---- gradient of the filters; y is the output's gradient here. A task is a vector of channels, summed over the
  // images in order.
  static bool gradient_fits(const Problem& q) { return q.y.dtype == DType::f32 && !along_c(q) && fits(q); }
  int64_t gradient_bytes(int64_t threads) const { return zero_bytes() + threads * (worker_bytes() + taps() * VBYTES); }

  __attribute__((noinline)) void gradient(const Ctx& ctx, const View& dw) const {
    float* zeros = (float*)ctx.workspace;
    __builtin_memset(zeros, 0, size_t(zero_bytes()));
    parallel_for(ctx, blocks, [&](int64_t i, int worker) {
      float *sums = zeros + W * L + worker * (worker_bytes() / int64_t(sizeof(float)) + taps() * L),
            *x = sums + taps() * L, *g = x + pixels(q.x) * L;
      __builtin_memset(sums, 0, size_t(taps() * VBYTES));
      __builtin_memset(g, 0, size_t(rows() * Q * VBYTES));  // rows beyond the last stay zero
      for (int64_t n = 0; n < q.x.shape[kN]; n++) {
        get(image, n, i * L, x);
        get(q.y, n, i * L, g);
        walk(x, zeros, sums, [&](const Block& b, int64_t h, int64_t j) {
          const float* up[kRows];
          for (int64_t k = 0; k < block; k++) up[k] = g + ((h + k) * Q + j) * L;
          add_products(b, up, L);
        });
      }
      for (int64_t c = i * L; c < min64(C, (i + 1) * L); c++)
        for (int64_t t = 0; t < taps(); t++)
          put_filter(dw, c, 0, t / part.taps[1], t % part.taps[1], sums[t * L + c % L]);
    });
  }
};

// The gradient of an image under a window of stride 2: its even and odd rows and columns, each a convolution of the
// output's gradient, make one bundle. Apart, they were written with strides (8 x 512 x 14 x 14 0.65 ms, 0.39 so).
struct BundledPhases {
  DepthwiseBundles whole, phase[4];

  static Problem with(Problem q, const View& dx) {
    q.y = dx;
    return q;
  }
  static bool fits(const View& dx, const Problem& q) {
    const bool last = DepthwiseBundles::along_c(q), planar = DepthwiseBundles::even(q.x) && DepthwiseBundles::even(dx);
    return (planar || (last && DepthwiseBundles::pixels(dx) <= 256)) && q.x.shape[kC] >= DepthwiseRows::L &&
           DepthwiseBundles::pixels(q.x) + DepthwiseBundles::pixels(dx) <= DepthwiseBundles::kPixels &&
           dx.shape[kH] >= 8 && dx.shape[kW] > 1 && DepthwiseRows::fits(q);
  }
  BundledPhases(const View& dx, const Problem* p)
      : whole(with(p[0], dx)),
        phase{DepthwiseBundles(p[0]), DepthwiseBundles(p[1]), DepthwiseBundles(p[2]), DepthwiseBundles(p[3])} {}

  int64_t sums() const { return 2 * phase[0].rows() * whole.Q * DepthwiseRows::L; }
  int64_t worker_bytes() const {
    return DepthwiseBundles::pixels(whole.q.x) * VBYTES + 2 * sums() * int64_t(sizeof(float));
  }
  int64_t bytes(int64_t threads) const {
    int64_t all = whole.zero_bytes() + threads * worker_bytes();
    for (const DepthwiseBundles& p : phase) all += align64(p.filter_bytes());
    return all;
  }

  __attribute__((noinline)) void run(const Ctx& ctx) const {
    constexpr int64_t L = DepthwiseRows::L;
    float *zeros = (float*)ctx.workspace, *w[5];
    __builtin_memset(zeros, 0, size_t(whole.zero_bytes()));
    w[0] = zeros + whole.W * L;
    for (int i = 0; i < 4; i++) {
      phase[i].put_filters(w[i]);
      w[i + 1] = (float*)((char*)w[i] + align64(phase[i].filter_bytes()));
    }
    const View &dx = whole.q.y, &g = whole.image;
    const int64_t Q = whole.Q, count = dx.shape[kN] * whole.blocks, size = kDTypeSize[int(dx.dtype)];
    parallel_for(ctx, count, [&](int64_t i, int worker) {
      const int64_t n = i / whole.blocks, c = i % whole.blocks * L;
      float* x = (float*)((char*)w[4] + worker * worker_bytes());
      float* sum = x + DepthwiseBundles::pixels(whole.q.x) * L;
      char* y = (char*)dx.data + (n * dx.stride[kN] + c * dx.stride[kC]) * size;
      whole.get(g, n, c, x);
      const char* to = y;
      for (int k = 0; k < 4; k++) {
        const DepthwiseBundles& p = phase[k];
        if (!whole.last) DepthwiseBundles::ask(to, DepthwiseBundles::pixels(dx) * L * size / 4);
        p.walk(x, zeros, w[k] + p.place(c, 0), [&](const DepthwiseRows::Block& b, int64_t h, int64_t j) {
          p.sum_of(b, w[k] + p.taps() * p.wide() + c, sum + ((2 * h + k / 2) * Q + 2 * j + k % 2) * L, 2 * Q * L);
        });
      }
      whole.put(sum, sum + sums(), y, c);
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
