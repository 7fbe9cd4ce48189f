// Depthwise convolutions of planar images and their gradients, without a padded copy: vectors run along the width.
#pragma once
#include "cpu/conv/depthwise_rows.h"
#include "cpu/image/rows.h"

namespace mielina {
namespace MIELINA_ISA {

// A second problem may hold the odd columns of the output where the first holds the even ones, as in the gradient of an
// image under a window of stride 2.
struct DepthwisePlanes : DepthwiseRows {
  Part odd;
  int parts;
  int64_t columns, chunks;  // of a row of the output, in all; vectors of a part
  float* zeros = nullptr;   // a row outside the image
  Span* spans = nullptr;    // of each vector of a row and each tap's column

  __attribute__((noinline)) static bool fits(const Problem& q) {
    const Window& v = q.window;
    return q.x.stride[kW] == 1 && (v.stride[2] == 1 || (v.stride[2] == 2 && v.dilation[2] == 1)) &&
           DepthwiseRows::fits(q);
  }

  __attribute__((noinline)) DepthwisePlanes(const Problem& even, const Problem& other, int count)
      : DepthwiseRows(even, even.window.stride[2]), odd(other), parts(count) {
    columns = parts == 2 ? Q + other.y.shape[kW] : Q;
    chunks = ceil_div(Q, L);
  }
  explicit DepthwisePlanes(const Problem& one) : DepthwisePlanes(one, one, 1) {}

  int64_t zero_bytes() const { return align64(max64(W, Q) * int64_t(sizeof(float))); }
  int64_t bytes(int64_t = 1) const {
    return zero_bytes() + align64(chunks * (part.taps[1] + odd.taps[1]) * int64_t(sizeof(Span)));
  }
  // A gradient's vectors follow each other; the outputs' last overlaps the one before.
  int64_t first(int64_t chunk, bool overlap) const { return overlap ? max64(0, min64(chunk * L, Q - L)) : chunk * L; }
  void prepare(char* workspace, bool overlap) {
    zeros = (float*)workspace;
    __builtin_memset(zeros, 0, size_t(zero_bytes()));
    spans = (Span*)(workspace + zero_bytes());
    Span* to = spans;
    for (int i = 0; i < parts; i++) {
      const Part& p = i == 0 ? part : odd;
      for (int64_t chunk = 0; chunk < chunks; chunk++)
        for (int64_t s = 0; s < p.taps[1]; s++) {
          const int64_t j = first(chunk, overlap), at = j * pace + p.base[1] + s * p.gap[1];
          const int64_t a = max64(0, min64(pace * L, -at)), z = min64(pace * min64(L, Q - j), W - at);
          *to++ = {int32_t(a), int32_t(max64(a, z))};
        }
    }
  }
  Block under(const Part& p, const float* const* line, int64_t chunk, bool overlap, const Span* span, float* w) const {
    Block b{line, 0, p.gap[1], p.taps[1], nullptr, 1, w, p.taps[1] * L, L};
    move(b, p, first(chunk, overlap), chunk, span);
    return b;
  }
  // A block written anew for each vector took a fifth of the time of a window of stride 2.
  void move(Block& b, const Part& p, int64_t column, int64_t chunk, const Span* span) const {
    b.at = column * pace + p.base[1];
    b.span = span + chunk * b.taps;
  }

