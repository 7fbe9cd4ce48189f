// Depthwise convolutions of channels-last images and their gradients: vectors run along the channels.
#pragma once
#include "cpu/conv/depthwise_rows.h"

namespace mielina {
namespace MIELINA_ISA {

struct DepthwiseLast : DepthwiseRows {
  static constexpr int64_t kCache = 24 * 1024, kPieces = 16;

  __attribute__((noinline)) static bool fits(const Problem& q) {
    return q.y.shape[kC] == q.x.shape[kC] && q.y.stride[kC] == 1 && q.x.stride[kC] == 1 && q.x.shape[kC] >= L &&
           q.x.stride[kW] != 1 && DepthwiseRows::fits(q);
  }
  __attribute__((noinline)) explicit DepthwiseLast(const Problem& problem) : DepthwiseRows(problem, 1) {}

  int64_t reach() const { return max64(0, part.taps[1] - 1) * part.gap[1] * q.x.stride[kW]; }
  // Pixels outside the image, then the filters.
  int64_t zero_bytes() const { return align64((reach() + wide()) * int64_t(sizeof(float))); }
  int64_t bytes(int64_t) const { return zero_bytes() + filter_bytes(); }
  // Channels of a task: what eight rows of the output see lies in the L1 cache.
  int64_t some() const {
    return max64(1, kCache / (4 * (kRows * part.stride[0] + part.taps[0]) * max64(1, part.taps[1]) * L)) * L;
  }

  // f(block) for channels [c0, c1) of column j, L at a time.
  template <class F>
  void column(const float* x, int64_t h, int64_t j, int64_t c0, int64_t c1, const float* zeros, float* w, F f) const {
    const Inside in = inside(j);
    const int64_t next = part.gap[1] * q.x.stride[kW];
    Lines line;
    lines(x + in.at * q.x.stride[kW], h, zeros, line.at);
    for (int64_t c = c0; c < c1; c += L) {
      const Span have{0, int32_t(min64(L, c1 - c))};
      f(c, Block{line.at, c, next, in.last - in.first, &have, 0, w + place(c, in.first), part.taps[1] * L, L});
    }
  }

  __attribute__((noinline)) void run(const Ctx& ctx) const {
    float *zeros = (float*)ctx.workspace, *w = (float*)((char*)ctx.workspace + zero_bytes()),
          *start = w + taps() * wide();
    __builtin_memset(zeros, 0, size_t(zero_bytes()));
    put_filters(w);
    const int64_t blocks = ceil_div(C, some()), parts = ceil_div(H, block), size = kDTypeSize[int(q.y.dtype)];
    const int64_t steps = block * Q * min64(wide(), some()) / L * (1 + taps());  // vector multiply-adds of a task
    const RowTo<float> row_to = row_to_fn<float>(q.y.dtype);
    const bool plain = in_rows<float>(q.y.dtype, 1);
    parallel_ranges(ctx, q.y.shape[kN] * parts * blocks, 1 + 16 * 1024 / steps, [&](int64_t i0, int64_t i1) {
      alignas(64) float sum[kRows * L];
      for (int64_t i = i0; i < i1; i++) {
        const int64_t n = i / blocks / parts, h = i / blocks % parts * block, c0 = i % blocks * some();
        const int64_t rows = min64(block, H - h), c1 = min64(C, c0 + some());
        char* y = (char*)q.y.data + (n * q.y.stride[kN] + h * q.y.stride[kH]) * size;
        for (int64_t j = 0; j < Q; j++, y += q.y.stride[kW] * size)
          column((const float*)q.x.data + n * q.x.stride[kN], h, j, c0, c1, zeros, w, [&](int64_t c, const Block& b) {
            char* to = y + c * size;
            const int64_t have = min64(L, c1 - c), next = q.y.stride[kH];
            if (plain && have == L && rows == block) return sum_of(b, start + c, (float*)to, next);
            sum_of(b, start + c, sum, L);
            for (int64_t k = 0; k < rows; k++, to += next * size) {
              if (plain && have == L) store((float*)to, load(sum + k * L));
              else row_to(sum + k * L, to, 1, have);
            }
          });
      }
    });
  }

  // ---- gradient of the filters; y is the output's gradient here. Rows are cut into pieces by the shape alone, their
  // sums, as the filters lie, added in a tree.
  static bool gradient_fits(const Problem& q) { return q.y.dtype == DType::f32 && fits(q); }
  int64_t parts() const { return q.y.shape[kN] * ceil_div(H, block); }
  int64_t pieces() const { return min64(kPieces, parts()); }
  int64_t gradient_bytes(int64_t) const { return zero_bytes() + pieces() * taps() * wide() * int64_t(sizeof(float)); }

  void piece(int64_t begin, int64_t end, const float* zeros, float* sums) const {
    for (int64_t i = 0; i < taps() * wide(); i += L) store(sums + i, vf32{});
    const int64_t each = ceil_div(H, block);
    for (int64_t i = begin; i < end; i++)
      for (int64_t c0 = 0; c0 < C; c0 += some())
        for (int64_t j = 0; j < Q; j++) {
          const int64_t n = i / each, h = i % each * block;
          const float* g = (const float*)q.y.data + n * q.y.stride[kN] + h * q.y.stride[kH] + j * q.y.stride[kW];
          column((const float*)q.x.data + n * q.x.stride[kN], h, j, c0, min64(C, c0 + some()), zeros, sums,
                 [&](int64_t c, const Block& b) {
                   const float* up[kRows];
                   for (int64_t k = 0; k < block; k++) up[k] = h + k < H ? g + k * q.y.stride[kH] + c : zeros;
                   add_products(b, up, b.span->z);
                 });
        }
  }

  __attribute__((noinline)) void gradient(const Ctx& ctx, const View& dw) const {
    float *zeros = (float*)ctx.workspace, *sums = (float*)((char*)ctx.workspace + zero_bytes());
    __builtin_memset(zeros, 0, size_t(zero_bytes()));
    const int64_t all = pieces(), size = taps() * wide();
    parallel_for(ctx, all,
                 [&](int64_t i, int) { piece(parts() * i / all, parts() * (i + 1) / all, zeros, sums + i * size); });
    for (int64_t half = 1; half < all; half *= 2)
      for (int64_t i = 0; i + half < all; i += 2 * half)
        for (int64_t k = 0; k < size; k += L) {
          float* to = sums + i * size + k;
          store(to, load(to) + load(to + half * size));
        }
    for (int64_t c = 0; c < C; c++)
      for (int64_t t = 0; t < taps(); t++) put_filter(dw, c, 0, t / part.taps[1], t % part.taps[1], sums[place(c, t)]);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
