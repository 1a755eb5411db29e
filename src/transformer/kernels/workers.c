/* The threads that help with a program, and how they join and leave it. */
#include "workers.h"

#include <pthread.h>
#include <signal.h>

enum { MOST_THREADS = 256, OPEN = 1 << 30 };

static struct {
  pthread_mutex_t lock; /* held by the thread whose program runs */
  int threads;          /* of a program, with that thread; 0 before the first one */
  int number;           /* of the program */
  int inside;           /* workers that are in the program; with OPEN, others may join */
  void (*program)(Member me, void *argument);
  void *argument;
  Team team;
  Progress caller;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Run the present program as `me`; returns 0 if it is complete already. */
static int join_program(Member me) {
  int inside = __atomic_load_n(&pool.inside, __ATOMIC_SEQ_CST);
  do
    if (!(inside & OPEN)) return 0;
  while (!__atomic_compare_exchange_n(&pool.inside, &inside, inside + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  me.progress->loop = 0, me.progress->leaving = STAYS;
  pool.program(me, pool.argument);
  if (__atomic_sub_fetch(&pool.inside, 1, __ATOMIC_SEQ_CST) == 0) futex_wake(&pool.inside);
  return 1;
}

/* A worker joins each program. It does not sleep inside, where the caller would have to wait for it: it leaves, and
   joins again later. */
static void *work(void *thread) {
  Progress progress = {0};
  const Member me = {&pool.team, (int)(intptr_t)thread, pool.threads, &progress};
  begin_running(&progress);
  for (int completed = 0;;) {
    int events = __atomic_load_n(&pool.team.events, __ATOMIC_SEQ_CST);
    const int number = __atomic_load_n(&pool.number, __ATOMIC_SEQ_CST);
    if (number != completed && join_program(me)) {
      if (progress.leaving == GIVES_WAY) {
        nap(&progress);
        continue;
      }
      if (progress.leaving == STAYS) completed = number;
      if (progress.leaving == SLEEPS) events = progress.events;
    }
    sleep_until_event(&pool.team, events);
    begin_running(&progress);
  }
  return NULL;
}

/* A process that was forked has none of the threads. */
static void forget_workers(void) {
  pthread_mutex_init(&pool.lock, NULL);
  pool.threads = pool.inside = 0;
  pool.team = (Team){0};
}

int team_size(void) { return pool.threads ? pool.threads : (int)min_of(kernel_threads(), MOST_THREADS); }

static void start_workers(void) {
  static int registered;
  if (!registered) registered = !pthread_atfork(NULL, NULL, forget_workers);
  pool.threads = team_size();
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the other threads of the process */
  for (int thread = 1; thread < pool.threads; thread++) {
    pthread_t id;
    if (!pthread_create(&id, NULL, work, (void *)(intptr_t)thread)) pthread_detach(id);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void run_with_workers(void (*program)(Member me, void *argument), void *argument) {
  pool.program = program, pool.argument = argument;
  pool.team.ticket = 0, pool.team.done = 0;
  pool.caller.loop = 0;
  begin_running(&pool.caller);
  __atomic_add_fetch(&pool.number, 1, __ATOMIC_SEQ_CST);
  __atomic_store_n(&pool.inside, OPEN, __ATOMIC_SEQ_CST);
  announce_event(&pool.team);
  program((Member){&pool.team, 0, pool.threads, &pool.caller}, argument);
  int inside = __atomic_and_fetch(&pool.inside, ~OPEN, __ATOMIC_SEQ_CST);
  while (inside) {
    futex_wait(&pool.inside, inside);
    inside = __atomic_load_n(&pool.inside, __ATOMIC_SEQ_CST);
  }
}

void run_team(void (*program)(Member me, void *argument), void *argument) {
  const int alone = pthread_mutex_trylock(&pool.lock);
  if (!alone && !pool.threads) start_workers();
  if (alone || pool.threads == 1)
    program((Member){.threads = 1}, argument);
  else
    run_with_workers(program, argument);
  if (!alone) pthread_mutex_unlock(&pool.lock);
}
