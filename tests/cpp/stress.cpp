// Stress of pool, allocator, storage and launch, for the sanitizers: several threads work at once, each result is
// checked.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "core/launch.h"
#include "core/pool.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/reduce.h"

using namespace mielina;

static void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

static Array full(const Dims& shape, double v) {
  Array a = empty(shape, DType::f32);
  ops::fill(a, Number{v, 0, false});
  return a;
}

static float first(const Array& a) { return *reinterpret_cast<const float*>(a.data()); }

// Ops of many sizes, results passed through views and copies, freed in another order.
static void work(int seed) {
  std::vector<Array> kept;
  for (int i = 0; i < 60; i++) {
    int64_t n = 1 + (seed * 7919 + i * 104729) % 200000;
    Array a = full({n}, 1), b = full({n}, 2);
    Array c = ops::binary(Binary::add, {&a, {}, {}}, {&b, {}, {}});
    Array s = ops::sum(c, {}, false, std::nullopt);
    require(first(s) == float(3 * n), "sum of a sum");
    kept.push_back(as_strided(c, {1}, {1}, n - 1));
    if (kept.size() > 8) kept.erase(kept.begin() + i % 8);
    Array x = full({33, 40}, 1), y = full({40, 21}, 1);
    require(first(ops::matmul(x, y)) == 40, "matmul");
  }
  for (auto& k : kept) require(first(k) == 3, "kept view");
}

// Pieces run once each, exceptions reach the caller, nested calls run inline.
static void pool_semantics() {
  for (int round = 0; round < 2000; round++) {
    std::atomic<int> hits[97] = {};
    pool_run(nullptr, 97, [](void* a, int64_t i, int) { static_cast<std::atomic<int>*>(a)[i]++; }, hits);
    for (auto& h : hits) require(h == 1, "each piece once");
  }
  bool caught = false;
  try {
    pool_run(
        nullptr, 64,
        [](void*, int64_t i, int) {
          if (i == 13) fail(Kind::Value, "thirteen");
        },
        nullptr);
  } catch (const Error& e) { caught = e.kind == Kind::Value; }
  require(caught, "an exception of a piece");
  std::atomic<int> inner{0};
  pool_run(
      nullptr, 8,
      [](void* a, int64_t, int) {
        pool_run(nullptr, 8, [](void* b, int64_t, int) { (*static_cast<std::atomic<int>*>(b))++; }, a);
      },
      &inner);
  require(inner == 64, "nested pieces");
}

static void captured() {
  Ref<Recording> r = record_begin();
  Array x = full({1000}, 1), y = full({1000}, 1);
  for (int i = 0; i < 10; i++) y = ops::binary(Binary::add, {&y, {}, {}}, {&x, {}, {}});
  record_end();
  for (int i = 0; i < 5; i++) replay(*r.get());
  require(first(y) == 11, "replay");
}

int main() {
  install_fork_handlers();
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads, "stress");
    require(pool_probe(threads) == threads, "so many threads run");
    pool_semantics();
    captured();
    std::thread team[4];
    for (int i = 0; i < 4; i++) team[i] = std::thread(work, i + 1);
    for (auto& t : team) t.join();
  }
#if !defined(__SANITIZE_THREAD__)  // ThreadSanitizer itself does not survive threads made after a fork
  pid_t child = fork();
  if (child == 0) {
    work(9);
    _exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  require(status == 0, "work in a forked child");
#endif
  empty_cache();
  std::puts("stress: ok");
  return 0;
}
