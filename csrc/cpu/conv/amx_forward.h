// Convolutions of halves on AMX's tiles, float16 in two bf16 parts. Rows are pixels of the output, columns its
// channels, steps of k 32 channels of the image under one tap. (float32 in three parts takes 1.05 to 1.55 times as long
// as Winograd's tiles and 0.9 to 1.5 of other products, and three times as long while the core's other thread is busy.)
//
// A band of output rows has its part of the image packed once: 32 channels of a pixel are one line of 64 bytes
// (gemm/split.h), pixels lie side by side, rows one after the other with their padding. The pixels under a tap of 16
// neighbours are neighbours, too: a tile is loaded where they lie and no column is gathered. Between the rows of the
// output this makes some numbers that are thrown away. Under a stride the band is cut into its phases. Where channels
// are few, those under the taps of a row, which are neighbours in memory, count as one pixel's.
//
// Planes of channels instead, of which a tile's rows begin anywhere, take two lines a row to load (bfloat16, 8 x 64 ->
// 64, 56 x 56 3.26 ms, 2.87 so; 8 x 512, 7 x 7 5.8 and 4.1).
#pragma once
#include "cpu/conv/amx_band.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

struct TileConv : TileBand {
  static constexpr int64_t kImageBytes = 640 << 10, kTasks = 16, kFewRows = 4;
  static constexpr int64_t kRun = 26;  // numbers from one channel of a filter to the next that are turned with it

  int64_t channels, blocks, steps;  // with folded taps; of 32; along k
  int64_t pixels;                   // of a band, with all that is read beyond
  int64_t outs, groups;             // blocks of output channels, and of those what a task takes
  bool own;                         // tasks pack their filters

  // Sets whether the taps of a row are channels; an estimate of the cycles for 16 pixels.
  int64_t fold(bool columns) {
    walk(columns);
    channels = C * (columns ? q.window.taps[2] : 1);
    blocks = ceil_div(channels, kTileDepth);
    steps = blocks * walked();
    const int64_t p = parts.count, products = ceil_div(K, kTileRows) * steps * p * (p + 1) / 2;
    return products * 16 + blocks * planes() * (100 + 100 * p);
  }
  // Whether pixels are copied channel by channel before they are packed.
  bool gathered() const { return !folded && stride(1) * q.x.stride[kW] != 1 && q.x.stride[kC] != 1; }

  [[gnu::cold, gnu::noinline]] explicit TileConv(const Problem& problem) : TileBand(problem) {
    const int64_t some = q.window.dilation[2] == 1 && C < kTileDepth ? fold(true) : INT64_MAX;
    if (fold(false) > some) fold(true);
    int64_t rows = H;
    while (rows > 1 && ((rows - 1) * wide + W > kPositions || image_bytes(rows) > kImageBytes) &&
           (rows > kFewRows || image_bytes(rows) > 2 * kImageBytes))
      rows--;
    cut(rows);
    pixels = pixels_of(band);
    outs = ceil_div(K, kBlock);
    own = tasks == 1;
    groups = own ? outs : tasks >= kTasks ? 1 : min64(outs, ceil_div(kTasks, tasks));
  }
  int64_t pixels_of(int64_t rows) const { return (rows + reach) * wide + kBlock; }
  int64_t image_bytes(int64_t rows) const { return blocks * block_bytes(pixels_of(rows)); }
  // Of a block of channels, all its planes and parts.
  int64_t block_bytes(int64_t n) const { return planes() * parts.count * n * kLine; }
  int64_t panel() const { return steps * parts.count * kTileBytes; }

  int64_t table_bytes() const { return align64(steps * int64_t(sizeof(int64_t))); }
  int64_t filter_bytes(int threads) const { return 2 * panel() * (own ? threads : outs); }
  // A worker's sums, where channels of its image lie before; its image.
  int64_t sums_bytes() const { return align64(max64(kBlock * pixels, columns() * C) * int64_t(sizeof(float))); }
  int64_t worker_bytes() const { return sums_bytes() + (groups > 1 ? 0 : shared_bytes()); }
  int64_t shared_bytes() const { return blocks * block_bytes(pixels); }
  int64_t bytes(int threads) const {
    return table_bytes() + filter_bytes(threads) + (groups > 1 ? tasks * shared_bytes() : 0) + threads * worker_bytes();
  }

