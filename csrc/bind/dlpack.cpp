// DLPack: memory shared with other array libraries, without a copy in either direction. The structures are those of
// version 1.0 of the standard; consumers that ask for no version get the older, unversioned form.
#include "bind/families.h"
#include "bind/fast.h"
#include "core/launch.h"

namespace mielina::bind {
namespace {

struct DLDevice {
  int32_t type, id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  static constexpr const char *name = "dltensor", *used = "used_dltensor";
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor*);
};
struct DLManagedTensorVersioned {
  static constexpr const char *name = "dltensor_versioned", *used = "used_dltensor_versioned";
  uint32_t major, minor;
  void* context;
  void (*deleter)(DLManagedTensorVersioned*);
  uint64_t flags;
  DLTensor tensor;
};
constexpr uint64_t kReadOnly = 1, kCopied = 2;
enum { kCpu = 1, kCuda = 2, kCudaHost = 3 };

struct Code {
  DType dtype;
  uint8_t code, bits;
};
const Code kCodes[] = {{DType::f32, 2, 32}, {DType::f64, 2, 64}, {DType::f16, 2, 16}, {DType::bf16, 4, 16},
                       {DType::i64, 0, 64}, {DType::i32, 0, 32}, {DType::i16, 0, 16}, {DType::i8, 0, 8},
                       {DType::u8, 1, 8},   {DType::b8, 6, 8}};

// ---- export ---------------------------------------------------------------------------------------------------------
template <class Managed>
struct Export {
  Managed managed{};
  Array array;
};

template <class Managed>
void release_export(Managed* m) {
  if (!Py_IsInitialized()) return;  // the memory may be a Python object's, and those are gone
  PyGILState_STATE s = PyGILState_Ensure();
  delete static_cast<Export<Managed>*>(m->context);
  PyGILState_Release(s);
}

template <class Managed>
PyObject* capsule_of(const Array& x, uint64_t flags) {
  auto* e = new Export<Managed>{{}, x};
  DLTensor& t = e->managed.tensor;
  t.data = e->array.data();
  if (x.device()) t.device = {kCuda, x.device() - 1};
  else t.device = {kCpu, 0};
  t.ndim = x.ndim;
  for (auto& c : kCodes)
    if (c.dtype == x.dtype) t.dtype = {c.code, c.bits, 1};
  t.shape = e->array.shape;
  t.strides = e->array.stride;
  e->managed.context = e;
  e->managed.deleter = release_export<Managed>;
  if constexpr (requires { e->managed.flags; }) {
    e->managed.major = 1;
    e->managed.minor = 0;
    e->managed.flags = flags;
  }
  PyObject* capsule = PyCapsule_New(&e->managed, Managed::name, [](PyObject* c) {
    if (!PyCapsule_IsValid(c, Managed::name)) return;  // a consumer renamed it and owns it now
    auto* m = static_cast<Managed*>(PyCapsule_GetPointer(c, Managed::name));
    m->deleter(m);
  });
  if (!capsule) delete e;
  return capsule;
}

PyObject* to_dlpack(const Array& x, bool versioned, bool copied) {
  refuse_while_recording("__dlpack__()");
  bool readonly = x.storage->readonly;
  check(versioned || !readonly, Kind::Buffer,
        "__dlpack__: the tensor shares read-only memory, which only consumers of DLPack 1.0 and later understand; "
        "clone() it first");
  if (versioned) return capsule_of<DLManagedTensorVersioned>(x, (readonly ? kReadOnly : 0) | (copied ? kCopied : 0));
  return capsule_of<DLManagedTensor>(x, 0);
}

// ---- import ---------------------------------------------------------------------------------------------------------
template <class Managed>
void release_import(void* owner) {
  if (!Py_IsInitialized()) return;
  auto* m = static_cast<Managed*>(owner);
  if (!m->deleter) return;
  PyGILState_STATE s = PyGILState_Ensure();
  m->deleter(m);
  PyGILState_Release(s);
}

DType dtype_of(const DLDataType& d) {
  for (auto& c : kCodes)
    if (c.code == d.code && c.bits == d.bits && d.lanes == 1) return c.dtype;
  fail(Kind::Buffer, "from_dlpack: no tensor dtype for DLPack type code ", int(d.code), " of ", int(d.bits),
       " bits and ", d.lanes, " lanes");
}

template <class Managed>
Array adopt_capsule(PyObject* capsule, bool readonly) {
  auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::name));
  const DLTensor& t = m->tensor;
  check(t.device.type == kCpu || t.device.type == kCudaHost || t.device.type == kCuda, Kind::Buffer,
        "from_dlpack: expected memory of the CPU or a CUDA card, got device type ", t.device.type);
  const int32_t device = t.device.type == kCuda ? 1 + t.device.id : 0;
  check_device(device);
  check(t.ndim >= 0 && t.ndim <= kMaxDims, Kind::Buffer, "from_dlpack: tensors have at most ", int(kMaxDims),
        " dimensions, got ", t.ndim);
  Array a;
  a.dtype = dtype_of(t.dtype);
  a.ndim = t.ndim;
  int64_t low = 0, high = 0, dense = 1;
  bool none = false;
  for (int d = t.ndim - 1; d >= 0; d--) {
    check(t.shape[d] >= 0, Kind::Buffer, "from_dlpack: negative size ", t.shape[d]);
    a.shape[d] = t.shape[d];
    a.stride[d] = t.strides ? t.strides[d] : dense;
    dense *= t.shape[d];
    none |= t.shape[d] == 0;
    if (!none) (a.stride[d] < 0 ? low : high) += a.stride[d] * (t.shape[d] - 1);
  }
  if (none) low = high = 0;
  char* data = static_cast<char*>(t.data) + t.byte_offset;
  check(none || reinterpret_cast<uintptr_t>(data) % uintptr_t(a.itemsize()) == 0, Kind::Buffer,
        "from_dlpack: the memory is not aligned to its item size");
  a.storage = adopt(data + low * a.itemsize(), none ? 0 : size_t(high - low + 1) * size_t(a.itemsize()), readonly, m,
                    release_import<Managed>, device);
  a.offset = -low;
  PyCapsule_SetName(capsule, Managed::used);
  return a;
}

Array from_capsule(Object o) {
  using New = DLManagedTensorVersioned;
  if (PyCapsule_IsValid(o.p, New::name)) {
    auto* m = static_cast<New*>(PyCapsule_GetPointer(o.p, New::name));
    check(m->major == 1, Kind::Buffer, "from_dlpack: expected DLPack 1.x, got version ", m->major, ".", m->minor);
    return adopt_capsule<New>(o.p, m->flags & kReadOnly);
  }
  check(PyCapsule_IsValid(o.p, DLManagedTensor::name), Kind::Type,
        "from_dlpack: expected a DLPack capsule that nobody has used yet, got ", Py_TYPE(o.p)->tp_name);
  return adopt_capsule<DLManagedTensor>(o.p, false);
}

}  // namespace

void add_dlpack(PyObject* m) {
  def<&to_dlpack>(m, "to_dlpack", "x, versioned, copied");
  def<&from_capsule>(m, "from_capsule", "capsule");
}

}  // namespace mielina::bind
