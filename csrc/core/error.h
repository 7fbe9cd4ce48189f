// Errors that become Python exceptions of the same name, and a small message builder.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace mielina {

// NoKernel: the device has no code for the op; a fused op then runs its composite.
enum class Kind { Value, Type, Index, Runtime, Memory, NotImplemented, Overflow, Buffer, NoKernel };

struct Error : std::runtime_error {
  Error(Kind k, const std::string& what) : std::runtime_error(what), kind(k) {}
  Kind kind;
};

// fail(Kind::Value, "matmul: expected ", a, " but got ", b)
template <class... Parts>
[[noreturn]] void fail(Kind kind, const Parts&... parts) {
  std::ostringstream s;
  (s << ... << parts);
  throw Error(kind, s.str());
}
template <class... Parts>
void check(bool ok, Kind kind, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(kind, parts...);
}

}  // namespace mielina
