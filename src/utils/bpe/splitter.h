/* Splitting a word into subwords: merging pairs of its symbols in the order of the codes. */
#ifndef SPLITTER_H
#define SPLITTER_H

#include "bytes.h"

#define NO_SYMBOL 0u /* characters that are in no code; symbols count from 1 */
#define CHARACTERS 0x110000

typedef struct {
    uint64_t pair; /* left symbol << 32 | right one; 0 is a free slot */
    uint32_t rank, joined;
} Code;

/* A word being split: symbols in a linked list by the place of their first character. */
typedef struct {
    uint32_t *symbol, *start, *before, *after;
    uint32_t *rank;   /* of the pair that begins here, NO_RANK if it is no code */
    uint32_t *merged; /* places merged in this round */
    uint64_t *heap;   /* rank << 32 | place, smallest first */
    size_t heap_size, room;
} Scratch;

typedef struct {
    Code *codes;
    uint64_t code_mask;
    uint32_t *of_character, *of_last_character; /* symbol by code point; the last character bears `</w>` */
    uint32_t end_symbol;                        /* `</w>` as a symbol of its own (codes of version 0.1), or NO_SYMBOL */
    Bytes whole;                                /* words that are left whole, each followed by a line feed */
    Scratch scratch;
} Splitter;

int init_splitter(Splitter *splitter, size_t codes, const uint32_t *left, const uint32_t *right, const uint32_t *joined,
                  const uint32_t *of_character, const uint32_t *of_last_character, uint32_t end_symbol,
                  const uint8_t *whole, size_t whole_size);
void free_splitter(Splitter *splitter);
int split_word(Splitter *splitter, const uint8_t *word, size_t size, Bytes *output);

#endif