  void plane(int64_t n, int64_t c) const {
    const float* x = (const float*)q.x.data + n * q.x.stride[kN] + c / (K / C) * q.x.stride[kC];
    const int64_t size = kDTypeSize[int(q.y.dtype)], step = q.y.stride[kW] / parts, next = q.y.stride[kH];
    const RowTo<float> row_to = row_to_fn<float>(q.y.dtype);
    const bool plain = in_rows<float>(q.y.dtype, step);
    char* y = (char*)q.y.data + (n * q.y.stride[kN] + c * q.y.stride[kC]) * size;
    alignas(64) float w[2][kTaps * L], start[L], sum[2][kRows * L];
    store(start, splat<vf32>(bias(c)));
    for (int i = 0; i < parts; i++) {
      const Part& p = i == 0 ? part : odd;
      for (int64_t r = 0; r < p.taps[0]; r++)
        for (int64_t s = 0; s < p.taps[1]; s++)
          store(w[i] + (r * p.taps[1] + s) * L, splat<vf32>(p.w[c * q.w.stride[kN] + r * p.step[0] + s * p.step[1]]));
    }
    Lines line;
    Block even = under(part, line.at, 0, true, spans, w[0]);
    Block other = under(odd, line.at, 0, true, spans, w[1]);
    for (int64_t h = 0; h < H; h += block) {
      lines(x, h, zeros, line.at);
      for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t j = first(chunk, true), have = min64(parts * L, columns - parts * j), rows = min64(block, H - h);
        char* to = y + (h * next + parts * j * step) * size;
        const bool in_place = plain && parts == 1 && have == L && rows == block;
        move(even, part, j, chunk, spans);
        if (in_place) {
          sum_of(even, start, (float*)to, next);
          continue;
        }
        sum_of(even, start, sum[0], L);
        if (parts == 2) {
          move(other, odd, j, chunk, spans + chunks * part.taps[1]);
          sum_of(other, start, sum[1], L);
        }
        for (int64_t i = 0; i < rows; i++, to += next * size) {
          const vf32 v = load(sum[0] + i * L);
          if (plain && have == 2 * L) {
            store_interleaved((float*)to, v, load(sum[1] + i * L));
            continue;
          }
          alignas(64) float out[2 * L];
          if (parts == 2) store_interleaved(out, v, load(sum[1] + i * L));
          else store(out, v);
          if (plain && parts == 1) store_part((float*)to, load(out), have);
          else row_to(out, to, step, have);
        }
      }
    }
  }

  // With `between`, the rows of its output lie between these: plane by plane, since they share lines of the caches.
  __attribute__((noinline)) void run(const Ctx& ctx, DepthwisePlanes* between = nullptr) {
    prepare((char*)ctx.workspace, true);
    if (between) between->prepare((char*)ctx.workspace + bytes(), true);
    const int64_t steps = chunks * ceil_div(H, block) * block * parts * (1 + part.taps[0] * part.taps[1]);
    parallel_ranges(ctx, q.x.shape[kN] * K, 1 + 32 * 1024 / steps, [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; i++) {
        plane(i / K, i % K);
        if (between) between->plane(i / K, i % K);
      }
    });
  }

  // ---- gradient of the filters; y is the output's gradient here
  static bool gradient_fits(const Problem& q) { return q.y.dtype == DType::f32 && q.y.stride[kW] == 1 && fits(q); }
  int64_t gradient_bytes(int64_t) const { return bytes(); }

  // Asks for the rows of the next block: from image to image a channel's planes lie far apart (32 x 64 x 56 x 56: 3.4
  // ms, 1.6 to 2.4 so; what is in the caches would lose 1.1).
  static void ahead(const float* from, int64_t rows, int64_t pitch, int64_t n) {
    for (int64_t r = 0; r < rows; r++, from += pitch)
      for (int64_t i = 0; i < n; i += 64 / int64_t(sizeof(float))) __builtin_prefetch(from + i, 0, 2);
  }

  // A channel's taps, summed over the images in order.
  void filters(int64_t c, const View& dw) const {
    const int64_t S = part.taps[1];
    const bool far = numel(q.x) * int64_t(sizeof(float)) > 8 << 20;
    alignas(64) float sums[kTaps * L];
    for (int64_t i = 0; i < part.taps[0] * S * L; i += L) store(sums + i, vf32{});
    Lines line;
    const float* up[kRows];
    for (int64_t n = 0; n < q.x.shape[kN]; n++) {
      const float* x = (const float*)q.x.data + n * q.x.stride[kN] + c / (K / C) * q.x.stride[kC];
      const float* g = (const float*)q.y.data + n * q.y.stride[kN] + c * q.y.stride[kC];
      for (int64_t h = 0; h < H; h += block) {
        lines(x, h, zeros, line.at);
        const bool last = h + block >= H;
        if (far) {
          ahead(g + (last ? q.y.stride[kN] : (h + block) * q.y.stride[kH]), block, q.y.stride[kH], Q);
          ahead(x + (last ? q.x.stride[kN] : ((h + block) * part.stride[0] + part.base[0]) * q.x.stride[kH]),
                block * part.stride[0] + part.taps[0], q.x.stride[kH], W);
        }
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
          const int64_t j = chunk * L;
          for (int64_t i = 0; i < block; i++) up[i] = h + i < H ? g + (h + i) * q.y.stride[kH] + j : zeros;
          add_products(under(part, line.at, chunk, false, spans, sums), up, min64(L, Q - j));
        }
      }
    }
    for (int64_t i = 0; i < part.taps[0] * S; i++) put_filter(dw, c, 0, i / S, i % S, hsum(load(sums + i * L)));
  }

  __attribute__((noinline)) void gradient(const Ctx& ctx, const View& dw) {
    prepare((char*)ctx.workspace, false);
    const int64_t steps = q.x.shape[kN] * chunks * ceil_div(H, block) * block * part.taps[0] * part.taps[1];
    parallel_ranges(ctx, K, 1 + 32 * 1024 / steps, [&](int64_t c0, int64_t c1) {
      for (int64_t c = c0; c < c1; c++) filters(c, dw);
    });
  }
};

