// The library's face: the kernel table, and the few calls of the CUDA runtime that the host needs.
#include <atomic>

#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

std::atomic<int> g_noted{0};

int count(int32_t* cards) noexcept {
  int n = 0;
  cudaError_t e = cudaGetDeviceCount(&n);
  *cards = e == cudaSuccess ? n : 0;
  return e;
}
int describe(int32_t card, Card* what) noexcept {
  cudaDeviceProp p;
  if (cudaError_t e = cudaGetDeviceProperties(&p, card)) return e;
  *what = {};
  for (int i = 0; i < 255 && p.name[i]; i++) what->name[i] = p.name[i];
  what->major = p.major;
  what->minor = p.minor;
  what->multiprocessors = p.multiProcessorCount;
  what->memory = p.totalGlobalMem;
  return 0;
}
int use(int32_t card) noexcept { return cudaSetDevice(card); }

// Does f with a card in use, and then the thread's own again: a block may be freed from any place.
template <class F>
int on_card(int32_t card, F f) {
  int before = 0;
  if (cudaError_t e = cudaGetDevice(&before)) return e;
  if (cudaError_t e = cudaSetDevice(card)) return e;
  cudaError_t result = f();
  cudaError_t back = cudaSetDevice(before);
  return result != cudaSuccess ? result : back;
}
int memory(int32_t card, uint64_t* free, uint64_t* total) noexcept {
  size_t f = 0, t = 0;
  int code = on_card(card, [&] { return cudaMemGetInfo(&f, &t); });
  *free = f;
  *total = t;
  return code;
}
int allocate(int32_t card, size_t bytes, void** data) noexcept {
  int code = on_card(card, [&] { return cudaMalloc(data, bytes); });
  if (code) cudaGetLastError();  // running out of memory is not sticky: the next launch must not report it again
  return code;
}
int release(int32_t card, void* data) noexcept {
  return on_card(card, [&] { return cudaFree(data); });
}
int copy(void* stream, void* to, const void* from, size_t bytes) noexcept {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream));
}
int set(void* stream, void* to, int byte, size_t bytes) noexcept {
  return cudaMemsetAsync(to, byte, bytes, static_cast<cudaStream_t>(stream));
}
int synchronize(int32_t card) noexcept { return on_card(card, cudaDeviceSynchronize); }

int done(cudaError_t e, bool* done) {
  *done = e == cudaSuccess;
  if (e != cudaErrorNotReady) return e;
  cudaGetLastError();  // not an error
  return 0;
}
cudaStream_t stream_of(void* s) { return static_cast<cudaStream_t>(s); }
cudaEvent_t event_of(void* e) { return static_cast<cudaEvent_t>(e); }

int stream_create(void** s) noexcept { return cudaStreamCreate(reinterpret_cast<cudaStream_t*>(s)); }
int stream_destroy(void* s) noexcept { return cudaStreamDestroy(stream_of(s)); }
int stream_synchronize(void* s) noexcept { return cudaStreamSynchronize(stream_of(s)); }
int stream_query(void* s, bool* ready) noexcept { return done(cudaStreamQuery(stream_of(s)), ready); }
int stream_wait(void* s, void* e) noexcept { return cudaStreamWaitEvent(stream_of(s), event_of(e), 0); }
int event_create(bool timing, void** e) noexcept {
  return cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(e),
                                  timing ? cudaEventDefault : cudaEventDisableTiming);
}
int event_destroy(void* e) noexcept { return cudaEventDestroy(event_of(e)); }
int event_record(void* e, void* s) noexcept { return cudaEventRecord(event_of(e), stream_of(s)); }
int event_synchronize(void* e) noexcept { return cudaEventSynchronize(event_of(e)); }
int event_query(void* e, bool* ready) noexcept { return done(cudaEventQuery(event_of(e)), ready); }
int event_elapsed(void* a, void* b, float* ms) noexcept { return cudaEventElapsedTime(ms, event_of(a), event_of(b)); }

int graph_begin(void* s) noexcept { return cudaStreamBeginCapture(stream_of(s), cudaStreamCaptureModeThreadLocal); }
int graph_end(void* s, void** graph) noexcept {
  cudaGraph_t g = nullptr;
  if (cudaError_t e = cudaStreamEndCapture(stream_of(s), &g)) return e;
  cudaError_t e = cudaGraphInstantiate(reinterpret_cast<cudaGraphExec_t*>(graph), g, 0);
  cudaGraphDestroy(g);
  return e;
}
int graph_launch(void* graph, void* s) noexcept {
  return cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(s));
}
int graph_destroy(void* graph) noexcept { return cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)); }

int take_error() noexcept { return g_noted.load(std::memory_order_relaxed) ? g_noted.exchange(0) : 0; }
const char* error(int code) noexcept {
  return code == kUnsupported ? "an operation that has no CUDA kernel" : cudaGetErrorString(cudaError_t(code));
}

const Kernels* kernels() {
  static const Kernels table = [] {
    Kernels k{};
    fill_conv(k);
    fill_binary(k);
    fill_copy(k);
    fill_logic(k);
    fill_unary(k);
    fill_gemm(k);
    fill_index(k);
    fill_layout(k);
    fill_norm(k);
    fill_optim(k);
    fill_pool(k);
    fill_random(k);
    fill_reduce(k);
    fill_softmax(k);
    return k;
  }();
  return &table;
}

}  // namespace

void note(int code) noexcept {
  int none = 0;
  if (code) g_noted.compare_exchange_strong(none, code);
}

}  // namespace mielina::cuda

extern "C" __attribute__((visibility("default"))) const mielina::cuda::Library* mielina_cuda_library() {
  using namespace mielina::cuda;
  static const Device device{
      count,        describe,      use,          memory,        allocate,       release,
      copy,         set,           synchronize,  stream_create, stream_destroy, stream_synchronize,
      stream_query, stream_wait,   event_create, event_destroy, event_record,   event_synchronize,
      event_query,  event_elapsed, graph_begin,  graph_end,     graph_launch,   graph_destroy,
      take_error,   error};
  static const Library library{kAbi, int64_t(sizeof(mielina::Kernels)), int64_t(sizeof(Device)), kernels(), &device};
  return &library;
}
