// See clean.h.
#include "clean.h"

#include <ATen/core/enum_tag.h>

namespace fmrai {

void Clean::add(
    const c10::OperatorHandle& op, const OperationInfo& info, c10::ArrayRef<c10::IValue> arguments,
    c10::ArrayRef<c10::IValue> returns, const at::Tensor& probabilities) {
  made_.emplace_back();
  if (info.writes) {
    auto wrote = [&](const at::Tensor& tensor) { written_.insert(storage_of(tensor)); };
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (info.arguments[i].written) each_tensor(arguments[i], wrote);
    }
    for (const auto& value : returns) each_tensor(value, wrote);
    return;
  }
  if (op.hasTag(at::Tag::nondeterministic_seeded) || returns.empty() || bytes_ > limit_) return;
  uint64_t more = 0;
  bool plain = true;
  auto see = [&](const at::Tensor& tensor) {
    auto* storage = storage_of(tensor);
    plain &= storage != nullptr;
    if (storage != nullptr && held_.insert(storage).second) more += storage->nbytes();
  };
  for (const auto& value : returns) {
    plain &= value.isTensor() || value.isTensorList();
    each_tensor(value, see);
  }
  if (probabilities.defined()) see(probabilities);
  bytes_ += more;
  if (!plain) return;
  for (const auto& value : returns) made_.back().returns.push_back(aliased(value));
  made_.back().probabilities = another_handle(probabilities);
}

c10::IValue aliased(const c10::IValue& value) {
  if (value.isTensor()) return another_handle(value.toTensor());
  if (!value.isTensorList()) return value;
  auto list = value.toTensorVector();
  for (auto& item : list) item = another_handle(item);
  return list;
}

void Clean::finish() {
  for (auto& made : made_) {
    bool written = false;
    for (const auto& value : made.returns) {
      each_tensor(value, [&](const at::Tensor& tensor) { written |= written_.count(storage_of(tensor)) != 0; });
    }
    if (written) made = Made();
  }
  written_.clear();
  held_.clear();
}

const Clean::Made* Clean::made(uint32_t operation) const {
  if (operation >= made_.size() || made_[operation].returns.empty()) return nullptr;
  return &made_[operation];
}

}  // namespace fmrai
