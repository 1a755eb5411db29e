#include "team.h"

#include "workers.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
  SPINS = 1 << 11,     /* polls before a thread sleeps, below 0.1 ms: to sleep and wake takes longer than most waits */
  BUSY_SPINS = 1 << 6, /* the same while the processor counts as shared */
  PARTS = 8            /* a thread takes one of so many parts for each thread of the items that are left */
};

/* In nanoseconds. The system runs a thread for some milliseconds before it gives the processor to another one. */
enum {
  GAP = 1000000,          /* if some items took longer, the thread may have been interrupted, for so long or longer */
  AGAIN = 50000000,       /* the processor counts as shared if that happens twice within so long ... */
  BUSY = 1000000000,      /* ... and then for so long after an interruption */
  QUANTUM = 100000,       /* a thread that shares the processor gives way after so long ... */
  NAP = 1000              /* ... for as short a time as the system measures, 0.05 ms or more */
};

void futex_wait(int *word, int value) { syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0); }

void futex_wake(int *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0); }

void announce_event(Team *team) {
  __atomic_add_fetch(&team->events, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&team->sleeping, __ATOMIC_SEQ_CST)) futex_wake(&team->events);
}

void sleep_until_event(Team *team, int seen) {
  __atomic_add_fetch(&team->sleeping, 1, __ATOMIC_SEQ_CST);
  futex_wait(&team->events, seen); /* the system compares before the thread sleeps, so that no event is missed */
  __atomic_sub_fetch(&team->sleeping, 1, __ATOMIC_SEQ_CST);
}

static i64 nanoseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (i64)time.tv_sec * 1000000000 + time.tv_nsec;
}

void begin_running(Progress *progress) {
  progress->running = progress->looked = progress->checked = nanoseconds(CLOCK_MONOTONIC);
  progress->used = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
}

void nap(Progress *progress) {
  const struct timespec time = {0, NAP};
  nanosleep(&time, NULL);
  begin_running(progress);
}

/* Called if the last items took long: whether another process had the processor meanwhile. Short interruptions, of
   which there are some on every machine, and single ones do not count. */
static void notice_others(Progress *progress, i64 time) {
  const i64 used = nanoseconds(CLOCK_THREAD_CPUTIME_ID), lost = time - progress->checked - (used - progress->used);
  progress->checked = time, progress->used = used;
  if (lost < GAP) return;
  if (time - progress->interrupted < AGAIN || time < progress->busy_until) progress->busy_until = time + BUSY;
  progress->interrupted = time;
}

/* Called between two items. A thread that shares its processor with other processes is interrupted sooner or later:
   it sleeps now, while it holds no items and so delays nobody. The system counts that in its favour. */
static void give_way(Member me) {
  Progress *progress = me.progress;
  const i64 time = nanoseconds(CLOCK_MONOTONIC), before = progress->looked;
  progress->looked = time;
  if (time - before > GAP) {
    notice_others(progress, time);
    progress->running = time;
  }
  if (time >= progress->busy_until || time - progress->running < QUANTUM) return;
  if (me.thread)
    progress->leaving = GIVES_WAY;
  else
    nap(progress);
}

static i64 loop_of(uint64_t ticket) { return (i64)(ticket >> 32); }

/* The member has done some items of a loop; whoever does the last ones begins the next loop. */
static void finish(Member me, i64 items, i64 count) {
  Team *team = me.team;
  if (__atomic_add_fetch(&team->done, items, __ATOMIC_ACQ_REL) < count) return;
  __atomic_store_n(&team->done, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&team->ticket, (uint64_t)(me.progress->loop + 1) << 32, __ATOMIC_SEQ_CST);
  announce_event(team);
}

static int take_next(Member me, i64 count, i64 least, Share *some) {
  uint64_t ticket = __atomic_load_n(&me.team->ticket, __ATOMIC_ACQUIRE);
  while (loop_of(ticket) == me.progress->loop) {
    const i64 next = (i64)(uint32_t)ticket, left = count - next, part = left / (PARTS * me.threads) / least * least;
    if (left == 0) return 0;
    const i64 items = min_of(part > least ? part : least, left);
    if (__atomic_compare_exchange_n(&me.team->ticket, &ticket, ticket + (uint64_t)items, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
      *some = (Share){next, next + items};
      return 1;
    }
  }
  return 0;
}

/* Wait for the items that others hold. Member 0 sleeps here; another one leaves, and then sleeps. */
static void wait_for_others(Member me) {
  Progress *progress = me.progress;
  const int most = progress->looked < progress->busy_until ? BUSY_SPINS : SPINS;
  for (int spins = 0;; spins++) {
    progress->events = __atomic_load_n(&me.team->events, __ATOMIC_SEQ_CST);
    if (loop_of(__atomic_load_n(&me.team->ticket, __ATOMIC_SEQ_CST)) != progress->loop) return;
    if (spins < most) {
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#endif
    } else if (me.thread) {
      progress->leaving = SLEEPS;
      return;
    } else {
      sleep_until_event(me.team, progress->events);
      begin_running(progress);
    }
  }
}

int take(Member me, i64 count, i64 least, Share *some) {
  const Share before = *some;
  if (count == 0) return 0;
  if (me.threads == 1) {
    *some = (Share){0, count};
    return before.last == 0;
  }
  if (before.last) {
    finish(me, before.last - before.first, count);
    give_way(me);
  }
  if (me.progress->leaving == STAYS) {
    if (take_next(me, count, least, some)) return 1;
    wait_for_others(me);
  }
  me.progress->loop++;
  return 0;
}
