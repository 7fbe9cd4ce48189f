// Stress of pool, allocator, storage, door and kernel tables, for the sanitizers: several threads work at once, and
// each result is checked. All numbers are small integers, so that every order of a sum gives the same.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
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

// ---- the interpreter's lock, as the binding has it: a client holds it, and the door lets go of it in a long kernel
// ------
static std::mutex g_lock;
static thread_local bool t_holds = false;

static void* let_go() {
  if (!t_holds) return nullptr;
  t_holds = false;
  g_lock.unlock();
  return &g_lock;
}
static void take_again(void* state) {
  if (!state) return;
  g_lock.lock();
  t_holds = true;
}

struct Held {
  Held() { take_again(&g_lock); }
  ~Held() { let_go(); }
};

// ---- work -----------------------------------------------------------------------------------------------------------
static Array full(const Dims& shape, double v) {
  Array a = empty(shape, DType::f32);
  ops::fill(a, Number{v, 0, false});
  return a;
}
static Array add(const Array& a, const Array& b) { return ops::binary(Binary::add, {&a, {}, {}}, {&b, {}, {}}); }
static float first(const Array& a) { return *reinterpret_cast<const float*>(a.data()); }

// Ops of many sizes, results passed through views and copies, freed in another order.
static void work(int seed, int rounds = 60) {
  std::vector<Array> kept;
  for (int i = 0; i < rounds; i++) {
    int64_t n = 1 + (seed * 7919 + i * 104729) % 200000;
    Array a = full({n}, 1), b = full({n}, 2);
    Array c = add(a, b);
    Array s = ops::sum(c, {}, false, std::nullopt);
    require(first(s) == float(3 * n), "sum of a sum");
    kept.push_back(as_strided(c, {1}, {1}, n - 1));
    if (kept.size() > 8) kept.erase(kept.begin() + i % 8);
    Array x = full({33, 40}, 1), y = full({40, 21}, 1);
    require(first(ops::matmul(x, y)) == 40, "matmul");
    if (i % 16 == 0) {  // long enough to let go of the lock, and cut into pieces with scratch for each thread
      Array p = full({150, 300}, 1), q = full({300, 170}, 2);
      require(first(ops::matmul(p, q)) == 600, "a large matmul");
    }
  }
  for (auto& k : kept) require(first(k) == 3, "kept view");
}

template <class F>
static void team(int n, F f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < n; i++) threads.emplace_back(f, i);
  for (auto& t : threads) t.join();
}

// Pieces run once each, exceptions reach the caller, nested calls run inline.
static void pool_semantics(int rounds) {
  for (int round = 0; round < rounds; round++) {
    std::atomic<int> hits[97] = {};
    pool_run(nullptr, 97, [](void* a, int64_t i, int) { static_cast<std::atomic<int>*>(a)[i]++; }, hits);
    for (auto& h : hits) require(h == 1, "each piece once");
  }
  std::atomic<int> inner{0};
  pool_run(
      nullptr, 8,
      [](void* a, int64_t, int) {
        pool_run(nullptr, 8, [](void* b, int64_t, int) { (*static_cast<std::atomic<int>*>(b))++; }, a);
      },
      &inner);
  require(inner == 64, "nested pieces");
  // Whole ops inside a piece: allocation, kernels and views on the workers.
  pool_run(nullptr, 8, [](void*, int64_t i, int) { work(int(i), 2); }, nullptr);
}

static void exceptions(int rounds) {
  for (int round = 0; round < rounds; round++) {
    int caught = -1;
    try {
      pool_run(
          nullptr, 64,
          [](void* a, int64_t i, int) {
            if (i % 13 == *static_cast<int*>(a)) fail(Kind::Value, "piece ", i);
          },
          &round);
    } catch (const Error& e) { caught = int(e.kind); }
    require(caught == int(Kind::Value), "an exception of a piece");
    try {
      Array x = full({3, 4}, 1);
      ops::matmul(x, x);
      require(false, "shapes that do not fit");
    } catch (const Error&) {}
  }
}

static void captured(int calls) {
  Ref<Recording> r = record_begin();
  Array x = full({1000}, 1), y = full({1000}, 1);
  for (int i = 0; i < calls; i++) y = add(y, x);
  Array p = full({150, 300}, 1), q = full({300, 170}, 2), z = ops::matmul(p, q);
  record_end();
  for (int i = 0; i < 5; i++) replay(*r.get());
  require(first(y) == float(1 + calls) && first(z) == 600, "replay");
}

// One array, and views of it, copied and dropped by all.
static void shared_storage() {
  Array a = full({4096}, 5);
  team(4, [&](int k) {
    for (int i = 0; i < 3000; i++) {
      Array copy = a, view = as_strided(copy, {16}, {1}, (i + k) % 4000);
      require(first(view) == 5, "a shared element");
      Array moved = std::move(copy);
      if (i % 50 == 0) require(first(add(view, moved.numel() ? view : moved)) == 10, "a sum of shared elements");
    }
  });
  require(a.storage->refs.load() == 1, "references of a shared storage");
}

// Clients with the lock, as Python threads are, while others change the number of threads and the instruction set,
// empty the cache, record and replay.
static void clients() {
  door::g_unlock = let_go;
  door::g_lock = take_again;
  std::atomic<bool> done{false};
  std::thread meddler([&] {
    auto levels = isa_levels();
    for (int i = 0; !done; i++) {
      Held held;
      set_num_threads(1 + i % 7, "stress");
      if (levels[size_t(i) % levels.size()].supported) set_isa(levels[size_t(i) % levels.size()].name);
      if (i % 5 == 0) empty_cache();
      if (i % 7 == 0) captured(3);
      require(memory_stats().in_use < memory_stats().limit, "memory in use");
    }
  });
  team(4, [](int k) {
    for (int i = 0; i < 12; i++) {
      Held held;
      work(k + i, 4);
    }
  });
  done = true;
  meddler.join();
  door::g_unlock = nullptr;
  door::g_lock = nullptr;
}

// The child of a process whose other threads are at work has whole locks, its own pool and all kernels.
static void fork_while_busy(int times) {
  std::atomic<bool> done{false};
  std::vector<std::thread> busy;
  for (int k = 0; k < 3; k++)
    busy.emplace_back([&, k] {
      while (!done) work(k, 3);
    });
  for (int i = 0; i < times; i++) {
    pid_t child = fork();
    if (child == 0) {
#if defined(__SANITIZE_THREAD__)  // ThreadSanitizer does not survive threads made after a fork
      set_num_threads(1, "stress");
#endif
      work(9, 10);
      _exit(0);
    }
    require(child > 0, "fork");
    int status = 1;
    waitpid(child, &status, 0);
    require(status == 0, "work in a forked child");
  }
  done = true;
  for (auto& t : busy) t.join();
}

int main() {
  install_fork_handlers();
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads, "stress");
    require(pool_probe(threads) == threads, "so many threads run");
    pool_semantics(1000);
    exceptions(13);
    captured(10);
    team(4, [](int k) { work(k + 1); });
    team(3, [](int k) { k == 0 ? pool_semantics(300) : k == 1 ? exceptions(13) : captured(10); });
    shared_storage();
  }
  clients();
  set_num_threads(3, "stress");
  fork_while_busy(8);
  empty_cache();
  require(memory_stats().in_use == 0, "all memory came back");
  std::puts("stress: ok");
  return 0;
}