// The gradient of filters of a few channels, not depthwise: every pair of channels is a depthwise one. (A product's
// columns would have to be gathered and turned for a few rows' sake.) Blocks of rows are cut into pieces by the shape
// alone; in each all pairs meet the same rows, which stay in the cache; the pieces' sums are added in a tree.
struct FewChannels : DepthwisePlanes {
  static constexpr int64_t kPieces = 16, kChannels = 8, kSums = 256 << 10;

  static bool fits(const View& dw, const Problem& q) {
    Problem pair = q;
    pair.w.shape[kC] = 1;
    pair.y.shape[kC] = pair.w.shape[kN] = q.x.shape[kC];
    const int64_t taps = q.window.taps[1] * q.window.taps[2], filled = ceil_div(q.y.shape[kW], L) * L;
    const int64_t most = VBYTES == 32 && dw.shape[kN] >= L ? 1 : kChannels;  // others: conv/weight_rows.h
    return dw.shape[kC] == q.x.shape[kC] && dw.shape[kC] <= most && taps > 1 && 4 * q.y.shape[kW] >= 3 * filled &&
           q.window.stride[1] == 1 && q.window.stride[2] == 1 && (dw.shape[kN] <= 16 || dw.shape[kC] == 1) &&
           dw.shape[kN] * dw.shape[kC] * taps * VBYTES <= kSums && gradient_fits(pair);
  }
  explicit FewChannels(const Problem& problem) : DepthwisePlanes(problem) {}

  int64_t parts() const { return q.x.shape[kN] * ceil_div(H, block); }
  int64_t pieces() const { return min64(kPieces, parts()); }
  int64_t sums() const { return K * C * part.taps[0] * part.taps[1] * L; }
  int64_t gradient_bytes(int64_t) const { return bytes() + pieces() * sums() * int64_t(sizeof(float)); }

  void piece(int64_t begin, int64_t end, float* sum) const {
    for (int64_t i = 0; i < sums(); i += L) store(sum + i, vf32{});
    const int64_t each = ceil_div(H, block), size = part.taps[0] * part.taps[1] * L;
    Lines line[kChannels];
    const float* up[kRows];
    for (int64_t i = begin; i < end; i++) {
      const int64_t n = i / each, h = i % each * block;
      for (int64_t c = 0; c < C; c++)
        lines((const float*)q.x.data + n * q.x.stride[kN] + c * q.x.stride[kC], h, zeros, line[c].at);
      for (int64_t k = 0; k < K; k++) {
        const float* g = (const float*)q.y.data + n * q.y.stride[kN] + k * q.y.stride[kC] + h * q.y.stride[kH];
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
          for (int64_t r = 0; r < block; r++) up[r] = h + r < H ? g + r * q.y.stride[kH] + chunk * L : zeros;
          for (int64_t c = 0; c < C; c++)
            add_products(under(part, line[c].at, chunk, false, spans, sum + (k * C + c) * size), up,
                         min64(L, Q - chunk * L));
        }
      }
    }
  }

  __attribute__((noinline)) void gradient(const Ctx& ctx, const View& dw) {
    prepare((char*)ctx.workspace, false);
    float* first = (float*)((char*)ctx.workspace + bytes());
    const int64_t all = pieces(), S = part.taps[1], taps = part.taps[0] * S;
    parallel_for(ctx, all,
                 [&](int64_t i, int) { piece(parts() * i / all, parts() * (i + 1) / all, first + i * sums()); });
    parallel_ranges(ctx, K, 1 + 1024 / (C * taps), [&](int64_t k0, int64_t k1) {
      for (int64_t i = k0 * C * taps; i < k1 * C * taps; i++) {
        for (int64_t half = 1; half < all; half *= 2)
          for (int64_t j = 0; j + half < all; j += 2 * half) {
            float* to = first + j * sums() + i * L;
            store(to, load(to) + load(to + half * sums()));
          }
        put_filter(dw, i / (C * taps), i / taps % C, i / S % part.taps[0], i % S, hsum(load(first + i * L)));
      }
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
