/* The frequencies of the subwords of a text. */
#ifndef COUNTS_H
#define COUNTS_H

#include "bytes.h"

typedef struct {
    Bytes names; /* in the order of their first occurrence, each followed by a line feed */
    uint64_t *counts;
    uint32_t *starts, *hashes; /* one per name */
    uint32_t *slots;           /* number of the name + 1; 0: the slot is free */
    uint32_t size, room;       /* there are 4 * room slots */
} Counts;

int init_counts(Counts *table);
void free_counts(Counts *table);
void clear_counts(Counts *table);
int count_word(Counts *table, const uint8_t *encoded, size_t size, uint64_t count);

#endif
