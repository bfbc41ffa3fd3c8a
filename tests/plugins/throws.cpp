// An analyzer in C++ that throws where FMRAI_TEST_THROW says: "prepare", "track_batch", "analyze" or "destroy".
// With -DUNGUARDED nothing is caught.
#include "fmrai.h"

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

FMRAI_MANIFEST("{\"name\": \"throws\", \"version\": \"0.1.0\", \"libtorch\": null}");

namespace {

#ifdef UNGUARDED
template <class F> fmrai_status guarded(fmrai_sink*, F run) { run(); return FMRAI_OK; }
#else
template <class F> fmrai_status guarded(fmrai_sink* err, F run) noexcept { return fmrai::guard(err, run); }
#endif

void at(const char* place) {
  const char* told = std::getenv("FMRAI_TEST_THROW");
  if (told == nullptr || std::strcmp(told, place) != 0) return;
  if (std::strcmp(place, "analyze") == 0) throw 42;
  throw std::runtime_error(std::string("thrown in ") + place);
}

void put(fmrai_sink* out, const char* text) { out->write(out->ctx, text, std::strlen(text)); }

fmrai_status describe(void*, fmrai_sink* out, fmrai_sink*) {
  put(out, "{\"name\": \"throws\", \"summary\": \"throws\", \"example\": {}, \"schema\": {\"type\": \"object\"}}");
  return FMRAI_OK;
}
fmrai_status create(void*, const char*, size_t, void** out, fmrai_sink*) {
  *out = new int(0);
  return FMRAI_OK;
}
fmrai_status prepare(void*, const fmrai_model*, fmrai_sink* request, fmrai_sink* err) {
  return guarded(err, [&] { at("prepare"); put(request, "{\"tensors\": []}"); });
}
fmrai_status track_batch(void*, const fmrai_batch*, fmrai_sink* err) {
  return guarded(err, [&] { at("track_batch"); });
}
fmrai_status state(void*, fmrai_sink*, fmrai_sink*) { return FMRAI_OK; }
fmrai_status merge(void*, const void*, size_t, fmrai_sink*) { return FMRAI_OK; }
fmrai_status analyze(void*, const fmrai_report* report, fmrai_sink* err) {
  return guarded(err, [&] { at("analyze"); report->set_document(report->ctx, "{}", 2); });
}
fmrai_status destroy(void* self, fmrai_sink* err) {
  delete static_cast<int*>(self);
  return guarded(err, [&] { at("destroy"); });
}
fmrai_status init(const fmrai_host*, fmrai_sink*) { return FMRAI_OK; }
uint32_t count() { return 1; }
const fmrai_analyzer* analyzer(uint32_t) {
  static const fmrai_analyzer it = {sizeof(fmrai_analyzer), 0,     nullptr, describe, nullptr, create, prepare,
                                    track_batch,            state, merge,   analyze,  destroy, nullptr};
  return &it;
}

}  // namespace

const fmrai_plugin* fmrai_plugin_entry_v1(uint32_t, uint32_t) {
  static const fmrai_plugin it = {FMRAI_MAGIC, FMRAI_ABI_MAJOR, FMRAI_ABI_MINOR, sizeof(fmrai_plugin), 0,
                                  init,        count,           analyzer,        nullptr};
  return &it;
}
