// See undo.h.
#include "undo.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <mutex>

#include "hook.h"

namespace fmrai {
namespace {

// All bytes of a storage as a tensor that shares them.
at::Tensor bytes_of(c10::intrusive_ptr<c10::StorageImpl> storage) {
  const auto length = static_cast<int64_t>(storage->nbytes());
  auto bytes = at::empty({0}, at::TensorOptions().dtype(at::kByte).device(storage->device()));
  return bytes.set_(c10::Storage(std::move(storage)), 0, {length}, {1});
}

at::Tensor alias_of(const at::Tensor& tensor) {
  auto* impl = tensor.unsafeGetTensorImpl();
  return at::Tensor(impl->shallow_copy_and_detach(c10::VariableVersion(0), /*allow_tensor_metadata_change=*/true));
}

bool same_form(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.strides() == b.strides() && a.storage_offset() == b.storage_offset() &&
      a.scalar_type() == b.scalar_type();
}

}  // namespace

Randomness Randomness::now() {
  Randomness now;
  auto add = [&](const at::Generator& generator) {
    auto own = generator;
    std::lock_guard<std::mutex> lock(own.mutex());
    now.states_.emplace_back(own, own.get_state());
  };
  add(at::detail::getDefaultCPUGenerator());
  if (at::globalContext().hasCUDA()) {
    const auto& hooks = at::detail::getCUDAHooks();
    const auto count = hooks.deviceCount();
    for (int i = 0; i < count; ++i) {
      // A device that is not in use is not woken up for this.
      const auto index = static_cast<c10::DeviceIndex>(i);
      if (hooks.hasPrimaryContext(index)) add(at::globalContext().defaultGenerator(at::Device(at::kCUDA, index)));
    }
  }
  return now;
}

void Randomness::set() const {
  for (const auto& [generator, state] : states_) {
    auto own = generator;
    std::lock_guard<std::mutex> lock(own.mutex());
    own.set_state(state);
  }
}

bool Randomness::operator==(const Randomness& other) const {
  if (states_.size() != other.states_.size()) return false;
  for (size_t i = 0; i < states_.size(); ++i) {
    if (!at::equal(states_[i].second, other.states_[i].second)) return false;
  }
  return true;
}

Undo::Undo() {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  random_ = Randomness::now();
}

void Undo::see(const c10::IValue& value, bool made) {
  each_tensor(value, [&](const at::Tensor& tensor) {
    auto* storage = storage_of(tensor);
    if (storage == nullptr || seen_.find(storage) != seen_.end()) return;
    seen_.emplace(storage, Seen{made, StoragePin(tensor.storage().getWeakStorageImpl())});
  });
}

void Undo::save(const at::Tensor& tensor) {
  at::NoGradGuard no_grad;
  auto* storage = storage_of(tensor);
  if (storage == nullptr) {
    auto same = [&](const Opaque& other) { return other.tensor.is_same(tensor); };
    if (tensor.is_meta() || std::any_of(opaque_.begin(), opaque_.end(), same)) return;
    opaque_.push_back({tensor, tensor.detach().clone()});
    return;
  }
  if (const auto found = seen_.find(storage); found != seen_.end() && found->second.made) return;
  auto same = [&](const Header& other) { return other.tensor.is_same(tensor); };
  if (std::none_of(headers_.begin(), headers_.end(), same)) headers_.push_back({tensor, alias_of(tensor)});
  if (storage->device().is_meta() || memory_.find(storage) != memory_.end()) return;
  auto strong = tensor.storage();
  at::Tensor bytes = bytes_of(c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(strong.unsafeGetStorageImpl())).clone();
  memory_.emplace(storage, Memory{StoragePin(strong.getWeakStorageImpl()), std::move(bytes)});
}

void Undo::before(const OperationInfo& info, c10::ArrayRef<c10::IValue> arguments) {
  for (const auto& argument : arguments) see(argument, /*made=*/false);
  look_at_random();
  if (info.draws && !drew_) before_operation_ = Randomness::now();
  if (!info.writes) return;
  if (info.writes_if >= 0 && !arguments[info.writes_if].toBool()) return;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (info.arguments[i].written) each_tensor(arguments[i], [&](const at::Tensor& tensor) { save(tensor); });
  }
}

