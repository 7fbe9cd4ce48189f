// Functions of _core: positional, without keywords or overloads, bound straight to CPython's vectorcall. A call costs
// about 60 ns beside 250 ns through a general dispatcher; the argument types are read off the C++ signature.
//
//   def<&ops::softmax>(m, "softmax", "x, dim, log");
#pragma once
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bind/tensor.h"
#include "core/device.h"
#include "core/error.h"

namespace mielina::bind {

void set_python_error();  // from the C++ exception being handled
bool no_kernel_raised();  // whether the Python error that is set is a NoKernel

// ---- arguments ------------------------------------------------------------------------------------------------------
// From<T>::get(object) -> T. Type error with what was expected; the caller adds the function's name and the position.
template <class T>
struct From;

[[noreturn]] inline void wrong_type(const char* expected, PyObject* got) {
  fail(Kind::Type, "expected ", expected, ", got ", Py_TYPE(got)->tp_name);
}

template <>
struct From<Array> {
  static constexpr const char* name = "Tensor";
  static const Array& get(PyObject* o) {
    if (!is_tensor(o)) [[unlikely]]
      wrong_type("a Tensor", o);
    return as_tensor(o)->array;
  }
};
template <>
struct From<int64_t> {
  static constexpr const char* name = "int";
  static int64_t get(PyObject* o) {
    if (PyFloat_Check(o)) wrong_type("an int", o);
    PyObject* i = PyLong_CheckExact(o) ? Py_NewRef(o) : PyNumber_Index(o);
    if (!i) {
      PyErr_Clear();
      wrong_type("an int", o);
    }
    int64_t v = PyLong_AsLongLong(i);
    Py_DECREF(i);
    if (v == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      fail(Kind::Overflow, "integer does not fit 64 bits");
    }
    return v;
  }
};
template <>
struct From<int> {
  static constexpr const char* name = "int";
  static int get(PyObject* o) {
    int64_t v = From<int64_t>::get(o);
    check(v == int(v), Kind::Overflow, "integer ", v, " does not fit 32 bits");
    return int(v);
  }
};
template <>
struct From<double> {
  static constexpr const char* name = "float";
  static double get(PyObject* o) {
    double v = PyFloat_AsDouble(o);
    if (v == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      wrong_type("a float", o);
    }
    return v;
  }
};
template <>
struct From<bool> {
  static constexpr const char* name = "bool";
  static bool get(PyObject* o) {
    if (o == Py_True) return true;
    if (o == Py_False) return false;
    int v = PyObject_IsTrue(o);
    if (v < 0) {
      PyErr_Clear();
      wrong_type("a bool", o);
    }
    return v != 0;
  }
};
template <>
struct From<std::string> {
  static constexpr const char* name = "str";
  static std::string get(PyObject* o) {
    if (!PyUnicode_Check(o)) wrong_type("a str", o);
    Py_ssize_t n;
    const char* s = PyUnicode_AsUTF8AndSize(o, &n);
    if (!s) {
      PyErr_Clear();
      fail(Kind::Value, "a str with lone surrogates");
    }
    return std::string(s, size_t(n));
  }
};
template <>
struct From<DType> {
  static constexpr const char* name = "dtype";
  static DType get(PyObject* o) { return dtype_from(o); }
};
// A tuple or list of ints, or one int.
template <>
struct From<Dims> {
  static constexpr const char* name = "int | Sequence[int]";
  static Dims get(PyObject* o) {
    Dims d;
    if (PyTuple_Check(o)) {
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); i++) d.push(From<int64_t>::get(PyTuple_GET_ITEM(o, i)));
    } else if (PyList_Check(o)) {
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); i++) d.push(From<int64_t>::get(PyList_GET_ITEM(o, i)));
    } else {
      d.push(From<int64_t>::get(o));
    }
    return d;
  }
};
// A tensor, or a Python number.
template <>
struct From<Operand> {
  static constexpr const char* name = "Tensor | float";
  static Operand get(PyObject* o) {
    if (is_tensor(o)) return {&as_tensor(o)->array, {}, {}};
    if (PyFloat_Check(o)) return {nullptr, {PyFloat_AS_DOUBLE(o), 0, false}, DType::f64};
    if (PyBool_Check(o)) return {nullptr, {double(o == Py_True), o == Py_True, true}, DType::b8};
    if (PyLong_Check(o)) return {nullptr, integer(o), DType::i64};
    wrong_type("a Tensor or a number", o);
  }
  // Up to 2^64 - 1, as in PyTorch: beside integers the upper half wraps.
  static Number integer(PyObject* o) {
    int overflow;
    int64_t v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (!overflow) return {double(v), v, true};
    uint64_t u = overflow > 0 ? PyLong_AsUnsignedLongLong(o) : 0;
    if (overflow < 0 || PyErr_Occurred()) {
      PyErr_Clear();
      fail(Kind::Runtime, "an integer beyond 64 bits");
    }
    return {double(u), int64_t(u), true};
  }
};
template <>
struct From<Number> {
  static constexpr const char* name = "float";
  static Number get(PyObject* o) {
    Operand n = From<Operand>::get(o);
    if (n.array) wrong_type("a number", o);
    return n.number;
  }
};
template <class T>
struct From<std::optional<T>> {
  static constexpr const char* name = From<T>::name;
  static std::optional<T> get(PyObject* o) {
    if (o == Py_None) return std::nullopt;
    return From<T>::get(o);
  }
};
template <class T>
struct From<std::vector<T>> {
  static constexpr const char* name = "Sequence";
  static std::vector<T> get(PyObject* o) {
    if (!PyTuple_Check(o) && !PyList_Check(o)) wrong_type("a tuple or list", o);
    Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    std::vector<T> v;
    v.reserve(size_t(n));
    for (Py_ssize_t i = 0; i < n; i++) v.push_back(From<T>::get(PySequence_Fast_GET_ITEM(o, i)));
    return v;
  }
};
struct Object {
  PyObject* p;
};  // a borrowed reference, passed through
template <>
struct From<Object> {
  static constexpr const char* name = "object";
  static Object get(PyObject* o) { return {o}; }
};

