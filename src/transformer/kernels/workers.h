/* Waiting and sleeping, for team.c and workers.c. */
#ifndef MASS_WORKERS_H
#define MASS_WORKERS_H

#include "team.h"

/* Sleep while *word is `value`, or shorter; and wake all threads that sleep so. */
void futex_wait(int *word, int value);
void futex_wake(int *word);

/* Wake the members that sleep until the next event; and sleep until there has been another event than `seen`. */
void announce_event(Team *team);
void sleep_until_event(Team *team, int seen);

/* The thread runs again after it has slept; and let it sleep for a moment. */
void begin_running(Progress *progress);
void nap(Progress *progress);

#endif
