/* A hash table of subwords with open addressing; it grows with the number of distinct subwords. */
#include "counts.h"

#define FIRST_ROOM (1u << 12)

int init_counts(Counts *table) {
    uint32_t room = table->room = FIRST_ROOM;
    table->counts = malloc(room * sizeof *table->counts);
    table->slots = calloc(4 * (size_t)room, sizeof *table->slots);
    return table->counts && table->slots && resize(&table->starts, room) && resize(&table->hashes, room);
}

void free_counts(Counts *table) {
    free(table->names.data), free(table->counts), free(table->starts), free(table->hashes), free(table->slots);
}

void clear_counts(Counts *table) {
    table->names.size = table->size = 0;
    memset(table->slots, 0, 4 * (size_t)table->room * sizeof *table->slots);
}

static int is_name(const Counts *table, uint32_t number, const uint8_t *name, size_t size) {
    size_t end = number + 1 == table->size ? table->names.size : table->starts[number + 1];
    return end - table->starts[number] == size + 1 && !memcmp(table->names.data + table->starts[number], name, size);
}

static uint32_t free_slot(const uint32_t *slots, uint32_t mask, uint32_t hash) {
    uint32_t slot = hash & mask;
    while (slots[slot]) slot = (slot + 1) & mask;
    return slot;
}

static int double_room(Counts *table) {
    uint32_t room = 2 * table->room;
    uint64_t *counts = realloc(table->counts, room * sizeof *counts);
    if (!counts) return 0;
    table->counts = counts;
    uint32_t *slots = calloc(4 * (size_t)room, sizeof *slots);
    if (!slots || !resize(&table->starts, room) || !resize(&table->hashes, room)) {
        free(slots);
        return 0;
    }
    for (uint32_t number = 0; number < table->size; number++)
        slots[free_slot(slots, 4 * room - 1, table->hashes[number])] = number + 1;
    free(table->slots);
    table->slots = slots;
    table->room = room;
    return 1;
}

static int count_subword(Counts *table, const uint8_t *name, size_t size, uint64_t count) {
    uint32_t hash = hash_bytes(name, size), mask = 4 * table->room - 1, number;
    for (uint32_t slot = hash & mask; (number = table->slots[slot]); slot = (slot + 1) & mask) {
        if (table->hashes[number - 1] == hash && is_name(table, number - 1, name, size)) {
            table->counts[number - 1] += count;
            return 1;
        }
    }
    if (table->size == table->room && !double_room(table)) return 0;
    number = table->size++;
    table->starts[number] = (uint32_t)table->names.size;
    table->hashes[number] = hash;
    table->counts[number] = count;
    table->slots[free_slot(table->slots, 4 * table->room - 1, hash)] = number + 1;
    return append(&table->names, name, size) && append(&table->names, "\n", 1);
}

/* Count the subwords of an encoded word, which are separated by spaces. Carriage returns at its ends are ignored. */
int count_word(Counts *table, const uint8_t *encoded, size_t size, uint64_t count) {
    while (size && *encoded == '\r') encoded++, size--;
    while (size && encoded[size - 1] == '\r') size--;
    for (const uint8_t *end = encoded + size, *next; encoded < end; encoded = next + 1) {
        next = memchr(encoded, ' ', end - encoded);
        if (!next) next = end;
        if (next > encoded && !count_subword(table, encoded, next - encoded, count)) return 0;
    }
    return 1;
}