// ---- results --------------------------------------------------------------------------------------------------------
inline PyObject* to_python(Array&& a) { return wrap(std::move(a)); }
inline PyObject* to_python(bool b) { return PyBool_FromLong(b); }
inline PyObject* to_python(int v) { return PyLong_FromLong(v); }
inline PyObject* to_python(int64_t v) { return PyLong_FromLongLong(v); }
inline PyObject* to_python(uint64_t v) { return PyLong_FromUnsignedLongLong(v); }
inline PyObject* to_python(double v) { return PyFloat_FromDouble(v); }
inline PyObject* to_python(const char* s) { return PyUnicode_FromString(s); }
inline PyObject* to_python(const std::string& s) { return PyUnicode_FromStringAndSize(s.data(), Py_ssize_t(s.size())); }
inline PyObject* to_python(DType d) { return Py_NewRef(g_dtypes[int(d)]); }
inline PyObject* to_python(PyObject* o) { return o; }  // already a new reference
PyObject* to_python(const Dims& d);
template <class A, class B>
PyObject* to_python(std::pair<A, B>&& p);
template <class T>
PyObject* to_python(std::vector<T>&& v);
template <class... T>
PyObject* to_python(std::tuple<T...>&& t);

inline bool pack(PyObject* tuple, Py_ssize_t i, PyObject* item) {
  if (!item) return false;
  PyTuple_SET_ITEM(tuple, i, item);
  return true;
}
template <class... T>
PyObject* to_python(std::tuple<T...>&& t) {
  PyObject* r = PyTuple_New(sizeof...(T));
  if (!r) return nullptr;
  bool ok = [&]<size_t... I>(std::index_sequence<I...>) {
    return (pack(r, Py_ssize_t(I), to_python(std::move(std::get<I>(t)))) && ...);
  }(std::index_sequence_for<T...>());
  if (ok) return r;
  Py_DECREF(r);
  return nullptr;
}
template <class A, class B>
PyObject* to_python(std::pair<A, B>&& p) {
  return to_python(std::tuple<A, B>(std::move(p.first), std::move(p.second)));
}
template <class T>
PyObject* to_python(std::vector<T>&& v) {
  PyObject* r = PyTuple_New(Py_ssize_t(v.size()));
  for (size_t i = 0; r && i < v.size(); i++)
    if (!pack(r, Py_ssize_t(i), to_python(std::move(v[i])))) Py_CLEAR(r);
  return r;
}

