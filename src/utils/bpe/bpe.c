/* Byte-pair encoding of UTF-8 text (Sennrich et al., ACL 2016) with the output of `subword-nmt apply-bpe`.
 *
 * Called by src/utils/bpe/encoders.py. An encoder must be used by one thread only. Words are separated by spaces and
 * line feeds. Each distinct word is split once and kept in a cache of fixed size. A full cache is emptied: frequent
 * words return to it quickly, and memory does not grow with the text. */
#include "counts.h"
#include "splitter.h"

#define CACHED_WORD 255 /* in bytes; longer words are not cached */
#define CACHE_WORDS (1u << 16)
#define CACHE_SLOTS (2 * CACHE_WORDS)
#define CACHE_BYTES (1u << 22)

typedef struct {
    uint32_t count; /* occurrences not yet added to `counts` of the encoder */
    uint16_t word_size, encoded_size;
    uint8_t bytes[]; /* the word, then its encoding */
} Record;

typedef struct { uint32_t hash, place; } Slot; /* place of the record in `records`; 0: the slot is free */

typedef struct {
    Splitter splitter;
    Slot *slots;
    Bytes records;
    uint32_t *touched; /* places of the records with a count */
    uint32_t words, touched_size;
    Bytes output;
    Counts counts;
} Encoder;

typedef struct {
    const uint8_t *names; /* each name is followed by a line feed */
    size_t names_size;
    const uint64_t *counts; /* one per name */
    size_t distinct;
} SubwordCounts;

/* Return the size of the struct `name` that Python mirrors; -1 if there is none of this name. */
int64_t struct_size(const char *name) {
    return strcmp(name, "SubwordCounts") ? -1 : (int64_t)sizeof(SubwordCounts);
}

/* Return the size of the line end at `text` in the sense of Python's str.splitlines, which subword-nmt uses; 0 if there
 * is none. */
static size_t line_end(const uint8_t *text, size_t size) {
    if ((text[0] >= '\n' && text[0] <= '\r') || (text[0] >= 0x1c && text[0] <= 0x1e)) return 1;
    if (size >= 2 && text[0] == 0xc2 && text[1] == 0x85) return 2;
    if (size >= 3 && text[0] == 0xe2 && text[1] == 0x80 && (text[2] == 0xa8 || text[2] == 0xa9)) return 3;
    return 0;
}

/* Encode a word and append it to the output. The pieces that such line ends separate are words of their own. A carriage
 * return is not part of a piece, other line ends are. */
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

/* The cache of words. */

static Record *record_at(const Encoder *encoder, uint32_t place) { return (Record *)(encoder->records.data + place); }

static int add_up(Encoder *encoder) {
    for (uint32_t i = 0; i < encoder->touched_size; i++) {
        Record *record = record_at(encoder, encoder->touched[i]);
        if (!count_word(&encoder->counts, record->bytes + record->word_size, record->encoded_size, record->count))
            return 0;
        record->count = 0;
    }
    encoder->touched_size = 0;
    return 1;
}

static int start_cache_again(Encoder *encoder) {
    if (!add_up(encoder)) return 0;
    memset(encoder->slots, 0, CACHE_SLOTS * sizeof *encoder->slots);
    encoder->words = 0;
    encoder->records.size = sizeof(Record); /* place 0 means a free slot */
    return 1;
}

static int remember(Encoder *encoder, uint32_t hash, const uint8_t *word, size_t size, size_t encoded_size) {
    size_t record_size = (sizeof(Record) + size + encoded_size + 3) & ~(size_t)3;
    if ((encoder->words == CACHE_WORDS || encoder->records.size + record_size > CACHE_BYTES) &&
        !start_cache_again(encoder)) return 0;
    uint32_t slot = hash % CACHE_SLOTS, place = (uint32_t)encoder->records.size;
    while (encoder->slots[slot].place) slot = (slot + 1) % CACHE_SLOTS;
    encoder->slots[slot] = (Slot){hash, place};
    encoder->words++;
    encoder->touched[encoder->touched_size++] = place;
    encoder->records.size += record_size;
    Record *record = record_at(encoder, place);
    record->count = 1;
    record->word_size = (uint16_t)size;
    record->encoded_size = (uint16_t)encoded_size;
    memcpy(record->bytes, word, size);
    memcpy(record->bytes + size, encoder->output.data + encoder->output.size - encoded_size, encoded_size);
    return 1;
}

