// Packers: an operand of a product as panels, in the order in which the micro-kernel reads them.
//
// A packer has: size (rows of A, columns of B) cut into panels() of `width`; valid(p) of them in panel p;
// in_place(p, k) a panel that needs no packing, or data == nullptr; and pack(to, step, p, k0, kc), which writes element
// (i, k0 + k) of panel p to to[k * step + i] and zeros where valid(p) <= i < step.
#pragma once
#include "cpu/block.h"
#include "cpu/gemm/micro.h"
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {

// The first n of a vector of T, from storage of type S.
template <class T, class S>
MIELINA_INLINE Vec<T> load_as(const S* p, int64_t n) {
  constexpr int L = lanes<T>;
  if constexpr (__is_same(S, T)) return load_part(p, n);
  else if constexpr (__is_same(S, half_t)) return from_f16(n == L ? load_half(p) : load_half_n(p, n));
  else if constexpr (__is_same(S, bfloat_t)) return from_bf16(n == L ? load_half(p) : load_half_n(p, n));
  else {
    // Bytes and words in steps that gcc 12 has instructions for; in one step it takes the lanes one by one.
    typename VecOf<S, L * sizeof(S)>::type narrow{};
    if (n == L) __builtin_memcpy(&narrow, p, sizeof narrow);
    else __builtin_memcpy(&narrow, p, size_t(n) * sizeof(S));
    const auto words = __builtin_convertvector(narrow, typename VecOf<int16_t, L * 2>::type);
    const auto ints = __builtin_convertvector(words, typename VecOf<int32_t, L * 4>::type);
    return __builtin_convertvector(ints, Vec<T>);
  }
}

template <class T, class S>
MIELINA_INLINE T element_as(const S* p) {
  if constexpr (__is_same(S, T)) return *p;
  else return element<T>(p);
}

// A strided matrix of storage type S, read as Op::In.
template <class Op, class S>
struct Strided {
  using In = typename Op::In;
  static constexpr int L = lanes<In>;
  const S* data;
  int64_t size, depth;  // depth: K in elements
  int64_t si, sk;
  int64_t width;

  int64_t panels() const { return ceil_div(size, width); }
  int64_t valid(int64_t p) const { return min64(width, size - p * width); }
  Panel<In> in_place(int64_t p, int64_t k) const {
    if constexpr (__is_same(S, In)) return {data + p * width * si + k * sk, si, sk};
    else return {nullptr, 0, 0};
  }

  // n neighbours along i (or along k) from element (i, k), or of pairs (k, k + 1).
  Vec<In> along_i(const S* p, int64_t k, int64_t n) const {
    if constexpr (Op::Depth == 1) return load_as<In>(p, n);
    else {
      vu32 lo = widen(load_half_n(p, n)), hi{};
      if (k + 1 < depth) hi = widen(load_half_n(p + sk, n)) << 16;
      return lo | hi;
    }
  }
  Vec<In> along_k(const S* p, int64_t k, int64_t n) const {
    if constexpr (Op::Depth == 1) return load_as<In>(p, n);
    else {
      Vec<In> v{};
      __builtin_memcpy(&v, p, size_t(min64(2 * n, depth - k)) * sizeof(S));
      return v;
    }
  }
  In at(const S* p, int64_t k) const {
    if constexpr (Op::Depth == 2) return p->bits | (k + 1 < depth ? uint32_t(p[sk].bits) << 16 : 0u);
    else return element_as<In>(p);
  }

  // A whole vector along k.
  MIELINA_INLINE Vec<In> whole_k(const S* p) {
    if constexpr (Op::Depth == 1) return load_as<In>(p, L);
    else {
      Vec<In> v;
      __builtin_memcpy(&v, p, sizeof v);
      return v;
    }
  }

  __attribute__((noinline)) void pack(In* to, int64_t step, int64_t p, int64_t k0, int64_t kc) const {
    const int64_t n = valid(p);
    const S* from = data + p * width * si + k0 * Op::Depth * sk;
    if constexpr (Op::real || __is_same(S, In)) {
      if (si == 1) return pack_rows(to, step, from, n, k0 * Op::Depth, kc);
      if (sk == 1) return pack_columns(to, step, from, n, k0 * Op::Depth, kc);
    }
    for (int64_t k = 0; k < kc; k++)
      for (int64_t i = 0; i < step; i++)
        to[k * step + i] = i < n ? at(from + i * si + k * Op::Depth * sk, (k0 + k) * Op::Depth) : In(0);
  }

  // `count` panels of A from p on, `apart` elements from one to the next. Where k's rows run across them, four are read
  // for all panels, while the next four are fetched: panel by panel lines were read twice, each after a wait.
  __attribute__((noinline)) void pack_group(In* to, int64_t apart, int64_t p, int64_t count, int64_t k0,
                                            int64_t kc) const {
    constexpr int64_t kLine = 64 / sizeof(S);
    const int64_t rows = si == 1 ? 4 : kc;
    for (int64_t k = 0; k < kc; k += rows) {
      const S* next = data + p * width + (k0 + k + rows) * Op::Depth * sk;
      for (int64_t r = 0; r < rows && k + 2 * rows <= kc; r++, next += Op::Depth * sk)
        for (int64_t i = 0; i < count * width; i += kLine) __builtin_prefetch(next + i);
      for (int64_t i = p; i < p + count; i++) {
        const int64_t n = min64(rows, kc - k), step = valid(i);
        In* at = to + (i - p) * apart + k * step;
        const int64_t done = copy_rows(at, i, k0 + k, n, kc - k);
        if (done < n) pack(at + done * step, step, i, k0 + k + done, n - done);
      }
    }
  }

  // The first of n rows of panel i, as many as can be copied in whole vectors: what is too much is covered by the next
  // of `left` rows. With AVX2's parts of vectors, six numbers in two stores after two branches, 768 x 1024 x 256 of
  // A^T B took 1.1 times as long on one core of a Zen 3.
  int64_t copy_rows(In* to, int64_t i, int64_t k, int64_t n, int64_t left) const {
    int64_t r = 0;
    if constexpr (VBYTES == 32 && Op::real && __is_same(S, In)) {
      const int64_t step = valid(i), cut = (step + L - 1) / L * L;
      const S* from = data + i * width + k * sk;
      if (si == 1 && step < cut && i * width + cut <= size)
        for (const int64_t end = min64(n, left + 1 - ceil_div(cut, step)); r < end; r++, to += step, from += sk)
          for (int64_t j = 0; j < step; j += L) store(to + j, load(from + j));
    }
    return r;
  }

  // i runs through memory: copy rows. The last vector of a row may be cut by the panel's width.
  void pack_rows(In* to, int64_t step, const S* from, int64_t n, int64_t k0, int64_t kc) const {
    for (int64_t k = 0; k < kc; k++, to += step, from += Op::Depth * sk)
      for (int64_t i = 0; i < step; i += L) {
        const int64_t have = min64(L, n - i), room = min64(L, step - i);
        Vec<In> v = have > 0 ? along_i(from + i, k0 + k * Op::Depth, have) : Vec<In>{};
        if (room == L) store(to + i, v);
        else store_n(to + i, v, room);
      }
  }

  // k runs through memory: transpose squares, the last ones of a row first. A panel of A is narrower than its vectors:
  // whole ones are written all the same where the next rows cover what is too much.
  void pack_columns(In* to, int64_t step, const S* from, int64_t n, int64_t k0, int64_t kc) const {
    for (int64_t i = (step - 1) / L * L; i >= 0; i -= L) {
      const int64_t have = min64(L, n - i), room = min64(L, step - i);
      int64_t row[L], k = 0;
      for (int j = 0; j < L; j++) row[j] = (i + min64(j, have - 1)) * si;
      const int64_t end = have == room && k0 + kc * Op::Depth <= depth ? kc + 1 - ceil_div(i + L, step) : 0;
      for (; k + L <= end; k += L) {
        Vec<In> r[L];
#pragma GCC unroll 16
        for (int j = 0; j < L; j++) r[j] = whole_k(from + row[j] + k * Op::Depth);
        transpose(r);
#pragma GCC unroll 16
        for (int j = 0; j < L; j++) store(to + (k + j) * step + i, r[j]);
      }
      for (; k < kc; k += L) {
        const int64_t wide = min64(L, kc - k);
        Vec<In> r[L];
        for (int j = 0; j < L; j++)
          r[j] = j < have ? along_k(from + row[j] + k * Op::Depth, k0 + k * Op::Depth, wide) : Vec<In>{};
        transpose_apart(r);
        for (int j = 0; j < wide; j++) store_n(to + (k + j) * step + i, r[j], room);
      }
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
