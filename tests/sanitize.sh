#!/usr/bin/env bash
# Builds the core under AddressSanitizer + UBSan and runs the kernel and core tests in it; then the C++ stress test of pool,
# allocator, storage and launch under ThreadSanitizer. usage: tests/sanitize.sh [address|thread] [pytest arguments]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
what=${1:-address}
shift || true
build="$root/build/sanitize-$what"
python=${PYTHON:-python3}
cmake -S "$root" -B "$build" -DMIELINA_SANITIZE="$what" -DMIELINA_LEVELS="${MIELINA_LEVELS:-v3}" -DMIELINA_STRESS=ON \
  -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')" > /dev/null
cmake --build "$build" -j "$(nproc)" > "$build/build.log" 2>&1 || { tail -40 "$build/build.log"; exit 1; }
if [ "$what" = thread ]; then
  TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" "$build/stress"
  exit 0
fi
"$build/stress"
# The package as it is, with the instrumented module in place of the installed one.
site="$build/site"
rm -rf "$site" && mkdir -p "$site" && cp -r "$root/python/mielina" "$site/mielina"
rm -f "$site"/mielina/_core*.so && cp "$build"/_core*.so "$site/mielina/"
# CPython keeps memory at exit: leaks are looked for in the C++ stress test instead.
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 \
  UBSAN_OPTIONS=print_stacktrace=1 MIELINA_SANITIZED=1 PYTHONPATH="$site" PYTHONMALLOC=malloc \
  "$python" -m pytest -x -q -p no:cacheprovider "${@:-$root/tests/core}"
