/* How often each subword occurs in a text. */
#ifndef COUNTS_H
#define COUNTS_H

#include "bytes.h"

typedef struct {
    Bytes names; /* each followed by a line feed, in the order of their first occurrence */
    uint64_t *counts;
    uint32_t *starts, *hashes; /* of each name */
    uint32_t *slots;           /* number of the name + 1, 0 is free */
    uint32_t size, room;       /* slots: 4 * room */
} Counts;

int init_counts(Counts *table);
void free_counts(Counts *table);
void clear_counts(Counts *table);
int count_word(Counts *table, const uint8_t *encoded, size_t size, uint64_t count);

#endif
