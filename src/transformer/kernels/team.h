/* Threads that run one program together, such as a step of the search: a sequence of loops, each of which begins when
   the one before it is complete.

   A loop is complete when all of its items are done, whoever has done them. A thread takes the next few items when it
   has time for them. A thread that the system does not run, because another process needs the processor, thus delays
   the others only if it holds items at that moment; otherwise they go on without it. When it runs again, it passes over
   the loops that are complete and helps with the present one. */
#ifndef MASS_TEAM_H
#define MASS_TEAM_H

#include "common.h"

/* What the members share. */
typedef struct {
  uint64_t ticket __attribute__((aligned(64))); /* upper half: number of the present loop; lower half: its next item */
  i64 done __attribute__((aligned(64)));        /* items of the present loop that are done */
  int events __attribute__((aligned(64)));      /* counts programs begun and loops completed */
  int sleeping;                                 /* members that wait for the next event */
} Team;

/* Why a member passes over the rest of the program. */
typedef enum { STAYS, SLEEPS, GIVES_WAY } Leaving;

/* How far a thread is, and what it knows of other processes. Times are in nanoseconds. */
typedef struct {
  i64 loop;            /* the loop that it is in */
  Leaving leaving;
  int events;          /* when it began to wait */
  i64 running, looked; /* since when it has run, and when it last looked at the clock */
  i64 checked, used;   /* when it last compared the clock with its own time on the processor, and what that was */
  i64 interrupted;     /* when it last found that another process had the processor */
  i64 busy_until;      /* the processor counts as shared with other processes until then */
} Progress;

/* One of the threads, as the program sees it. Member 0 is the thread that runs the program. */
typedef struct {
  Team *team;
  int thread, threads;
  Progress *progress;
} Member;

/* Items of a loop. */
typedef struct {
  i64 first, last;
} Share;

/* Take items of a loop of `count` items, `least` at a time or more (the last ones excepted):

     for (Share some = {0}; take(me, count, least, &some);)
       for (i64 i = some.first; i < some.last; i++) ...

   All members must run the same loops with the same counts, and write nothing but what their items compute, because a
   member may get no items. What the items of a loop wrote is visible in the loops after it. */
int take(Member me, i64 count, i64 least, Share *some);

/* The number of threads that run_team() uses at most; members are numbered from 0. */
int team_size(void);

/* Run `program` on all processors and return when it is complete. If another thread is in this function already,
   `program` runs on the calling thread alone. */
void run_team(void (*program)(Member me, void *argument), void *argument);

#endif