  // ---- packing ------------------------------------------------------------------------------------------------------
  // Sixteen filters; false if a number is wild. The numbers under the taps lie between those of two channels: filters
  // are turned with them, so that a tap's are rows, outputs or channels in their lanes.
  [[gnu::cold, gnu::noinline]] bool pack_filters(int64_t p, char* to) const {
    alignas(64) uint16_t turned[kRun * kTileDepth * kTileRows];
    const int64_t* s = q.w.stride;
    const int64_t n = min64(kTileRows, K - p * kTileRows), step = folded ? 0 : s[kC];
    // Of the numbers under the taps: the first one, and how many lie between.
    int64_t lo = 0, run = 1;
    for (int d = 0; d < 3; d++) {
      const int64_t end = (taps[d] - 1) * s[kD + d];
      lo += min64(0, end);
      run += end < 0 ? -end : end;
    }
    bool tame = true;
    for (int64_t b = 0; b < blocks; b++) {
      const int64_t depth = min64(kTileDepth, channels - b * kTileDepth);
      const uint16_t* from = (const uint16_t*)q.w.data + p * kTileRows * s[kN] + b * kTileDepth * step;
      Operand x{from, n, depth, s[kN], step};
      int64_t unit = 1, first = 0;  // elements of `x` for one of w
      if (step == 0) {
        x = {turned, n, depth, kTileDepth, 1};
      } else if (step > 1 && step <= kRun && run <= step) {
        transpose_tile(turned, kTileRows, from + lo, s[kN], (depth - 1) * step + run, n);
        x = {turned, n, depth, 1, step * kTileRows};
        unit = kTileRows;
        first = lo;
      } else if (step > 1 && s[kN] > 1 && s[kN] <= kRun && run <= s[kN]) {
        transpose_tile(turned, kTileDepth, from + lo, step, (n - 1) * s[kN] + run, depth);
        x = {turned, n, depth, s[kN] * kTileDepth, 1};
        unit = kTileDepth;
        first = lo;
      }
      const uint16_t* base = (const uint16_t*)x.data;
      for (int64_t t = 0; t < walked(); t++, to += parts.count * kTileBytes) {
        const int64_t tap = filter_shift(t);
        if (step != 0) x.data = base + (tap - first) * unit;
        for (int64_t i = 0; step == 0 && i < n * depth; i++) {  // number by number
          const int64_t k = b * kTileDepth + i % depth;
          turned[i / depth * kTileDepth + i % depth] = from[i / depth * s[kN] + k % C * s[kC] + k / C * s[kW] + tap];
        }
        tame &= parts.pack(x, false, to, 0, 1);
      }
    }
    return tame;
  }

  // n pixels of a row of the image, channels side by side.
  void interleave(uint16_t* to, const uint16_t* from, int64_t n) const {
    const int64_t sc = q.x.stride[kC], sw = q.x.stride[kW];
    if (sc == 1 && sw == C) return copy_bytes((char*)to, (const char*)from, n * C * int64_t(sizeof *to));
    for (int64_t c = 0; c < C; c++)
      for (int64_t i = 0; i < n; i++) to[i * C + c] = from[i * sw + c * sc];
  }

  // Packs the pixels of x, to pixels from `at` on.
  bool pack_pixels(Operand x, char* to, int64_t at) const {
    alignas(64) char tile[2 * kTileBytes];
    const int64_t n = x.size;
    bool tame = true;
    for (int64_t j = 0; j < n; j += kTileRows) {
      x.size = min64(kTileRows, n - j);
      tame &= parts.pack(x, true, tile, 0, 1);
      for (int64_t p = 0; p < parts.count; p++)
        __builtin_memcpy(to + (p * pixels + at + j) * kLine, tile + p * kTileBytes, size_t(x.size * kLine));
      x.data = (const uint16_t*)x.data + kTileRows * x.si;
    }
    return tame;
  }

