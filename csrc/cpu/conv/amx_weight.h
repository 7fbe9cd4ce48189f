// The gradient of the filters of halves on AMX's tiles: rows are output channels, columns channels of the image under
// one tap, and k runs along the pixels of a band, 32 at a time. A lane of a tile holds two pixels 16 apart, and a tap
// moves them by any number: the image is packed once from every sixteenth pixel on, each number twice, and a tap's
// tiles are 16 lines of 16 channels that begin anywhere. Between rows the gradient of the output is zero, so that no
// number may be infinite there: such calls are left to the level below.
//
// Where dw is small, a task goes through bands of its own and adds to a sum of its own; else all work at one band and
// cut dw.
#pragma once
#include "cpu/conv/amx_band.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

struct TileGradient : TileBand {
  static constexpr int64_t kSumBytes = 1 << 20, kPieces = 16, kTogether = 4096;

  int64_t joined;             // whole images in a band
  int64_t image, pixels;      // of an image of the band; of the band, with all that is read beyond
  int64_t steps, line;        // of 32 pixels; pixels of a channel before it is packed
  int64_t outs, ins, pieces;  // blocks of 32 channels of y and x; sums
  bool alone;                 // whether a piece is one task

  static int64_t sum_bytes(int64_t outs, int64_t ins, int64_t taps) { return outs * ins * taps * kBlock * kBlock * 4; }
  [[gnu::cold, gnu::noinline]] explicit TileGradient(const Problem& problem) : TileBand(problem) {
    walk(false);
    outs = ceil_div(K, kBlock);
    ins = ceil_div(C, kBlock);
    alone = sums() <= kSumBytes;
    const int64_t most = alone ? kPositions : kTogether, rows = max64(1, min64(H, most / wide));
    cut(rows);
    image = (band + reach) * wide;
    joined = rows == H && q.y.shape[kD] == 1 ? max64(1, min64(q.y.shape[kN], most / image)) : 1;
    tasks = ceil_div(q.y.shape[kN], joined) * q.y.shape[kD] * bands;
    steps = ceil_div((joined - 1) * image + (band - 1) * wide + W, kTileDepth);
    pixels = steps * kTileDepth + shift_of(walked() - 1) + kTileRows;
    pixels = ceil_div(pixels, kTileRows) * kTileRows;
    line = max64(pixels, joined * image) + kTileDepth;
    pieces = alone ? min64(tasks, kPieces) : 1;
  }
  int64_t sums() const { return sum_bytes(outs, ins, walked()); }
  int64_t x_panel() const { return planes() * parts.count * pixels * kLine; }  // of 16 channels
  int64_t g_panel() const { return steps * parts.count * kTileBytes; }
  int64_t line_bytes() const { return align64(kTileRows * line * int64_t(sizeof(uint16_t))); }
  int64_t band_bytes() const { return 2 * ins * x_panel() + 2 * outs * g_panel(); }
  int64_t table_bytes() const { return align64(steps * int64_t(sizeof(int64_t))); }
  int64_t bytes(int threads) const {
    return table_bytes() + pieces * sums() + threads * line_bytes() + (alone ? threads : 1) * band_bytes();
  }

  // Whether none of n halves, whose count is padded to whole vectors, is infinite or not a number.
  bool finite(const uint16_t* p, int64_t n) const {
    const vu32 most = splat<vu32>(q.x.dtype == DType::bf16 ? 0x7f80u : 0x7c00u);
    vi32 bad{};
    for (int64_t i = 0; i < n; i += 2 * lanes<float>) {
      const vu32 two = load((const uint32_t*)(p + i));
      bad |= ((two & most) == most) | ((two >> 16 & most) == most);
    }
    return !any_lane(bad);
  }

  // 16 channels of the image under a band, of all planes.
  [[gnu::noinline]] bool pack_image(int64_t task, int64_t block, char* to, uint16_t* lines) const {
    const int64_t c = block * kTileRows, n = min64(kTileRows, C - c), sc = q.x.stride[kC];
    const int64_t step = stride(1) * q.x.stride[kW];
    bool tame = true;
    for (int64_t p = 0; p < planes(); p++, to += parts.count * pixels * kLine) {
      __builtin_memset(lines, 0, size_t(line_bytes()));
      each_image(task, [&](const Place& place, int64_t at) {
        each_line(place, p, [&](int64_t a, const uint16_t* from, int64_t lo, int64_t hi) {
          uint16_t* row = lines + at + a * wide + lo;
          from += c * sc + lo * step;
          if (sc == 1) transpose_tile(row, line, from, step, n, hi - lo);
          else
            for (int64_t k = 0; k < n; k++) copy(row + k * line, from + k * sc, hi - lo, step);
        });
      });
      tame &= finite(lines, n * line);
      for (int64_t i = 0; i < pixels; i += kTileRows) {
        alignas(64) char tile[2 * kTileBytes];
        tame &= parts.pack({lines + i, n, kTileDepth, line, 1}, false, tile, 0, 1);
        for (int64_t part = 0; part < parts.count; part++)
          __builtin_memcpy(to + (part * pixels + i) * kLine, tile + part * kTileBytes, kTileBytes);
      }
    }
    return tame;
  }
  // 16 channels of the gradient of a band's outputs.
  [[gnu::noinline]] bool pack_gradient(int64_t task, int64_t block, char* to, uint16_t* lines) const {
    const View& g = q.y;
    const int64_t c = block * kTileRows, n = min64(kTileRows, K - c), sc = g.stride[kC], sw = g.stride[kW];
    __builtin_memset(lines, 0, size_t(line_bytes()));
    each_image(task, [&](const Place& place, int64_t at) {
      const uint16_t* from =
          (const uint16_t*)g.data + place.n * g.stride[kN] + place.d * g.stride[kD] + place.h * g.stride[kH] + c * sc;
      for (int64_t a = 0; a < min64(band, H - place.h); a++, from += g.stride[kH]) {
        uint16_t* row = lines + at + a * wide;
        if (sc == 1) transpose_tile(row, line, from, sw, n, W);
        else
          for (int64_t k = 0; k < n; k++) copy(row + k * line, from + k * sc, W, sw);
      }
    });
    return finite(lines, n * line) & parts.pack({lines, n, steps * kTileDepth, line, 1}, true, to, 0, 1);
  }
  template <class F>
  void each_image(int64_t task, F f) const {
    if (joined == 1) return f(place(task), 0);
    for (int64_t i = 0; i < min64(joined, q.y.shape[kN] - task * joined); i++)
      f(Place{task * joined + i, 0, 0}, i * image);
  }

