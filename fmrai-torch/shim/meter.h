// How much memory of tensors a stretch of code on this thread holds at a time.
#pragma once

#include <cstdint>

struct fmrai_meter;

extern "C" {
// Begins to count what this thread allocates and frees, until `fmrai_meter_end` on the same thread, which frees it.
char* fmrai_meter_begin(fmrai_meter** meter);
// The most bytes that it held at a time beyond what there was at the beginning.
int64_t fmrai_meter_peak(const fmrai_meter* meter);
void fmrai_meter_end(fmrai_meter* meter);
}
