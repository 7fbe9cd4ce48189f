// The thread pool: n pieces of work, claimed one by one by the caller and the workers. Which thread runs a piece is
// left to chance, so a piece's result must not depend on it.
#pragma once
#include <cstdint>

namespace mielina {

using Body = void (*)(void* arg, int64_t i, int worker);

// body(arg, i, worker) for every i in [0, n). Runs inline when the pool is busy with another thread's work or when
// called from inside a body. An exception of a body reaches the caller after all pieces have ended.
//
// most: worker < most, whatever set_num_threads said since (a call's scratch is cut by thread before it begins, and a
// recorded call keeps its scratch); null: as many as there are.
//
// brief: the whole is a matter of some 40 us, not worth waking a worker that sleeps (10 us for the caller), unless such
// calls follow each other closely.
void pool_run(void* most, int64_t n, Body body, void* arg, bool brief = false);

int num_threads();
void set_num_threads(int n, const char* source);
const char* num_threads_source();

// How many threads were inside one piece of work at the same moment when `threads` of them were asked to meet.
int pool_probe(int threads);

// Installs the handlers that hold every lock over fork() and give the child a pool without workers.
void install_fork_handlers();

}  // namespace mielina
