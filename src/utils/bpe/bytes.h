/* Growing arrays, and hash functions. */
#ifndef BYTES_H
#define BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { uint8_t *data; size_t size, room; } Bytes;

/* Functions that allocate memory return 0 if memory is exhausted. */

static inline int reserve(Bytes *bytes, size_t more) {
    if (bytes->size + more <= bytes->room) return 1;
    size_t room = 2 * bytes->room > bytes->size + more ? 2 * bytes->room : bytes->size + more;
    uint8_t *data = realloc(bytes->data, room);
    if (!data) return 0;
    bytes->data = data;
    bytes->room = room;
    return 1;
}

static inline int append(Bytes *bytes, const void *data, size_t size) {
    if (!reserve(bytes, size)) return 0;
    if (size) memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return 1;
}

static inline int resize(uint32_t **array, size_t count) {
    uint32_t *resized = realloc(*array, count * sizeof **array);
    if (resized) *array = resized;
    return resized != NULL;
}

static inline uint64_t mix(uint64_t value) { /* the finalizer of MurmurHash3 */
    value = (value ^ value >> 33) * 0xff51afd7ed558ccdu;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53u;
    return value ^ value >> 33;
}

static inline uint32_t hash_bytes(const uint8_t *data, size_t size) {
    uint64_t hash = size, chunk;
    for (; size >= 8; data += 8, size -= 8) {
        memcpy(&chunk, data, 8);
        hash = mix(hash ^ chunk);
    }
    chunk = 0;
    memcpy(&chunk, data, size);
    return (uint32_t)mix(hash ^ chunk);
}

#endif
