#include "core/device.h"

#include <cmath>
#include <utility>

#include "core/cuda.h"
#include "core/launch.h"

namespace mielina {

bool g_cards = false;
static thread_local int32_t t_device = 0;

int32_t current_device() { return t_device; }
On::On(int32_t device) : before_(t_device) { t_device = device; }
On::~On() { t_device = before_; }

int32_t set_current_device(int32_t device) {
  check_device(device);
  return std::exchange(t_device, device);
}

std::string device_name(int32_t device) { return device == 0 ? "cpu" : "cuda:" + std::to_string(device - 1); }

void check_device(int32_t device) {
  check(device >= 0, Kind::Runtime, "no device number ", device);
  if (device) cuda_device(device - 1);
}

void wrong_devices(const char* name, int32_t a, int32_t b) {
  fail(Kind::Runtime, name, ": expected all tensors on one device, got ", device_name(a), " and ", device_name(b));
}

void copy_bytes(int32_t to_device, void* to, int32_t from_device, const void* from, size_t bytes) {
  if (bytes == 0) return;
  if (to_device == 0 && from_device == 0) {
    std::memcpy(to, from, bytes);
    return;
  }
  // In the order of the source's stream, after what makes it; then of the target's, before what uses it.
  const int32_t card = (from_device ? from_device : to_device) - 1;
  const cuda::Device& table = cuda_device(card);
  void* stream = cuda_use(card);
  if (from_device && to_device && from_device != to_device) {
    // The target's card may still read what the memory held before.
    cuda_check(table.stream_synchronize(cuda_stream(to_device - 1)));
  }
  cuda_check(table.copy(stream, to, from, bytes));
  if (from_device) cuda_check(table.stream_synchronize(stream));
  cuda_check(table.take_error());
}

static double half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  double v = exponent == 31  ? (mantissa ? NAN : INFINITY)
             : exponent == 0 ? std::ldexp(mantissa, -24)
                             : std::ldexp(mantissa + 1024, exponent - 25);
  return bits >> 15 ? -v : v;
}
static double bfloat_value(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float v;
  std::memcpy(&v, &wide, sizeof v);
  return double(v);
}

Number read_number(const Array& x) {
  auto real = [](double d) { return Number{d, 0, false}; };
  auto whole = [](int64_t i) { return Number{double(i), i, true}; };
  const Array one = as_strided(x, {}, {}, x.offset);
  switch (x.dtype) {
    case DType::f32: return real(double(read<float>(one)));
    case DType::f64: return real(read<double>(one));
    case DType::f16: return real(half_value(read<uint16_t>(one)));
    case DType::bf16: return real(bfloat_value(read<uint16_t>(one)));
    case DType::i64: return whole(read<int64_t>(one));
    case DType::i32: return whole(read<int32_t>(one));
    case DType::i16: return whole(read<int16_t>(one));
    case DType::i8: return whole(read<int8_t>(one));
    case DType::u8: return whole(read<uint8_t>(one));
    case DType::b8: break;
  }
  return whole(read<uint8_t>(one) != 0);
}

// x in some dense order without negative strides: itself, or a copy made where it is.
static Array packed(const Array& x) {
  bool dense = is_dense(x);
  for (int d = 0; d < x.ndim; d++) dense &= x.stride[d] >= 0 || x.shape[d] == 1;
  if (dense) return x;
  On there(x.device());
  Array y = empty(x.dims(), x.dtype);
  launch<&Kernels::copy>("contiguous", out(y), in(x));
  return y;
}

void transfer(const Array& to, const Array& from) {
  Array source = packed(from);
  if (source.dtype != to.dtype || !same_layout(source, to) || !is_dense(to)) {
    // What does not fit byte for byte is brought into form on the target's side.
    Array there = to_device(source, to.device());
    On target(to.device());
    launch<&Kernels::copy>("copy_", out(to), in(there));
    return;
  }
  to.storage->version++;
  door::Call call;
  call.name = "transfer";
  call.bytes = 2.0 * double(to.numel()) * to.itemsize();
  call.outs.push_back(to.storage);
  call.ins.push_back(source.storage);
  call.run = [to_at = to.device(), from_at = source.device(), p = to.data(), q = source.data(),
              n = size_t(to.numel()) * size_t(to.itemsize())] { copy_bytes(to_at, p, from_at, q, n); };
  if (door::t_watch) door::watched(std::move(call));
  else call.run();
}

Array to_device(const Array& x, int32_t device) {
  if (x.device() == device) return x;
  check_device(device);
  Array source = packed(x), y;
  {
    On there(device);
    y = empty_like(source);
  }
  if (!same_layout(source, y)) {  // dense, but in an order that a new array does not take
    On here(x.device());
    Array plain = empty(x.dims(), x.dtype);
    launch<&Kernels::copy>("contiguous", out(plain), in(x));
    source = plain;
  }
  transfer(y, source);
  return y;
}

Array on_host(const Array& x) {
  Array y = to_device(x, 0);
  if (is_contiguous(y)) return y;
  On here(0);
  Array plain = empty(y.dims(), y.dtype);
  launch<&Kernels::copy>("contiguous", out(plain), in(y));
  return plain;
}

}  // namespace mielina
