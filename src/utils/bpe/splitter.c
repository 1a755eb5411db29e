/* Merging pairs of symbols in the order of the codes, as in Algorithm 1 of Sennrich et al. */
#include "splitter.h"

#define NO_RANK UINT32_MAX
#define SCRATCH_KEPT (1u << 16) /* in symbols; the memory for longer words is freed after use */

int init_splitter(Splitter *s, size_t codes, const uint32_t *left, const uint32_t *right, const uint32_t *joined,
                  const uint32_t *of_character, const uint32_t *of_last_character, uint32_t end_symbol,
                  const uint8_t *whole, size_t whole_size) {
    for (s->code_mask = 15; s->code_mask < 4 * codes;) s->code_mask = 2 * s->code_mask + 1;
    s->end_symbol = end_symbol;
    s->codes = calloc(s->code_mask + 1, sizeof *s->codes);
    s->of_character = calloc(CHARACTERS, sizeof *s->of_character);
    s->of_last_character = calloc(CHARACTERS, sizeof *s->of_last_character);
    if (!s->codes || !s->of_character || !s->of_last_character || !append(&s->whole, whole, whole_size)) return 0;
    for (uint32_t point = 0; point < CHARACTERS; point++) { /* pages that stay zero take no memory */
        if (of_character[point]) s->of_character[point] = of_character[point];
        if (of_last_character[point]) s->of_last_character[point] = of_last_character[point];
    }
    for (size_t rank = 0; rank < codes; rank++) {
        uint64_t pair = (uint64_t)left[rank] << 32 | right[rank], slot = mix(pair) & s->code_mask;
        while (s->codes[slot].pair) slot = (slot + 1) & s->code_mask;
        s->codes[slot] = (Code){pair, (uint32_t)rank, joined[rank]};
    }
    return 1;
}

static void free_scratch(Scratch *s) {
    free(s->symbol), free(s->start), free(s->before), free(s->after), free(s->rank), free(s->merged), free(s->heap);
    memset(s, 0, sizeof *s);
}

void free_splitter(Splitter *s) {
    free(s->codes), free(s->of_character), free(s->of_last_character), free(s->whole.data);
    free_scratch(&s->scratch);
}

static const Code *find_code(const Splitter *splitter, uint32_t left, uint32_t right) {
    if (left == NO_SYMBOL || right == NO_SYMBOL) return NULL;
    uint64_t pair = (uint64_t)left << 32 | right;
    for (uint64_t slot = mix(pair);; slot++) {
        const Code *code = splitter->codes + (slot & splitter->code_mask);
        if (code->pair == pair) return code;
        if (!code->pair) return NULL;
    }
}

static void push(Scratch *s, uint64_t item) {
    size_t place = s->heap_size++;
    for (; place && s->heap[(place - 1) / 2] > item; place = (place - 1) / 2) s->heap[place] = s->heap[(place - 1) / 2];
    s->heap[place] = item;
}

static uint64_t pop(Scratch *s) {
    uint64_t first = s->heap[0], item = s->heap[--s->heap_size];
    size_t place = 0, child;
    while ((child = 2 * place + 1) < s->heap_size) {
        if (child + 1 < s->heap_size && s->heap[child + 1] < s->heap[child]) child++;
        if (s->heap[child] >= item) break;
        s->heap[place] = s->heap[child];
        place = child;
    }
    s->heap[place] = item;
    return first;
}

static int reserve_scratch(Scratch *s, size_t symbols) {
    if (symbols <= s->room) return 1;
    size_t room = symbols < 256 ? 256 : 2 * symbols;
    /* Each merge creates at most two new pairs. */
    uint64_t *heap = realloc(s->heap, 3 * room * sizeof *heap);
    if (!heap) return 0;
    s->heap = heap;
    if (!resize(&s->symbol, room) || !resize(&s->start, room) || !resize(&s->before, room) ||
        !resize(&s->after, room) || !resize(&s->rank, room) || !resize(&s->merged, room)) return 0;
    s->room = room;
    return 1;
}

