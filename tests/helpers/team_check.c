/* Runs random programs on a team of threads (src/transformer/kernels/team.h) and compares the results with those of the
   same loops, run one after another: test_team.py compiles it with the team's sources.

     team_check CASE THREADS PROGRAMS

   CASE: plain; slow (some items take 2 ms, so that others wait for them); absent (the system starts no thread); fork
   (every other program runs in a forked process); callers (several threads run programs at once); nothing is printed
   unless a result is wrong. */
#define _GNU_SOURCE /* for RTLD_NEXT */
#include "team.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOPS = 60, ITEMS = 40, CALLERS = 3 };

static const char *kind;
static int threads;

int kernel_threads(void) { return threads; }

static int is(const char *name) { return !strcmp(kind, name); }

/* In place of the system's. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  int (*original)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  if (is("absent")) return 11; /* EAGAIN */
  *(void **)&original = dlsym(RTLD_NEXT, "pthread_create");
  return original(thread, attributes, run, argument);
}

typedef struct {
  uint32_t seed, values[LOOPS + 1][ITEMS];
  int slow;
} Work;

static uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352dU;
  x = (x ^ (x >> 15)) * 0x846ca68bU;
  return x ^ (x >> 16);
}

static void program(Member me, void *argument) {
  Work *work = argument;
  for (uint32_t loop = 0; loop < LOOPS; loop++) {
    const i64 count = mix(work->seed + loop) % (ITEMS + 1), least = 1 + mix(work->seed ^ loop) % 5;
    for (Share some = {0}; take(me, count, least, &some);)
      for (i64 i = some.first; i < some.last; i++) {
        if (work->slow && mix(work->seed * 31 + loop * ITEMS + (uint32_t)i) % 200 == 0) usleep(2000);
        uint32_t sum = loop; /* of all that the loop before has written, and added once only */
        for (i64 j = 0; j < ITEMS; j++) sum = mix(sum + work->values[loop][j]);
        work->values[loop + 1][i] += sum + (uint32_t)i;
      }
  }
}

static int run_and_compare(uint32_t seed) {
  Work together = {.seed = seed, .slow = is("slow")}, alone = {.seed = seed};
  run_team(program, &together);
  program((Member){.threads = 1}, &alone);
  const int wrong = memcmp(together.values, alone.values, sizeof alone.values) != 0;
  if (wrong) printf("wrong result: seed %u\n", seed);
  return wrong;
}

static void *call(void *programs) {
  intptr_t wrong = 0;
  for (i64 p = 0; p < (intptr_t)programs; p++) wrong += run_and_compare((uint32_t)p);
  return (void *)wrong;
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  kind = arguments[1], threads = atoi(arguments[2]);
  const int programs = atoi(arguments[3]);
  intptr_t wrong = 0;
  if (is("callers")) {
    pthread_t callers[CALLERS];
    for (int c = 0; c < CALLERS; c++) pthread_create(callers + c, NULL, call, (void *)(intptr_t)programs);
    for (int c = 0; c < CALLERS; c++) {
      void *found;
      pthread_join(callers[c], &found);
      wrong += (intptr_t)found;
    }
    return wrong != 0;
  }
  for (int p = 0; p < programs; p++) {
    if (!is("fork") || p % 2 == 0) {
      wrong += run_and_compare((uint32_t)p);
      continue;
    }
    const pid_t child = fork();
    if (child == 0) _exit(run_and_compare((uint32_t)p) + run_and_compare(0));
    int status;
    waitpid(child, &status, 0);
    wrong += status != 0;
  }
  return wrong != 0;
}