void Undo::after(const OperationInfo&, c10::ArrayRef<c10::IValue> returns) {
  for (const auto& value : returns) see(value, /*made=*/true);
  look_at_random();
}

void Undo::look_at_random() {
  if (!before_operation_) return;
  drew_ = !(*before_operation_ == Randomness::now());
  before_operation_.reset();
}

void Undo::ended() {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  look_at_random();
  seen_.clear();
}

void Undo::exchange() {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  at::NoGradGuard no_grad;
  for (auto& [address, memory] : memory_) {
    auto storage = memory.storage.lock();
    if (!storage) continue;  // nobody can see it any more
    at::Tensor view = bytes_of(std::move(storage));
    at::Tensor now = view.clone();
    const auto length = std::min(view.numel(), memory.bytes.numel());
    view.narrow(0, 0, length).copy_(memory.bytes.narrow(0, 0, length));
    memory.bytes = std::move(now);
  }
  for (auto& header : headers_) {
    at::Tensor now = alias_of(header.tensor);
    const bool same = storage_of(now) == storage_of(header.form) && same_form(now, header.form);
    if (!same) header.tensor.unsafeGetTensorImpl()->shallow_copy_from(header.form.getIntrusivePtr());
    header.form = std::move(now);
  }
  for (auto& opaque : opaque_) {
    at::Tensor now = opaque.tensor.detach().clone();
    opaque.tensor.detach().copy_(opaque.elements);
    opaque.elements = std::move(now);
  }
  if (!drew_) return;
  Randomness now = Randomness::now();
  random_.set();
  random_ = std::move(now);
}

bool Undo::wrote(const at::Tensor& tensor) const {
  if (!tensor.defined()) return false;
  auto same = [&](const auto& entry) { return entry.tensor.is_same(tensor); };
  if (std::any_of(headers_.begin(), headers_.end(), same) || std::any_of(opaque_.begin(), opaque_.end(), same)) return true;
  auto* storage = storage_of(tensor);
  return storage != nullptr && memory_.find(storage) != memory_.end();
}

at::Tensor Undo::as_before(const Header& header) const {
  const auto found = memory_.find(storage_of(header.form));
  if (found == memory_.end()) return header.form;
  auto elements = at::empty({0}, header.form.options());
  return elements.set_(
      found->second.bytes.storage(), header.form.storage_offset(), header.form.sizes(), header.form.strides());
}

bool Undo::lasts(const std::vector<const at::Tensor*>& except) const {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  at::NoGradGuard no_grad;
  auto given = [&](const at::Tensor& tensor) {
    return std::any_of(except.begin(), except.end(), [&](const at::Tensor* other) {
      if (!other->defined()) return false;
      return other->is_same(tensor) || (storage_of(*other) != nullptr && storage_of(*other) == storage_of(tensor));
    });
  };
  for (const auto& header : headers_) {
    // A view that nobody else holds: its memory is looked at below.
    if (header.tensor.use_count() == 1 || given(header.tensor) || given(header.form)) continue;
    const auto before = as_before(header);
    if (!header.tensor.sizes().equals(before.sizes()) || header.tensor.scalar_type() != before.scalar_type()) return true;
    if (!at::equal(header.tensor.detach(), before)) return true;
  }
  for (const auto& [address, memory] : memory_) {
    auto storage = memory.storage.lock();
    if (!storage) continue;
    // How often it is held here: by the pin that was just made, and by what was noted of tensors.
    size_t own = 1;
    for (const auto& header : headers_) own += storage_of(header.form) == address;
    for (const auto& header : headers_) own += storage_of(header.tensor) == address && header.tensor.use_count() == 1;
    if (storage.use_count() <= own) continue;
    auto is_given = [&](const at::Tensor* other) { return other->defined() && storage_of(*other) == address; };
    if (std::any_of(except.begin(), except.end(), is_given)) continue;
    if (!at::equal(bytes_of(std::move(storage)), memory.bytes)) return true;
  }
  for (const auto& opaque : opaque_) {
    if (!given(opaque.tensor)) return true;
  }
  return drew_ && !(random_ == Randomness::now());
}

}  // namespace fmrai