  // 32 channels of the image under a task's outputs; false if a number is wild. buffer: room of sums_bytes.
  [[gnu::noinline]] bool fill(int64_t task, int64_t b, char* image, uint16_t* buffer) const {
    const Place place = this->place(task);
    const int64_t first = b * kTileDepth, depth = min64(kTileDepth, channels - first), sc = q.x.stride[kC];
    const int64_t x_step = stride(1) * q.x.stride[kW], rows = min64(band, H - place.h) + reach;
    char* to = image + b * block_bytes(pixels);
    bool tame = true;
    for (int64_t p = 0; p < planes(); p++, to += parts.count * pixels * kLine) {
      if (gathered()) {
        __builtin_memset(buffer, 0, size_t(depth * pixels) * sizeof *buffer);
        for (int64_t k = 0; k < depth; k++)
          each_line(place, p, [&](int64_t a, const uint16_t* from, int64_t lo, int64_t hi) {
            copy(buffer + k * pixels + a * wide + lo, from + (first + k) * sc + lo * x_step, hi - lo, x_step);
          });
        tame &= pack_pixels({buffer, rows * wide, depth, 1, pixels}, to, 0);
      } else if (folded) {  // pixels of all their channels, and of those several beside each other
        each_line(place, p, [&](int64_t a, const uint16_t* from, int64_t lo, int64_t hi) {
          clear(buffer, lo, hi, C * int64_t(sizeof *buffer));
          interleave(buffer + lo * C, from + lo * q.x.stride[kW], hi - lo);
          tame &= pack_pixels({buffer + first, W, depth, stride(1) * C, 1}, to, a * wide);
        });
      } else {
        each_line(place, p, [&](int64_t a, const uint16_t* from, int64_t lo, int64_t hi) {
          for (int64_t i = 0; i < parts.count; i++) clear(to + (i * pixels + a * wide) * kLine, lo, hi, kLine);
          tame &= pack_pixels({from + first * sc + lo * x_step, hi - lo, depth, x_step, sc}, to, a * wide + lo);
        });
      }
    }
    return tame;
  }

  // ---- the product --------------------------------------------------------------------------------------------------
  // to (positions, 32) = n output channels of a band.
  void sums(const char* filters, const char* image, const int64_t* step, int64_t n, int64_t positions,
            float* to) const {
    for (int64_t s = 0; s < steps; s += kTileSteps)
      for (int64_t j = 0; j < positions; j += kBlock) {
        alignas(64) float apart[kBlock * kBlock];
        float* d = to + j * kBlock;
        parts.product[positions - j > kTileRows][n > kTileRows](
            min64(kTileSteps, steps - s), {image + j * kLine, step + s, kLine, pixels * kLine, kTileBytes},
            filters + s * parts.count * kTileBytes, panel(), s > 0 ? apart : d, kBlock, false);
        for (int64_t i = 0; s > 0 && i < kBlock * min64(kBlock, positions - j); i += lanes<float>)
          store(d + i, load(d + i) + load(apart + i));
      }
  }

  // 16 channels of a number of pixels of a row, or of rows that lie one after the other, as halves.
  struct Sums {
    const float* at;  // the pixel at hand
    int64_t column, width, skip;
    vf32 bias;
    bool brain;
    __attribute__((always_inline)) vu16h next() {
      const vf32 x = load(at) + bias;
      at += kBlock;
      if (++column == width) {
        at += skip;
        column = 0;
      }
      return brain ? to_bf16(x) : to_f16(x);
    }
  };
  // To channels that lie side by side, and as planes: two pixels at a time are a square's word.
  [[gnu::noinline]] static void pixels_of(Sums s, uint16_t* to, int64_t sw, int64_t pixels, int64_t n) {
    for (int64_t i = 0; i < pixels; i++, to += sw) store_half_n(to, s.next(), n);
  }
  [[gnu::noinline]] static void planes_of(Sums s, uint16_t* to, int64_t sc, int64_t sw, int64_t pixels, int64_t n) {
    constexpr int64_t kMost = 2 * kTileRows;
    for (int64_t j = 0; j < pixels; j += kMost, to += kMost * sw) {
      const int64_t some = min64(kMost, pixels - j);
      vu32 r[kTileRows];
      for (int64_t i = 0; i < kTileRows; i++) {
        const vu32 even = 2 * i < some ? widen(s.next()) : vu32{};
        r[i] = even | (2 * i + 1 < some ? widen(s.next()) << 16 : vu32{});
      }
      transpose(r);
      for (int64_t c = 0; c < n; c++) {
        alignas(64) uint16_t row[kMost];
        if (some == kMost && sw == 1) store((uint32_t*)(to + c * sc), r[c]);
        else store((uint32_t*)row, r[c]);
        if (sw != 1)
          for (int64_t i = 0; i < some; i++) to[c * sc + i * sw] = row[i];
        else if (some < kMost) copy_bytes((char*)(to + c * sc), (const char*)row, some * 2);
      }
    }
  }

