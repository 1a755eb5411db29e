/* Threads that compute one step of the search together, from its first product to its last, in one parallel region:
   between two regions they would fall asleep, and waking them up takes longer than a small product. */
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

enum { SPINS = 1 << 11 }; /* looks at the others' progress, about 0.1 ms, before a thread sleeps: they may not run */

typedef struct {
  int waiting, sleeping, round;
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
  return (Share){count * me.thread / me.threads, count * (me.thread + 1) / me.threads};
}

/* Sleep until the round is over. The system looks at the round once more before, so that no waking is missed. */
static inline void sleep_through(Team *team, int round) {
  __atomic_add_fetch(&team->sleeping, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&team->round, __ATOMIC_SEQ_CST) == round)
    syscall(SYS_futex, &team->round, FUTEX_WAIT_PRIVATE, round, NULL, NULL, 0);
  __atomic_sub_fetch(&team->sleeping, 1, __ATOMIC_SEQ_CST);
}

/* Wait until all members have come here; what each wrote before is seen by all after. */
static inline void meet(Member me) {
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

/* To be called by every thread of a parallel region, with the team that they share, {0} at first. */
static inline Member join_team(Team *team) {
  Member me = {team, 0, 1};
#ifdef _OPENMP
  me.thread = omp_get_thread_num(), me.threads = omp_get_num_threads();
#endif
  return me;
}

#endif
