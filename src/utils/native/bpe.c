/* Byte-pair encoding of UTF-8 text (Sennrich et al., ACL 2016), with the output of `subword-nmt apply-bpe`.
 *
 * src/utils/bpe_encoders.py calls it. An encoder belongs to one thread. Words stand between spaces and line feeds. Each
 * distinct one is split once and kept in a cache of fixed size, which starts again when it is full: the
 * frequent words are back at once, and memory does not grow with the text. */
#include "counts.h"
#include "splitter.h"

#define CACHED_WORD 255 /* bytes; longer words are split each time */
#define CACHE_WORDS (1u << 16)
#define CACHE_SLOTS (4 * CACHE_WORDS)
#define CACHE_BYTES (1u << 22)

typedef struct { uint32_t word, hash, encoded_size, count; uint8_t word_size; } Entry; /* word: its place in `kept` */

typedef struct {
    Splitter splitter;
    uint32_t *slots; /* number of the entry + 1, 0 is free */
    Entry *entries;
    uint32_t *touched; /* entries with a count */
    uint32_t words, touched_size;
    Bytes kept; /* words, each followed by its encoding */
    Bytes output;
    Counts counts;
} Encoder;

typedef struct {
    const uint8_t *text, *names;
    size_t text_size, names_size;
    const uint64_t *counts; /* one for each name */
    size_t distinct;
} Result;

/* The bytes at `text` that are what Python's readers (and so subword-nmt's) take for the end of a line, 0 if none. */
static size_t line_end(const uint8_t *text, size_t size) {
    if ((text[0] >= '\n' && text[0] <= '\r') || (text[0] >= 0x1c && text[0] <= 0x1e)) return 1;
    if (size >= 2 && text[0] == 0xc2 && text[1] == 0x85) return 2;
    if (size >= 3 && text[0] == 0xe2 && text[1] == 0x80 && (text[2] == 0xa8 || text[2] == 0xa9)) return 3;
    return 0;
}

/* Append an encoded word. Its pieces up to such line ends are words of their own: carriage returns do not belong to
 * them, the other ends do. */
static int encode_word(Encoder *encoder, const uint8_t *word, size_t size, Bytes *output) {
    for (size_t begin = 0, place = 0, width; begin < size; begin = place) {
        for (width = 0; place < size && !width; place += width ? width : 1)
            width = line_end(word + place, size - place);
        size_t core = place - begin - (word[place - 1] == '\r');
        if (!split_word(&encoder->splitter, word + begin, core, output)) return 0;
        if (!append(output, word + begin + core, place - begin - core)) return 0;
    }
    return 1;
}

/* The cache. */

static int add_up(Encoder *encoder) {
    for (uint32_t i = 0; i < encoder->touched_size; i++) {
        Entry *entry = encoder->entries + encoder->touched[i];
        const uint8_t *encoded = encoder->kept.data + entry->word + entry->word_size;
        if (!count_word(&encoder->counts, encoded, entry->encoded_size, entry->count)) return 0;
        entry->count = 0;
    }
    encoder->touched_size = 0;
    return 1;
}

static int start_cache_again(Encoder *encoder) {
    if (!add_up(encoder)) return 0;
    memset(encoder->slots, 0, CACHE_SLOTS * sizeof *encoder->slots);
    encoder->words = 0;
    encoder->kept.size = 0;
    return 1;
}

static int append_word(Encoder *encoder, const uint8_t *word, size_t size) {
    Bytes *output = &encoder->output, *kept = &encoder->kept;
    size_t begin = output->size;
    if (size > CACHED_WORD)
        return encode_word(encoder, word, size, output) &&
               count_word(&encoder->counts, output->data + begin, output->size - begin, 1);
    uint32_t hash = hash_bytes(word, size), slot = hash % CACHE_SLOTS, number;
    for (; (number = encoder->slots[slot]); slot = (slot + 1) % CACHE_SLOTS) {
        Entry *entry = encoder->entries + number - 1;
        if (entry->hash != hash || entry->word_size != size || memcmp(kept->data + entry->word, word, size)) continue;
        if (!entry->count++) encoder->touched[encoder->touched_size++] = number - 1;
        return append(output, kept->data + entry->word + size, entry->encoded_size);
    }
    if (!encode_word(encoder, word, size, output)) return 0;
    size_t encoded_size = output->size - begin;
    if (encoder->words == CACHE_WORDS || kept->size + size + encoded_size > CACHE_BYTES) {
        if (!start_cache_again(encoder)) return 0;
        slot = hash % CACHE_SLOTS;
    }
    encoder->entries[encoder->words] = (Entry){(uint32_t)kept->size, hash, (uint32_t)encoded_size, 1, (uint8_t)size};
    encoder->touched[encoder->touched_size++] = encoder->words;
    encoder->slots[slot] = ++encoder->words;
    return append(kept, word, size) && append(kept, output->data + begin, encoded_size);
}

/* What Python calls. */

void bpe_free(Encoder *encoder) {
    if (!encoder) return;
    free_splitter(&encoder->splitter);
    free_counts(&encoder->counts);
    free(encoder->slots), free(encoder->entries), free(encoder->touched);
    free(encoder->kept.data), free(encoder->output.data);
    free(encoder);
}

/* A new encoder, NULL if there is no memory. Code i has rank i: symbols left[i] and right[i] become joined[i].
 * of_character and of_last_character give the symbol of each code point; `whole` holds words that are left whole, each
 * followed by a line feed. */
Encoder *bpe_new(size_t codes, const uint32_t *left, const uint32_t *right, const uint32_t *joined,
                 const uint32_t *of_character, const uint32_t *of_last_character, uint32_t end_symbol,
                 const uint8_t *whole, size_t whole_size) {
    Encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder) return NULL;
    encoder->slots = calloc(CACHE_SLOTS, sizeof *encoder->slots);
    encoder->entries = malloc(CACHE_WORDS * sizeof *encoder->entries);
    encoder->touched = malloc(CACHE_WORDS * sizeof *encoder->touched);
    if (!encoder->slots || !encoder->entries || !encoder->touched || !reserve(&encoder->kept, CACHE_BYTES) ||
        !init_counts(&encoder->counts) ||
        !init_splitter(&encoder->splitter, codes, left, right, joined, of_character, of_last_character, end_symbol,
                       whole, whole_size)) {
        bpe_free(encoder);
        return NULL;
    }
    return encoder;
}

/* Encode valid UTF-8. The result stays until the next call. Returns 0 if there is no memory. */
int bpe_encode(Encoder *encoder, const uint8_t *text, size_t size, Result *result) {
    Bytes *output = &encoder->output;
    Counts *counts = &encoder->counts;
    output->size = 0;
    clear_counts(counts);
    for (size_t place = 0, begin = 0; place < size; begin = place) {
        while (place < size && text[place] != ' ' && text[place] != '\n') place++;
        if (place > begin && !append_word(encoder, text + begin, place - begin)) return 0;
        for (begin = place; place < size && (text[place] == ' ' || text[place] == '\n');) place++;
        if (!append(output, text + begin, place - begin)) return 0;
    }
    if (!add_up(encoder)) return 0;
    *result = (Result){output->data, counts->names.data, output->size, counts->names.size, counts->counts,
                       counts->size};
    return 1;
}
