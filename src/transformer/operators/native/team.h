/* Threads that compute one step of the search together, from its first product to its last, in one parallel region:
   between two kernels of their own they would fall asleep, and waking them up takes longer than a small product. */
#ifndef MASS_TEAM_H
#define MASS_TEAM_H

#include "common.h"

#include <sched.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { SPINS = 1 << 14 }; /* looks at a neighbour's progress before the processor is offered to others */

typedef struct {
  int waiting, round;
} Team;

typedef struct {
  Team *team;
  int thread, threads;
} Member;

/* Part of a count that falls to one member. */
typedef struct {
  i64 first, last;
} Share;

static inline Share share(Member me, i64 count) {
  const i64 threads = me.threads;
  return (Share){count * me.thread / threads, count * (me.thread + 1) / threads};
}

/* Wait until all members have come here; what each wrote before is seen by all after. */
static inline void meet(Member me) {
  Team *team = me.team;
  if (me.threads == 1) return;
  const int round = __atomic_load_n(&team->round, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&team->waiting, 1, __ATOMIC_ACQ_REL) == me.threads) {
    __atomic_store_n(&team->waiting, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&team->round, round + 1, __ATOMIC_RELEASE);
    return;
  }
  for (int spins = 0; __atomic_load_n(&team->round, __ATOMIC_ACQUIRE) == round; spins++) {
    if (spins >= SPINS) sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    else __builtin_ia32_pause();
#endif
  }
}

/* To be called by every thread of a parallel region, with the team that they share, {0} at first. */
static inline Member join_team(Team *team) {
  Member me = {team, 0, 1};
#ifdef _OPENMP
  me.thread = omp_get_thread_num(), me.threads = omp_get_num_threads();
#endif
  return me;
}

#endif
