#include "meter.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "guard.h"

namespace fmrai {

// Told by libtorch of each block of memory of a tensor that this thread allocates (positive) or frees (negative).
class Counted : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
    held_ += bytes;
    most_ = std::max(most_, held_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t most() const { return most_; }

 private:
  int64_t held_ = 0;
  int64_t most_ = 0;
};

}  // namespace fmrai

struct fmrai_meter {
  std::shared_ptr<fmrai::Counted> counted = std::make_shared<fmrai::Counted>();
  // What counted for this thread before does so again when this goes.
  std::optional<c10::DebugInfoGuard> guard;
};

extern "C" {

char* fmrai_meter_begin(fmrai_meter** meter) {
  return fmrai::guarded([&] {
    auto made = std::make_unique<fmrai_meter>();
    // A profiler takes what stands in this place for its own: it is left alone, and nothing is counted.
    auto* before = c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::PROFILER_STATE);
    if (before == nullptr || dynamic_cast<fmrai::Counted*>(before) != nullptr) {
      made->guard.emplace(c10::DebugInfoKind::PROFILER_STATE, made->counted);
    }
    *meter = made.release();
  });
}

int64_t fmrai_meter_peak(const fmrai_meter* meter) { return meter->counted->most(); }

void fmrai_meter_end(fmrai_meter* meter) { delete meter; }

}  // extern "C"
