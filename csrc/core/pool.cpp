#include "core/pool.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/cgroup.h"
#include "core/storage.h"

#if defined(__x86_64__)
#include <immintrin.h>
static void pause_cpu() { _mm_pause(); }
#else
static void pause_cpu() { asm volatile("yield"); }
#endif

namespace mielina {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr auto kClose = std::chrono::microseconds(20);  // between calls that follow each other closely
constexpr int64_t kMaxPieces = int64_t(1) << 31;

thread_local bool t_inside = false;  // this thread is running a piece

struct Pool {
  std::mutex busy;  // held by the thread whose work it is
  std::atomic<int> threads{1};
  std::atomic<int> spawned{0};  // workers that exist; changed under `busy`
  std::atomic<const char*> source{"affinity"};
  std::atomic<bool> may_spin{true};
  std::atomic<int> parked{0};    // workers that sleep
  Clock::time_point last_brief;  // when a brief call last found them all asleep; under `busy`

  // generation << 32 | pieces left. A piece is claimed by one compare-exchange on this word, so a worker that wakes
  // late can never take a piece of another generation; the fields below are stable while a claimed piece is running.
  std::atomic<uint64_t> ticket{0};
  std::atomic<uint32_t> generation{0};
  std::atomic<uint32_t> done{0};
  std::atomic<int64_t> pieces{0};
  std::atomic<int64_t> front{0};     // pieces taken by the caller, from the first on
  std::atomic<int64_t> back{0};      // pieces taken by workers, from the last on
  std::atomic<int> active_limit{0};  // workers with an index up to this one take part
  std::atomic<Body> body{nullptr};
  std::atomic<void*> arg{nullptr};
  std::mutex error_lock;
  std::exception_ptr error;
#if defined(__linux__)
  std::vector<pthread_t> workers;  // under `busy`, as the two below
  cpu_set_t home;                  // where they may run
  int kept_clear = -1;             // the CPU of these that they leave to the caller
#endif

  // A worker that is woken while another library's threads spin on every other CPU (OpenBLAS's do for 105 ms after
  // each product) is put behind the caller on the caller's own, and the call runs at one core's speed: 512^3 10 ms
  // after a product of NumPy's gave 83 GFLOP/s, with workers that may not use that CPU 163.
  void keep_clear() {
#if defined(__linux__)
    const int cpu = sched_getcpu();
    if (cpu == kept_clear) return;
    kept_clear = cpu;
    cpu_set_t others = home;
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_CLR(cpu, &others);
    if (!CPU_COUNT(&others)) return;
    for (pthread_t worker : workers) pthread_setaffinity_np(worker, sizeof others, &others);
#endif
  }

