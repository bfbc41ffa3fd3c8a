// Operations that Python libraries define in Python, and that exported programs call.
#include <ATen/Functions.h>
#include <torch/library.h>

#include <memory>

#include "call.h"

namespace fmrai {
namespace {

// One matrix product per expert. `input` [token, in] sorted by expert, `weight` [expert, in, out], `offs` [expert]: where the
// rows of each expert end.
at::Tensor grouped_mm(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& offs) {
  TORCH_CHECK(input.dim() == 2 && weight.dim() == 3 && offs.dim() == 1, "grouped_mm_fallback takes [token, in], [expert, in, out], [expert]");
  TORCH_CHECK(offs.size(0) <= weight.size(0), "grouped_mm_fallback has more groups than experts");
  const auto ends = offs.to(at::kCPU, at::kLong).contiguous();
  const auto* end = ends.const_data_ptr<int64_t>();
  auto output = at::zeros({input.size(0), weight.size(2)}, input.options());
  int64_t start = 0;
  for (int64_t expert = 0; expert < ends.size(0); ++expert) {
    TORCH_CHECK(start <= end[expert] && end[expert] <= input.size(0), "grouped_mm_fallback has ends out of order");
    if (end[expert] > start) {
      output.slice(0, start, end[expert]).copy_(at::mm(input.slice(0, start, end[expert]), weight.select(0, expert)));
    }
    start = end[expert];
  }
  return output;
}

}  // namespace

void register_stand_ins() {
  static torch::Library* library = []() -> torch::Library* {
    // A process that has the real one keeps it.
    if (c10::Dispatcher::singleton().findSchema({"transformers::grouped_mm_fallback", ""})) return nullptr;
    auto made = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "transformers", std::nullopt, __FILE__, __LINE__);
    made->def("grouped_mm_fallback(Tensor input, Tensor weight, Tensor offs) -> Tensor");
    made->impl("grouped_mm_fallback", torch::dispatch(c10::DispatchKey::CompositeImplicitAutograd, &grouped_mm));
    return made.release();
  }();
  (void)library;
}

}  // namespace fmrai
