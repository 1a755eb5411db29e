/* Splitting a word into subwords by merging pairs of symbols in the order of the codes. */
#ifndef SPLITTER_H
#define SPLITTER_H

#include "bytes.h"

#define NO_SYMBOL 0u /* a character that occurs in no code; symbols are numbered from 1 */
#define CHARACTERS 0x110000

typedef struct {
    uint64_t pair; /* left symbol << 32 | right symbol; 0: a free slot */
    uint32_t rank, joined;
} Code;

/* A word that is being split: a linked list of symbols, indexed by the place of their first character. */
typedef struct {
    uint32_t *symbol, *start, *before, *after;
    uint32_t *rank;   /* of the pair that begins here; NO_RANK if it is not in the codes */
    uint32_t *merged; /* the places merged in this round */
    uint64_t *heap;   /* rank << 32 | place; the smallest comes first */
    size_t heap_size, room;
} Scratch;

typedef struct {
    Code *codes;
    uint64_t code_mask;
    uint32_t *of_character, *of_last_character; /* symbols by code point; the last character includes `</w>` */
    uint32_t end_symbol;                        /* `</w>` as a symbol of its own (codes of version 0.1), or NO_SYMBOL */
    Bytes whole;                                /* words that are never split, each followed by a line feed */
    Scratch scratch;
} Splitter;

int init_splitter(Splitter *splitter, size_t codes, const uint32_t *left, const uint32_t *right, const uint32_t *joined,
                  const uint32_t *of_character, const uint32_t *of_last_character, uint32_t end_symbol,
                  const uint8_t *whole, size_t whole_size);
void free_splitter(Splitter *splitter);
int split_word(Splitter *splitter, const uint8_t *word, size_t size, Bytes *output);

#endif
