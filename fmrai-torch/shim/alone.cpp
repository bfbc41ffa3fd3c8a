// See alone.h.
#include "alone.h"

#include <cstddef>
#include <unordered_map>

namespace fmrai {

namespace {

// What is known to hold a tensor: references given, and views that name it as their base.
struct Known {
  const at::TensorBase* tensor;
  size_t holders = 0;
};

}  // namespace

std::vector<bool> alone(const std::vector<const at::Tensor*>& tensors) {
  std::unordered_map<const c10::TensorImpl*, Known> known;
  const auto strided = [](const at::TensorBase& t) {
    return t.defined() && !t.is_nested() && t.layout() == at::kStrided && t.device().is_cpu() && t.has_storage();
  };
  const auto held = [&](const at::TensorBase& t) {
    auto& entry = known[t.unsafeGetTensorImpl()];
    entry.tensor = &t;
    return ++entry.holders == 1;
  };
  for (const auto* t : tensors) {
    // A view holds the tensor that it is of, whoever else has that.
    if (strided(*t) && held(*t) && t->is_view() && strided(t->_base())) held(t->_base());
  }
  std::unordered_map<const c10::StorageImpl*, size_t> reaching;
  const auto storage = [](const at::TensorBase& t) { return t.storage().unsafeGetStorageImpl(); };
  for (const auto& [_, entry] : known) {
    // One that somebody else holds reaches the memory for them.
    if (entry.tensor->use_count() == entry.holders) ++reaching[storage(*entry.tensor)];
  }
  std::vector<bool> found;
  found.reserve(tensors.size());
  for (const auto* t : tensors) {
    const auto count = strided(*t) ? reaching.find(storage(*t)) : reaching.end();
    found.push_back(count != reaching.end() && t->storage().use_count() == count->second);
  }
  return found;
}

}  // namespace fmrai