// ---- devices --------------------------------------------------------------------------------------------------------
// New arrays are made where an op's inputs are: on the card if one of them is on a card, on the CPU if all are there.
// -1 without inputs: the thread's default stays. The check that they agree stands at the door (core/launch.h).
inline int32_t device_among(const Array& a) { return a.device(); }
inline int32_t device_among(const MaybeArray& a) { return a ? a->device() : -1; }
inline int32_t device_among(const Operand& o) { return o.array ? o.array->device() : -1; }
inline int32_t device_among(const std::vector<Array>& list) {
  int32_t device = -1;
  for (const Array& a : list) device = a.device() > device ? a.device() : device;
  return device;
}
template <class T>
int32_t device_among(const T&) {
  return -1;
}
template <class... T>
int32_t device_of_inputs(const T&... x) {
  int32_t device = -1;
  for (int32_t d : {-1, device_among(x)...}) device = d > device ? d : device;
  return device < 0 ? current_device() : device;
}

// ---- binding --------------------------------------------------------------------------------------------------------
template <class F>
struct Signature;
template <class R, class... A>
struct Signature<R (*)(A...)> {
  using Result = R;
  using Args = std::tuple<std::decay_t<A>...>;
  static constexpr size_t count = sizeof...(A);
  template <class T>
  static constexpr bool array = std::is_same_v<T, Array> || std::is_same_v<T, MaybeArray> ||
                                std::is_same_v<T, Operand> || std::is_same_v<T, std::vector<Array>>;
  static constexpr bool takes_arrays = (array<std::decay_t<A>> || ...);
};

template <class T>
const char* result_name() {
  if constexpr (std::is_void_v<T>) return "None";
  else if constexpr (std::is_same_v<T, Array>) return "Tensor";
  else if constexpr (std::is_same_v<T, bool>) return "bool";
  else if constexpr (std::is_integral_v<T>) return "int";
  else if constexpr (std::is_same_v<T, double>) return "float";
  else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, const char*>) return "str";
  else if constexpr (std::is_same_v<T, std::vector<Array>>) return "tuple[Tensor, ...]";
  else if constexpr (std::is_same_v<T, std::pair<Array, Array>>) return "tuple[Tensor, Tensor]";
  else return "Any";
}

[[noreturn]] void wrong_count(const char* function, size_t expected, Py_ssize_t got);
void blame(const char* function, size_t argument);  // adds "f: argument 2" to the Python error that is set

// One object a bound function: its name, for messages, lives in a static of the instantiation.
template <auto F>
struct Bound {
  using S = Signature<decltype(F)>;
  static inline const char* name = "";
  template <size_t I>
  static decltype(auto) take(PyObject* const* args, size_t& at) {
    at = I + 1;
    return From<std::tuple_element_t<I, typename S::Args>>::get(args[I]);
  }
  static PyObject* call(PyObject*, PyObject* const* args, Py_ssize_t n) {
    size_t at = 0;
    try {
      if (n != Py_ssize_t(S::count)) wrong_count(name, S::count, n);
      return [&]<size_t... I>(std::index_sequence<I...>) -> PyObject* {
        // Braces fix the order of evaluation, so `at` names the argument that failed.
        std::tuple<decltype(take<I>(args, at))...> got{take<I>(args, at)...};
        at = 0;
        auto run = [&]() -> PyObject* {
          if constexpr (std::is_void_v<typename S::Result>) {
            F(std::get<I>(got)...);
            Py_RETURN_NONE;
          } else {
            return to_python(F(std::get<I>(got)...));
          }
        };
        if constexpr (S::takes_arrays) {
          if (g_cards) [[unlikely]] {
            On device(device_of_inputs(std::get<I>(got)...));
            return run();
          }
        }
        return run();
      }(std::make_index_sequence<S::count>());
    } catch (...) {
      set_python_error();
      if (at) blame(name, at);
      return nullptr;
    }
  }
};

void add_function(PyObject* module, const char* name, PyCFunction f, const std::string& doc, PyObject* self = nullptr);

struct Parameter {
  const char* type;
  bool optional;
};
template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

// The doc line of a function, a Python signature with types: tools/stubs.py makes _core.pyi of it. `names` are those of
// the parameters, with commas between them.
std::string signature(const char* name, const char* names, std::initializer_list<Parameter> parameters,
                      const char* result);

template <auto F>
void def(PyObject* module, const char* name, const char* parameters) {
  using S = Signature<decltype(F)>;
  Bound<F>::name = name;
  [&]<class... T>(std::type_identity<std::tuple<T...>>) {
    add_function(module, name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&Bound<F>::call)),
                 signature(name, parameters, {{From<T>::name, is_optional<T>}...}, result_name<typename S::Result>()));
  }(std::type_identity<typename S::Args>{});
}

}  // namespace mielina::bind