static int append_word(Encoder *encoder, const uint8_t *word, size_t size) {
    Bytes *output = &encoder->output;
    size_t begin = output->size;
    if (size > CACHED_WORD)
        return encode_word(encoder, word, size, output) &&
               count_word(&encoder->counts, output->data + begin, output->size - begin, 1);
    uint32_t hash = hash_bytes(word, size);
    Slot slot;
    for (uint32_t place = hash; (slot = encoder->slots[place % CACHE_SLOTS]).place; place++) {
        if (slot.hash != hash) continue;
        Record *record = record_at(encoder, slot.place);
        if (record->word_size != size || memcmp(record->bytes, word, size)) continue;
        if (!record->count++) encoder->touched[encoder->touched_size++] = slot.place;
        return append(output, record->bytes + size, record->encoded_size);
    }
    return encode_word(encoder, word, size, output) &&
           remember(encoder, hash, word, size, output->size - begin);
}

/* The functions called from Python. */

void bpe_free(Encoder *encoder) {
    if (!encoder) return;
    free_splitter(&encoder->splitter);
    free_counts(&encoder->counts);
    free(encoder->slots), free(encoder->records.data), free(encoder->touched), free(encoder->output.data);
    free(encoder);
}

/* Create an encoder; returns NULL if memory is exhausted. Code i has rank i and joins the symbols left[i] and right[i]
 * to joined[i]. of_character and of_last_character map code points to symbols. `whole` holds words that are never split,
 * each followed by a line feed. */
Encoder *bpe_new(size_t codes, const uint32_t *left, const uint32_t *right, const uint32_t *joined,
                 const uint32_t *of_character, const uint32_t *of_last_character, uint32_t end_symbol,
                 const uint8_t *whole, size_t whole_size) {
    Encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder) return NULL;
    encoder->slots = calloc(CACHE_SLOTS, sizeof *encoder->slots);
    encoder->touched = malloc(CACHE_WORDS * sizeof *encoder->touched);
    if (!encoder->slots || !encoder->touched || !reserve(&encoder->records, CACHE_BYTES) ||
        !init_counts(&encoder->counts) || !start_cache_again(encoder) ||
        !init_splitter(&encoder->splitter, codes, left, right, joined, of_character, of_last_character, end_symbol,
                       whole, whole_size)) {
        bpe_free(encoder);
        return NULL;
    }
    return encoder;
}

/* Encode `*size` bytes of valid UTF-8 and count the subwords. The result has `*size` bytes and is valid until the next
 * call. Returns NULL if memory is exhausted. */
const uint8_t *bpe_encode(Encoder *encoder, const uint8_t *text, size_t *size) {
    Bytes *output = &encoder->output;
    output->size = 0;
    for (size_t place = 0, begin = 0; place < *size; begin = place) {
        while (place < *size && text[place] != ' ' && text[place] != '\n') place++;
        if (place > begin && !append_word(encoder, text + begin, place - begin)) return NULL;
        for (begin = place; place < *size && (text[place] == ' ' || text[place] == '\n');) place++;
        if (!append(output, text + begin, place - begin)) return NULL;
    }
    *size = output->size;
    return output->data ? output->data : text;
}

/* Get the counts of the subwords since the last call of `bpe_forget_counts`; they are valid until the next call.
 * Returns 0 if memory is exhausted. */
int bpe_count(Encoder *encoder, SubwordCounts *result) {
    const Counts *counts = &encoder->counts;
    if (!add_up(encoder)) return 0;
    *result = (SubwordCounts){counts->names.data, counts->names.size, counts->counts, counts->size};
    return 1;
}

void bpe_forget_counts(Encoder *encoder) { clear_counts(&encoder->counts); }
