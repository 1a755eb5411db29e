/* Threads that compute one step of the search together, in one parallel region from the first product to the last:
   between two regions the threads would sleep, and waking them takes longer than a small product. */
#ifndef MASS_TEAM_H
#define MASS_TEAM_H

#include "common.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { SPINS = 1 << 11 }; /* polls of a barrier, about 0.1 ms, before a thread sleeps, as the others may not be running */

typedef struct {
  int waiting, sleeping, round;
} Team;

typedef struct {
  Team *team;
  int thread, threads;
} Member;

/* The part of a loop that one member does. */
typedef struct {
  i64 first, last;
} Share;

static inline Share share(Member me, i64 count) {
  return (Share){count * me.thread / me.threads, count * (me.thread + 1) / me.threads};
}

/* Sleep until the round is over. The kernel compares the round before it sleeps, so that no wake-up is missed. */
static inline void sleep_through(Team *team, int round) {
  __atomic_add_fetch(&team->sleeping, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&team->round, __ATOMIC_SEQ_CST) == round)
    syscall(SYS_futex, &team->round, FUTEX_WAIT_PRIVATE, round, NULL, NULL, 0);
  __atomic_sub_fetch(&team->sleeping, 1, __ATOMIC_SEQ_CST);
}

/* Wait until all members have arrived; what each wrote before is visible to all afterwards. */
static inline void barrier(Member me) {
  Team *team = me.team;
  if (me.threads == 1) return;
  const int round = __atomic_load_n(&team->round, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&team->waiting, 1, __ATOMIC_ACQ_REL) == me.threads) {
    __atomic_store_n(&team->waiting, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&team->round, round + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&team->sleeping, __ATOMIC_SEQ_CST))
      syscall(SYS_futex, &team->round, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    return;
  }
  for (int spins = 0; spins < SPINS; spins++) {
    if (__atomic_load_n(&team->round, __ATOMIC_ACQUIRE) != round) return;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }
  sleep_through(team, round);
}

/* Called by every thread of a parallel region, with the team that they share, initially {0}. */
static inline Member join_team(Team *team) {
  Member me = {team, 0, 1};
#ifdef _OPENMP
  me.thread = omp_get_thread_num(), me.threads = omp_get_num_threads();
#endif
  return me;
}

#endif
