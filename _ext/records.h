/* Runs of 16 PicoQuant T2 records without a special one: the common case, in a shape that compilers vectorise. */
#ifndef QKD_RECORDS_H
#define QKD_RECORDS_H
#include <stdint.h>

enum { QKD_RUN = 16 };

/* The top bit (special) of any of the 16 records, in the top bit of the result. */
static inline uint32_t qkd_any_special(const uint32_t *restrict record) {
    uint32_t any = 0;
    for (int j = 0; j < QKD_RUN; j++) any |= record[j];
    return any & 0x80000000u;
}

static inline void qkd_photon_run(const uint32_t *restrict record, int64_t offset, int64_t *restrict ticks,
                                  uint8_t *restrict channel) {
    for (int j = 0; j < QKD_RUN; j++) ticks[j] = offset + (int64_t)(record[j] & 0x01FFFFFFu);
    for (int j = 0; j < QKD_RUN; j++) channel[j] = (uint8_t)(record[j] >> 25);
}
#endif