/* Return the code point at `text`, which is valid UTF-8, and set `*size` to its number of bytes. */
static uint32_t decode(const uint8_t *text, size_t *size) {
    uint32_t first = text[0];
    *size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t point = *size == 1 ? first : first & (0x7fu >> *size);
    for (size_t i = 1; i < *size; i++) point = point << 6 | (text[i] & 0x3fu);
    return point;
}

/* Set the initial symbols of a word, which are its characters, and return their number. */
static uint32_t first_symbols(const Splitter *splitter, Scratch *s, const uint8_t *word, size_t size) {
    uint32_t symbols = 0, point = 0;
    for (size_t place = 0, width; place < size; place += width) {
        point = decode(word + place, &width);
        s->start[symbols] = (uint32_t)place;
        s->symbol[symbols++] = splitter->of_character[point];
    }
    if (splitter->end_symbol != NO_SYMBOL) {
        s->start[symbols] = (uint32_t)size;
        s->symbol[symbols++] = splitter->end_symbol;
    } else {
        s->symbol[symbols - 1] = splitter->of_last_character[point];
    }
    return symbols;
}

static void push_if_code(const Splitter *splitter, Scratch *s, uint32_t place, uint32_t end) {
    uint32_t right = s->after[place];
    const Code *code = right == end ? NULL : find_code(splitter, s->symbol[place], s->symbol[right]);
    s->rank[place] = code ? code->rank : NO_RANK;
    if (code) push(s, (uint64_t)code->rank << 32 | place);
}

/* Merge pairs of symbols in the order of their ranks: each round merges every occurrence of one pair, from left to
 * right. The pairs are kept in a heap, so that a word of n characters takes O(n log n) time. */
static void merge(const Splitter *splitter, Scratch *s, uint32_t end) {
    s->heap_size = 0;
    for (uint32_t place = 0; place < end; place++) {
        s->before[place] = place - 1;
        s->after[place] = place + 1;
        push_if_code(splitter, s, place, end);
    }
    while (s->heap_size) {
        uint32_t best = (uint32_t)(s->heap[0] >> 32), merged = 0;
        while (s->heap_size && s->heap[0] >> 32 == best) {
            uint32_t place = (uint32_t)pop(s);
            if (s->rank[place] != best) continue; /* one of the two symbols has been merged since */
            uint32_t right = s->after[place];
            s->symbol[place] = find_code(splitter, s->symbol[place], s->symbol[right])->joined;
            s->rank[place] = s->rank[right] = NO_RANK;
            if ((s->after[place] = s->after[right]) != end) s->before[s->after[place]] = place;
            s->merged[merged++] = place;
        }
        for (uint32_t i = 0; i < merged; i++) { /* new pairs are merged in a later round, even if their rank is better */
            uint32_t place = s->merged[i];
            if (place) push_if_code(splitter, s, s->before[place], end);
            push_if_code(splitter, s, place, end);
        }
    }
}

static int is_whole(const Splitter *splitter, const uint8_t *word, size_t size) {
    const uint8_t *name = splitter->whole.data, *end = name + splitter->whole.size;
    for (size_t length; name < end; name += length + 1) {
        length = (const uint8_t *)memchr(name, '\n', end - name) - name;
        if (length == size && !memcmp(name, word, size)) return 1;
    }
    return 0;
}

/* Append the subwords of a word, such as `Hel@@ lo`, to the output. Returns 0 if memory is exhausted. */
int split_word(Splitter *splitter, const uint8_t *word, size_t size, Bytes *output) {
    size_t width = 0;
    if (size) decode(word, &width);
    if (width == size || is_whole(splitter, word, size)) return append(output, word, size);
    Scratch *s = &splitter->scratch;
    if (!reserve_scratch(s, size + 1)) return 0;
    uint32_t end = first_symbols(splitter, s, word, size);
    merge(splitter, s, end);
    int good = 1;
    for (uint32_t place = 0; place != end && s->start[place] < size && good; place = s->after[place]) {
        size_t next = s->after[place] == end ? size : s->start[s->after[place]];
        good = (!place || append(output, "@@ ", 3)) && append(output, word + s->start[place], next - s->start[place]);
    }
    if (s->room > 2 * SCRATCH_KEPT) free_scratch(s);
    return good;
}