  // Output channels [k, k + n) of a band from their sums.
  [[gnu::noinline]] void finish(const Place& place, int64_t k, int64_t n, const float* sums) const {
    const View& y = q.y;
    const int64_t rows = min64(band, H - place.h), sc = y.stride[kC], sh = y.stride[kH], sw = y.stride[kW];
    const bool whole = sh == W * sw;
    alignas(64) float bias[kBlock] = {};
    if (q.bias.data) row_from_fn<float>(q.bias.dtype)(at(q.bias, 0, k), q.bias.stride[0], bias, n);
    uint16_t* const to = (uint16_t*)y.data + place.n * y.stride[kN] + k * sc + place.d * y.stride[kD] + place.h * sh;
    for (int64_t a = 0; a < rows; a += whole ? rows : 1)
      for (int64_t c = 0; c < n; c += kTileRows) {
        const Sums s{sums + a * wide * kBlock + c, 0, W, (wide - W) * kBlock, load(bias + c), y.dtype == DType::bf16};
        const int64_t pixels = whole ? rows * W : W, some = min64(kTileRows, n - c);
        if (sc == 1) pixels_of(s, to + c * sc + a * sh, sw, pixels, some);
        else planes_of(s, to + c * sc + a * sh, sc, sw, pixels, some);
      }
  }

  // False if a number is wild: y is then to be written again.
  [[gnu::cold]] bool run(const Ctx& ctx) const {
    int64_t* const step = (int64_t*)ctx.workspace;
    char* const filters = (char*)step + table_bytes();
    char* const images = filters + filter_bytes(ctx.threads);
    char* const workers = images + (groups > 1 ? tasks * shared_bytes() : 0);
    for (int64_t s = 0; s < steps; s++) {
      const int64_t tap = s % walked();
      step[s] = s / walked() * block_bytes(pixels) + (plane_of(tap) * parts.count * pixels + shift_of(tap)) * kLine;
    }
    bool tame = true;
    auto check = [&](bool good) {
      if (!good) __atomic_store_n(&tame, false, __ATOMIC_RELAXED);
    };
    const int64_t packs = own ? 0 : ceil_div(K, kTileRows), fills = groups > 1 ? tasks * blocks : 0;
    auto prepare = [&](int64_t i, int worker) {
      const int64_t f = i - packs;
      if (f < 0) check(pack_filters(i, filters + i * panel()));
      else
        check(fill(f / blocks, f % blocks, images + f / blocks * shared_bytes(),
                   (uint16_t*)(workers + worker * worker_bytes())));
    };
    parallel_for(ctx, packs + fills, prepare);
    if (!tame) return false;
    parallel_for(ctx, tasks * groups, [&](int64_t i, int worker) {
      const int64_t task = i / groups, group = i % groups;
      const Place at = place(task);
      float* const own_sums = (float*)(workers + worker * worker_bytes());
      char* image = (char*)own_sums + sums_bytes();
      if (groups > 1) image = images + task * shared_bytes();
      else
        for (int64_t b = 0; b < blocks; b++) check(fill(task, b, image, (uint16_t*)own_sums));
      for (int64_t o = outs * group / groups; o < outs * (group + 1) / groups; o++) {
        const int64_t n = min64(kBlock, K - o * kBlock);
        char* mine = filters + 2 * panel() * (own ? worker : o);
        for (int64_t p = 0; own && p < ceil_div(n, kTileRows); p++) check(pack_filters(o * 2 + p, mine + p * panel()));
        tiles_begin();
        sums(mine, image, step, n, (min64(band, H - at.h) - 1) * wide + W, own_sums);
        tiles_end();
        finish(at, o * kBlock, n, own_sums);
      }
    });
    return tame;
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