  // Adds a band's share, or puts it there, to blocks o of output channels.
  void multiply(int64_t o, const char* band, const int64_t* step, float* sum, bool add) const {
    tiles_begin();
    const char* const g = band + 2 * ins * x_panel() + 2 * o * g_panel();
    for (int64_t c = 0; c < ins; c++)
      for (int64_t t = 0; t < walked(); t++) {
        const char* x = band + 2 * c * x_panel() + (plane_of(t) * parts.count * pixels + shift_of(t)) * kLine;
        parts.turned(steps, {x, step, kLine, pixels * kLine, x_panel()}, g, g_panel(),
                     sum + ((o * ins + c) * walked() + t) * kBlock * kBlock, kBlock, add);
      }
    tiles_end();
  }

  // dw of 32 output channels from the sums of all pieces.
  [[gnu::noinline]] void finish(int64_t o, float* sum) const {
    const View& w = q.w;
    const RowTo<float> row_to = row_to_fn<float>(w.dtype);
    for (int64_t c = 0; c < ins; c++)
      for (int64_t t = 0; t < walked(); t++) {
        float* s = sum + ((o * ins + c) * walked() + t) * kBlock * kBlock;
        for (int64_t p = 1; p < pieces; p++)
          for (int64_t i = 0; i < kBlock * kBlock; i += lanes<float>)
            store(s + i, load(s + i) + load(s + p * (sums() / 4) + i));
        for (int64_t r = 0; r < min64(kBlock, K - o * kBlock); r++)
          row_to(s + r * kBlock,
                 (uint16_t*)w.data + (o * kBlock + r) * w.stride[kN] + c * kBlock * w.stride[kC] + filter_shift(t),
                 w.stride[kC], min64(kBlock, C - c * kBlock));
      }
  }

  // False if a number is wild or infinite: dw is then to be written again.
  [[gnu::cold]] bool run(const Ctx& ctx) const {
    int64_t* const step = (int64_t*)ctx.workspace;
    float* const sum = (float*)((char*)step + table_bytes());
    char* const lines = (char*)sum + pieces * sums();
    char* const packed = lines + ctx.threads * line_bytes();
    for (int64_t s = 0; s < steps; s++) step[s] = s * kTileDepth * kLine;
    const int64_t gs = ceil_div(K, kTileRows), xs = ceil_div(C, kTileRows);
    bool tame = true;
    auto pack = [&](int64_t task, int64_t i, char* to, int worker) {
      uint16_t* own = (uint16_t*)(lines + worker * line_bytes());
      const bool good = i < xs ? pack_image(task, i, to + i * x_panel(), own)
                               : pack_gradient(task, i - xs, to + 2 * ins * x_panel() + (i - xs) * g_panel(), own);
      if (!good) __atomic_store_n(&tame, false, __ATOMIC_RELAXED);
    };
    if (alone)
      parallel_for(ctx, pieces, [&](int64_t p, int worker) {
        char* to = packed + worker * band_bytes();
        for (int64_t b = tasks * p / pieces, first = b; b < tasks * (p + 1) / pieces; b++) {
          for (int64_t i = 0; i < xs + gs; i++) pack(b, i, to, worker);
          for (int64_t o = 0; o < outs; o++) multiply(o, to, step, sum + p * (sums() / 4), b > first);
        }
      });
    for (int64_t b = 0; !alone && tame && b < tasks; b++) {
      parallel_for(ctx, xs + gs, [&](int64_t i, int worker) { pack(b, i, packed, worker); });
      parallel_for(ctx, outs, [&](int64_t o, int) { multiply(o, packed, step, sum, b > 0); });
    }
    if (tame) parallel_for(ctx, outs, [&](int64_t o, int) { finish(o, sum); });
    return tame;
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
