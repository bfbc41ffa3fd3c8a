// See handover.h.
#include "handover.h"

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <mutex>
#include <stdexcept>
#include <unordered_map>

#include "guard.h"

namespace {

struct Waiting {
  std::mutex mutex;
  std::unordered_map<int64_t, at::Tensor> tensors;
  int64_t next = 0;
};

Waiting& waiting() {
  // Never destroyed: tensors may be handed out while the process ends.
  static auto& all = *new Waiting();
  return all;
}

at::Tensor take(int64_t number) {
  auto& all = waiting();
  std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.tensors.find(number);
  if (found == all.tensors.end()) throw std::runtime_error("no tensor waits under this number");
  auto tensor = std::move(found->second);
  all.tensors.erase(found);
  return tensor;
}

}  // namespace

extern "C" {

char* fmrai_tensor_of_implementation(uintptr_t address, at::Tensor** tensor) {
  return fmrai::guarded([&] {
    auto* implementation = reinterpret_cast<c10::TensorImpl*>(address);
    if (implementation == nullptr) throw std::runtime_error("there is no tensor");
    *tensor = new at::Tensor(
        c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim_copy(implementation));
  });
}

char* fmrai_handover_define(void) {
  return fmrai::guarded([] {
    static torch::Library* library = [] {
      auto made = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "fmrai", std::nullopt, __FILE__, __LINE__);
      made->def("take(int number) -> Tensor", torch::dispatch(c10::DispatchKey::CompositeImplicitAutograd, take));
      return made.release();
    }();
    (void)library;
  });
}

char* fmrai_handover_put(const at::Tensor* tensor, int64_t* number) {
  return fmrai::guarded([&] {
    auto& all = waiting();
    std::lock_guard<std::mutex> lock(all.mutex);
    *number = all.next++;
    all.tensors.emplace(*number, *tensor);
  });
}

}  // extern "C"