  bool claim(uint32_t gen, int worker, int64_t& index) {
    uint64_t t = ticket.load(std::memory_order_acquire);
    while (true) {
      if (uint32_t(t >> 32) != gen || uint32_t(t) == 0) return false;
      if (ticket.compare_exchange_weak(t, t - 1, std::memory_order_acq_rel, std::memory_order_acquire)) break;
    }
    // From both ends, so that a core finds in its caches what it wrote in the call before.
    if (worker == 0) index = front.fetch_add(1, std::memory_order_relaxed);
    else index = pieces.load(std::memory_order_relaxed) - 1 - back.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  void work(uint32_t gen, int worker) {
    int64_t i;
    uint32_t mine = 0;
    while (claim(gen, worker, i)) {
      mine++;
      try {
        body.load(std::memory_order_relaxed)(arg.load(std::memory_order_relaxed), i, worker);
      } catch (...) {
        std::lock_guard<std::mutex> hold(error_lock);
        if (!error) error = std::current_exception();
      }
      // Counted piece by piece: once the last one is counted the caller may return and reuse the fields.
      done.fetch_add(1, std::memory_order_acq_rel);
    }
    if (mine && worker && done.load(std::memory_order_acquire) >= uint32_t(pieces.load(std::memory_order_relaxed)))
      done.notify_all();
  }

  void worker_loop(int worker) {
    t_inside = true;
    uint32_t seen = 0;
    while (true) {
      uint32_t gen = generation.load(std::memory_order_acquire);
      if (gen == seen && may_spin) {
        // The clock is read every 32 pauses, the generation after each: a pause takes about 20 ns.
        auto until = Clock::now() + kSpin;
        do {
          for (int i = 0; i < 32 && (gen = generation.load(std::memory_order_acquire)) == seen; i++) pause_cpu();
        } while (gen == seen && Clock::now() < until);
      }
      if (gen == seen) {
        parked.fetch_add(1, std::memory_order_relaxed);
        generation.wait(seen, std::memory_order_acquire);
        parked.fetch_sub(1, std::memory_order_relaxed);
        continue;
      }
      seen = gen;
      if (worker <= active_limit.load(std::memory_order_acquire)) work(gen, worker);
    }
  }

  bool asleep() const {
    const int workers = spawned.load(std::memory_order_relaxed);
    return workers > 0 && parked.load(std::memory_order_relaxed) == workers;
  }

  void spawn(int wanted) {
    while (spawned.load() < wanted) {
      int worker = spawned.load() + 1;
      try {
        std::thread thread([this, worker] { worker_loop(worker); });
#if defined(__linux__)
        if (workers.empty() && sched_getaffinity(0, sizeof home, &home)) CPU_ZERO(&home);
        workers.push_back(thread.native_handle());
        kept_clear = -1;
#endif
        thread.detach();
      } catch (const std::system_error&) {
        return;  // the system refuses more threads: go on with those there are
      }
      spawned.store(worker);
    }
  }

  void run(int64_t n, Body f, void* a, int threads_now) {
    spawn(threads_now - 1);
    keep_clear();
    int helpers = threads_now - 1 < spawned.load() ? threads_now - 1 : spawned.load();
    body.store(f, std::memory_order_relaxed);
    arg.store(a, std::memory_order_relaxed);
    pieces.store(n, std::memory_order_relaxed);
    front.store(0, std::memory_order_relaxed);
    back.store(0, std::memory_order_relaxed);
    done.store(0, std::memory_order_relaxed);
    active_limit.store(helpers, std::memory_order_relaxed);
    uint32_t gen = generation.load(std::memory_order_relaxed) + 1;
    ticket.store(uint64_t(gen) << 32 | uint64_t(n), std::memory_order_release);
    generation.store(gen, std::memory_order_release);
    generation.notify_all();
    t_inside = true;
    work(gen, 0);
    t_inside = false;
    uint32_t d;
    auto until = Clock::now() + kSpin * 4;
    while ((d = done.load(std::memory_order_acquire)) < uint32_t(n)) {
      for (int i = 0; i < 32 && done.load(std::memory_order_acquire) < uint32_t(n); i++) pause_cpu();
      if (Clock::now() > until) done.wait(d, std::memory_order_acquire);
    }
    if (error) [[unlikely]] {
      std::exception_ptr e;
      {
        std::lock_guard<std::mutex> hold(error_lock);
        std::swap(e, error);
      }
      std::rethrow_exception(e);
    }
  }
};

// Never destroyed: workers may be parked in it while static destructors run.
std::atomic<Pool*> g_pool{nullptr};
Pool& pool() {
  Pool* p = g_pool.load(std::memory_order_acquire);
  if (p) return *p;
  static Pool* first = [] {
    Pool* made = new Pool;
    CpuLimit limit = cpu_limit();
    made->threads = limit.threads;
    made->source = limit.source;
    made->may_spin = !limit.fractional;
    g_pool.store(made, std::memory_order_release);
    return made;
  }();
  return *first;
}

}  // namespace

void pool_run(void* most, int64_t n, Body body, void* arg, bool brief) {
  Pool& p = pool();
  int threads = p.threads.load(std::memory_order_relaxed);
  if (most && intptr_t(most) < threads) threads = int(intptr_t(most));
  if (n <= 1 || threads <= 1 || t_inside || n >= kMaxPieces || !p.busy.try_lock()) {
    for (int64_t i = 0; i < n; i++) body(arg, i, 0);
    return;
  }
  std::lock_guard<std::mutex> hold(p.busy, std::adopt_lock);
  if (brief && p.asleep() && Clock::now() - p.last_brief > kClose) {
    for (int64_t i = 0; i < n; i++) body(arg, i, 0);
    p.last_brief = Clock::now();
    return;
  }
  p.run(n, body, arg, threads < n ? threads : int(n));
}

int num_threads() { return pool().threads.load(std::memory_order_relaxed); }

void set_num_threads(int n, const char* source) {
  Pool& p = pool();
  std::lock_guard<std::mutex> hold(p.busy);
  p.threads = n;
  p.source = source;
  CpuLimit limit = cpu_limit();
  p.may_spin = !limit.fractional && n <= limit.threads;
}

const char* num_threads_source() { return pool().source; }

int pool_probe(int threads) {
  struct Meeting {
    std::atomic<int> inside{0}, peak{0};
    int wanted;
  } meeting;
  meeting.wanted = threads;
  int before = num_threads();
  const char* source = num_threads_source();
  set_num_threads(threads, source);
  pool_run(
      nullptr, threads,
      [](void* a, int64_t, int) {
        Meeting& m = *static_cast<Meeting*>(a);
        int here = ++m.inside;
        for (int peak = m.peak; here > peak && !m.peak.compare_exchange_weak(peak, here);) {}
        auto until = Clock::now() + std::chrono::seconds(2);
        while (m.peak < m.wanted && Clock::now() < until) std::this_thread::yield();
        --m.inside;
      },
      &meeting);
  set_num_threads(before, source);
  return meeting.peak.load();
}

static void before_fork() {
  pool().busy.lock();
  allocator_lock();
}
static void after_fork_parent() {
  allocator_unlock();
  pool().busy.unlock();
}
static void after_fork_child() {
  allocator_unlock();
  Pool* old = &pool();
  Pool* made = new Pool;  // the old one's workers do not exist here; its memory is left alone
  made->threads = old->threads.load();
  made->source = old->source.load();
  made->may_spin = old->may_spin.load();
  g_pool.store(made, std::memory_order_release);
  t_inside = false;
}

void install_fork_handlers() {
  static int once = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
  (void)once;
}

}  // namespace mielina
