#!/usr/bin/env bash
# usage: tests/sanitize.sh address|thread [pytest arguments]
#
# address: AddressSanitizer and UBSan. The C++ stress test with leak detection, then the Python tests with the instrumented
#   module in place of the installed one (default: tests/core tests/ops tests/optim tests/nn).
# thread: ThreadSanitizer on the C++ stress test of pool, allocator, storage, door and kernel tables.
# The exit status is that of the first part that fails.
#
# BUILD: the build folder (default build/sanitize-<what>); MIELINA_LEVELS: "v2;v3;v4" or some of them (default all);
# JOBS: compilers at once; PYTHON: the interpreter.
#
# Leaks are looked for in the stress test only: CPython and NumPy keep memory at exit (interned strings, types, modules),
# and every allocation of ours has their frames above it, so that no suppression could tell the two apart. What Python
# tests may leak is counted by tests/core/test_memory.py. PyTorch is hidden: it is slow under AddressSanitizer, and not ours.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
what=${1:-address}
[ $# -gt 0 ] && shift
case $what in address | thread) ;; *) sed -n 2,9p "$0" | cut -c3-; exit 2 ;; esac
build=${BUILD:-$root/build/sanitize-$what}
python=${PYTHON:-python3}
generator=()
command -v ninja > /dev/null && [ ! -f "$build/Makefile" ] && generator=(-G Ninja)
cmake -S "$root" -B "$build" "${generator[@]}" -DMIELINA_SANITIZE="$what" -DMIELINA_LEVELS="${MIELINA_LEVELS:-}" \
  -DMIELINA_STRESS=ON -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" \
  -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')" > /dev/null
targets=(stress)
[ "$what" = address ] && targets+=(_core)
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target "${targets[@]}" > "$build/build.log" 2>&1 ||
  { tail -40 "$build/build.log"; exit 1; }

export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
if [ "$what" = thread ]; then
  # die_after_fork=0: the stress test forks while its threads work, and its children make no threads of their own.
  TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:die_after_fork=0" "$build/stress"
  exit 0
fi
ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:strict_init_order=1" "$build/stress"

site=$build/site
rm -rf "$site" && mkdir -p "$site" && cp -r "$root/python/mielina" "$site/mielina"
rm -f "$site"/mielina/_core*.so
cp "$build"/_core*.so "$site/mielina/"
echo 'raise ModuleNotFoundError("hidden from the sanitizers")' > "$site/torch.py"
# The runtimes that the module was linked to, and libstdc++, whose exceptions they must see from the start.
runtimes=$(ldd "$build"/_core*.so | awk '/lib(clang_rt\.)?asan|libubsan|libstdc\+\+/ { print $3 }' | tr '\n' ' ')
[ $# -gt 0 ] || set -- "$root"/tests/core "$root"/tests/ops "$root"/tests/optim "$root"/tests/nn
cd "$root"
LD_PRELOAD=$runtimes ASAN_OPTIONS="detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:detect_stack_use_after_return=1" \
  MIELINA_SANITIZED=1 PYTHONPATH=$site PYTHONMALLOC=malloc "$python" -m pytest -q --capture=sys -p no:cacheprovider -o timeout=1200 "$@"
