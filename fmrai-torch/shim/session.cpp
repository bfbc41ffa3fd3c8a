// See session.h.
#include "session.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "clean.h"

namespace fmrai {
namespace {

// Tags of encoded arguments; read by decode.rs.
enum Tag : uint8_t {
  TAG_NONE, TAG_TENSOR, TAG_TENSORS, TAG_BOOL, TAG_BOOLS, TAG_INT, TAG_INTS, TAG_SIZE, TAG_SIZES,
  TAG_FLOAT, TAG_FLOATS, TAG_TEXT, TAG_OTHER,
};

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, const std::string& text) {
  put<uint32_t>(out, static_cast<uint32_t>(text.size()));
  out += text;
}

uint64_t mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15ull + (hash << 6) + (hash >> 2);
  hash *= 0xff51afd7ed558ccdull;
  return hash ^ (hash >> 33);
}
uint64_t mix_text(uint64_t hash, const std::string& text) {
  for (unsigned char c : text) hash = mix(hash, c);
  return mix(hash, text.size());
}
uint64_t bits(double value) {
  uint64_t out;
  std::memcpy(&out, &value, sizeof out);
  return out;
}

// The number that a tensor was made of to be an argument; none for all other tensors.
c10::IValue as_number(const c10::IValue& value) {
  if (!value.isTensor() || !value.toTensor().defined()) return {};
  const auto& tensor = value.toTensor();
  if (!tensor.unsafeGetTensorImpl()->is_wrapped_number() || tensor.dim() != 0 || !tensor.is_cpu()) return {};
  switch (tensor.scalar_type()) {
    case at::kDouble:
      return *tensor.const_data_ptr<double>();
    case at::kLong:
      return *tensor.const_data_ptr<int64_t>();
    case at::kBool:
      return *tensor.const_data_ptr<bool>();
    default:
      return {};
  }
}

bool is_size(const c10::TypePtr& type) {
  switch (type->kind()) {
    case c10::TypeKind::SymIntType:
      return true;
    case c10::TypeKind::ListType:
    case c10::TypeKind::OptionalType:
      return type->containedTypeSize() == 1 && is_size(type->containedType(0));
    default:
      return false;
  }
}

bool one_of(const std::string& name, std::initializer_list<const char*> names) {
  for (const char* candidate : names) {
    if (name == candidate) return true;
  }
  return false;
}

}  // namespace

const OperationInfo& operation_info(const c10::OperatorHandle& op) {
  // Never destroyed: a destructor of the thread may still run operations.
  using Cache = ska::flat_hash_map<const c10::FunctionSchema*, std::unique_ptr<OperationInfo>>;
  thread_local Cache& cache = *new Cache();
  const auto& schema = op.schema();
  auto& slot = cache[&schema];
  if (slot) return *slot;
  auto info = std::make_unique<OperationInfo>();
  const std::string& base = schema.name();
  info->name = schema.overload_name().empty() ? base : base + "." + schema.overload_name();
  info->hash = mix_text(0, info->name);
  info->returns = schema.returns().size();
  info->writes = false;
  info->takes_numbers = false;
  info->writes_if = -1;
  info->own = base.rfind("fmrai::", 0) == 0;
  // Operations of other libraries need not have the tag.
  info->draws = op.hasTag(at::Tag::nondeterministic_seeded) || base.rfind("aten::", 0) != 0;
  // They update their running statistics without saying so.
  const bool norm = one_of(
      base, {"aten::batch_norm", "aten::instance_norm", "aten::native_batch_norm", "aten::cudnn_batch_norm",
             "aten::miopen_batch_norm", "aten::_batch_norm_impl_index"});
  // Bounds of a range are sizes although their schema says number.
  const bool bounds = one_of(base, {"aten::arange", "aten::range", "aten::linspace", "aten::logspace"});
  for (const auto& argument : schema.arguments()) {
    const bool statistic = norm && one_of(argument.name(), {"running_mean", "running_var"});
    const bool written = statistic || (argument.alias_info() != nullptr && argument.alias_info()->isWrite());
    const auto& type = argument.real_type();
    const bool maybe = type->kind() == c10::TypeKind::OptionalType && type->containedTypeSize() == 1;
    const auto kind = maybe ? type->containedType(0)->kind() : type->kind();
    info->takes_numbers |= kind == c10::TypeKind::NumberType;
    info->draws |= kind == c10::TypeKind::GeneratorType;
    const bool number = type->kind() == c10::TypeKind::NumberType || argument.name() == "steps";
    if (norm && one_of(argument.name(), {"training", "train", "use_input_stats"})) {
      info->writes_if = static_cast<int>(info->arguments.size());
    }
    info->arguments.push_back(
        {argument.name(), is_size(argument.real_type()) || (bounds && number), written, kind == c10::TypeKind::NumberType});
    info->writes |= written;
  }
  info->fused_attention = base == "aten::scaled_dot_product_attention" && info->arguments.size() == 8;
  info->transparent = one_of(base, {"aten::contiguous", "aten::resolve_conj", "aten::resolve_neg"});
  info->may_return_input = one_of(
      base, {"aten::to", "aten::type_as", "aten::dropout", "aten::feature_dropout", "aten::alpha_dropout",
             "aten::feature_alpha_dropout", "aten::native_dropout", "aten::flatten", "aten::ravel", "aten::positive",
             "aten::real", "aten::conj", "aten::sum_to_size", "aten::lift_fresh", "aten::pin_memory"});
  slot = std::move(info);
  return *slot;
}

void Session::name(const at::Tensor& tensor, Leaf kind, std::string name) {
  named_[tensor.unsafeGetTensorImpl()] = Named{kind, std::move(name), tensor};
}

void Session::expect(
    std::vector<uint64_t> hashes, std::vector<uint32_t> results, std::vector<uint8_t> wanted,
    std::vector<uint8_t> explicit_attention) {
  comparing_ = true;
  expected_ = std::move(hashes);
  expected_results_ = std::move(results);
  wanted_ = std::move(wanted);
  explicit_ = std::move(explicit_attention);
}

uint32_t Session::allocate(const at::Tensor& tensor, Leaf leaf, uint32_t operation, uint32_t version_of) {
  const uint32_t id = next_id_++;
  if (discovering()) {
    TensorRecord record;
    record.leaf = leaf;
    record.operation = operation;
    record.version_of = version_of;
    record.dtype = -1;
    if (tensor.defined()) {
      record.dtype = static_cast<int32_t>(tensor.scalar_type());
      try {
        for (int64_t size : tensor.sizes()) record.shape.push_back(size);
      } catch (const std::exception&) {
        record.shape.clear();  // nested and symbolic tensors have no plain sizes
      }
    }
    if (operation != NONE) {
      // The operation that is just ending is still pending.
      auto& outputs = operation < records_.size() ? records_[operation].outputs : pending_.outputs;
      record.output = static_cast<uint32_t>(outputs.size());
      outputs.push_back(id);
    } else if (auto found = named_.find(tensor.unsafeGetTensorImpl()); found != named_.end()) {
      record.leaf = found->second.kind;
      record.name = found->second.name;
    }
    tensors_.push_back(std::move(record));
  } else {
    keep(id, tensor);
  }
  return id;
}

void Session::keep(uint32_t id, const at::Tensor& tensor) {
  if (diverged_ || id >= wanted_.size() || !wanted_[id] || !tensor.defined()) return;
  if (auto* storage = storage_of(tensor)) kept_in_[storage].push_back(kept.size());
  // Not the model's own handle: the model may count references to it, or exchange its data.
  at::Tensor alias = another_handle(tensor);
  kept.push_back({id, std::move(alias), 0, false, Kept::Valid});
  if (!tensor.is_inference()) unsettled_.emplace_back(kept.size() - 1, TensorPin(tensor.getIntrusivePtr()));
}

void Session::settle() {
  for (auto& [index, pin] : unsettled_) {
    const auto source = pin.lock();
    // What is gone can be written through its views only, which `protect` sees.
    if (!source || index >= kept.size()) continue;
    Slot& slot = kept[index];
    slot.tensor.unsafeGetTensorImpl()->set_version_counter(source->version_counter());
    slot.version = slot.tensor._version();
  }
  unsettled_.clear();
}

Session::Entry& Session::entry_of(const at::Tensor& tensor) {
  auto* impl = tensor.unsafeGetTensorImpl();
  auto* storage = storage_of(tensor);
  const auto write = storage != nullptr ? writes_.find(storage) : writes_.end();
  auto found = live_.find(impl);
  if (found != live_.end()) {
    Entry& entry = found->second;
    if (write == writes_.end() || write->second.at <= entry.as_of) return entry;
    // Memory that it shares was written since: it holds other values now.
    entry.id = entry.root = allocate(tensor, Leaf::Made, write->second.operation, entry.id);
    entry.as_of = write->second.at;
    return entry;
  }
  if (auto moved = moved_.find(impl); moved != moved_.end()) {
    auto source = moved->second.source.lock();
    moved_.erase(moved);
    if (source) {
      const Entry& of = entry_of(at::Tensor(std::move(source)));
      Entry entry{of.id, of.root, operations_, TensorPin(tensor.getIntrusivePtr())};
      return live_.emplace(impl, std::move(entry)).first->second;
    }
  }
  // First seen now: a leaf, unless its memory was written during this pass.
  const bool made = write != writes_.end();
  const uint32_t id =
      allocate(tensor, made ? Leaf::Made : Leaf::Constant, made ? write->second.operation : NONE, NONE);
  Entry entry{id, id, operations_, TensorPin(tensor.getIntrusivePtr())};
  return live_.emplace(impl, std::move(entry)).first->second;
}

uint64_t Session::visit(const c10::IValue& given, bool size, std::string* out, bool any_integer) {
  const c10::IValue number = as_number(given);
  const c10::IValue& value = number.isNone() ? given : number;
  auto tag = [&](Tag t) {
    if (out != nullptr) put<uint8_t>(*out, t);
    return static_cast<uint64_t>(t) + 1;
  };
  auto put_tensor = [&](const at::Tensor& tensor) -> uint64_t {
    uint32_t id = NONE;
    uint64_t root = NONE;
    if (tensor.defined()) {
      const Entry& entry = entry_of(tensor);
      id = entry.id;
      root = entry.root;
      if (first_root_ == NONE) first_root_ = entry.root;
    }
    if (out != nullptr) put<uint32_t>(*out, id);
    return root;
  };
  auto count = [&](size_t n) {
    if (out != nullptr) put<uint32_t>(*out, static_cast<uint32_t>(n));
    return static_cast<uint64_t>(n);
  };

  if (value.isTensor()) {
    if (!value.toTensor().defined()) return tag(TAG_NONE);
    const uint64_t hash = tag(TAG_TENSOR);
    return mix(hash, put_tensor(value.toTensor()));
  }
  if (value.isNone()) return tag(TAG_NONE);
  if (size) {
    // Sizes are written down, but are no part of the identity.
    if (out == nullptr) return TAG_SIZE;
    if (value.isInt() || value.isSymInt()) {
      tag(TAG_SIZE);
      put<int64_t>(*out, value.isInt() ? value.toInt() : value.toSymInt().guard_int(__FILE__, __LINE__));
    } else if (value.isDouble()) {
      tag(TAG_FLOAT);
      put<double>(*out, value.toDouble());
    } else if (value.isBool()) {
      tag(TAG_BOOL);
      put<uint8_t>(*out, value.toBool());
    } else if (value.isList()) {
      tag(TAG_SIZES);
      const auto list = value.toListRef();
      count(list.size());
      for (const auto& item : list) {
        int64_t size = -1;
        if (item.isInt()) size = item.toInt();
        if (item.isSymInt()) size = item.toSymInt().guard_int(__FILE__, __LINE__);
        put<int64_t>(*out, size);
      }
    } else {
      tag(TAG_OTHER);
      put_text(*out, value.tagKind());
    }
    return TAG_SIZE;
  }
  if (value.isBool()) {
    const uint64_t hash = tag(TAG_BOOL);
    if (out != nullptr) put<uint8_t>(*out, value.toBool());
    return mix(hash, value.toBool());
  }
  if (value.isInt()) {
    const uint64_t hash = tag(TAG_INT);
    if (out != nullptr) put<int64_t>(*out, value.toInt());
    return any_integer ? hash : mix(hash, static_cast<uint64_t>(value.toInt()));
  }
  if (value.isDouble()) {
    const uint64_t hash = tag(TAG_FLOAT);
    if (out != nullptr) put<double>(*out, value.toDouble());
    return mix(hash, bits(value.toDouble()));
  }
  if (value.isString()) {
    const uint64_t hash = tag(TAG_TEXT);
    if (out != nullptr) put_text(*out, value.toStringRef());
    return mix_text(hash, value.toStringRef());
  }
  if (value.isDevice()) {
    // Not part of the identity: the same program runs on any device.
    const uint64_t hash = tag(TAG_OTHER);
    if (out != nullptr) put_text(*out, value.toDevice().str());
    return hash;
  }
  if (value.isList()) {
    const auto list = value.toListRef();
    auto all = [&](auto test) { return !list.empty() && std::all_of(list.begin(), list.end(), test); };
    if (all([](const c10::IValue& v) { return v.isTensor() || v.isNone(); })) {
      uint64_t hash = tag(TAG_TENSORS);
      hash = mix(hash, count(list.size()));
      for (const auto& item : list) hash = mix(hash, put_tensor(item.isTensor() ? item.toTensor() : at::Tensor()));
      return hash;
    }
    if (all([](const c10::IValue& v) { return v.isBool(); })) {
      uint64_t hash = tag(TAG_BOOLS);
      hash = mix(hash, count(list.size()));
      for (const auto& item : list) {
        if (out != nullptr) put<uint8_t>(*out, item.toBool());
        hash = mix(hash, item.toBool());
      }
      return hash;
    }
    if (all([](const c10::IValue& v) { return v.isDouble(); })) {
      uint64_t hash = tag(TAG_FLOATS);
      hash = mix(hash, count(list.size()));
      for (const auto& item : list) {
        if (out != nullptr) put<double>(*out, item.toDouble());
        hash = mix(hash, bits(item.toDouble()));
      }
      return hash;
    }
    if (list.empty() || all([](const c10::IValue& v) { return v.isInt(); })) {
      uint64_t hash = tag(TAG_INTS);
      hash = mix(hash, count(list.size()));
      for (const auto& item : list) {
        if (out != nullptr) put<int64_t>(*out, item.toInt());
        hash = mix(hash, static_cast<uint64_t>(item.toInt()));
      }
      return hash;
    }
  }
  const uint64_t hash = tag(TAG_OTHER);
  if (out != nullptr) put_text(*out, value.tagKind());
  return hash;
}

bool Session::wants_explicit_attention(const OperationInfo& info) const {
  return info.fused_attention && !diverged_ && !mismatch_ && operations_ < explicit_.size() && explicit_[operations_] != 0;
}

void Session::act_on(std::vector<uint8_t> results, std::vector<uint8_t> scores, Act act) {
  acts_ = std::move(results);
  acts_on_scores_ = std::move(scores);
  act_ = std::move(act);
}

bool Session::acts_inside(const OperationInfo& info) const {
  if (!act_ || !info.fused_attention || !follows()) return false;
  const bool scores = operations_ < acts_on_scores_.size() && acts_on_scores_[operations_] != 0;
  return scores || acts_at(next_id_ + static_cast<uint32_t>(info.returns));
}

at::Tensor Session::act_on_scores(const at::Tensor& scores) {
  if (!act_ || !follows() || operations_ >= acts_on_scores_.size() || acts_on_scores_[operations_] == 0) return scores;
  auto other = act_(Part::Scores, operations_, scores);
  return other.defined() ? other : scores;
}

at::Tensor Session::act_on_probabilities(const at::Tensor& probabilities) {
  // Fused attention returns its context alone; the probabilities have the id after it.
  const uint32_t id = next_id_ + 1;
  if (!act_ || !follows() || !acts_at(id)) return probabilities;
  auto other = act_(Part::Result, id, probabilities);
  return other.defined() ? other : probabilities;
}

void Session::touch(const at::Tensor& tensor) {
  if (auto* storage = storage_of(tensor)) touched_.insert(storage);
}

bool Session::serve(const OperationInfo& info, std::vector<c10::IValue>* stack, at::Tensor* probabilities) {
  touching_ = false;
  if (served_ == nullptr) return false;
  const size_t count = info.arguments.size();
  const auto arguments = torch::jit::last(*stack, count);
  auto look = [&](const at::Tensor& tensor) {
    auto* storage = storage_of(tensor);
    touching_ |= storage == nullptr || touched_.count(storage) != 0;
  };
  for (const auto& value : arguments) each_tensor(value, look);
  if (touching_ || info.writes || info.transparent || !follows()) return false;
  const auto* made = served_->made(operations_);
  if (made == nullptr || made->returns.size() != info.returns) return false;
  if (wants_explicit_attention(info) && !made->probabilities.defined()) return false;
  ++served_->served;
  torch::jit::drop(*stack, count);
  for (const auto& value : made->returns) stack->push_back(aliased(value));
  *probabilities = made->probabilities;
  return true;
}

void Session::fill(
    const c10::OperatorHandle& op, const OperationInfo& info, c10::ArrayRef<c10::IValue> arguments,
    c10::ArrayRef<c10::IValue> returns, const at::Tensor& probabilities) {
  if (filled_ == nullptr || info.transparent || diverged_) return;
  filled_->add(op, info, arguments, returns, probabilities);
}

void Session::act_on_results(
    const OperationInfo& info, c10::ArrayRef<c10::IValue> returns, std::vector<c10::IValue>* stack) {
  if (!act_ || !follows() || info.transparent) return;
  uint32_t id = next_id_;
  auto acted = [&](const at::Tensor& value) -> at::Tensor {
    if (!value.defined()) return {};
    const uint32_t place = id++;
    if (!acts_at(place)) return {};
    auto other = act_(Part::Result, place, value);
    if (!other.defined() || other.is_same(value)) return {};
    for (const auto& written : written_) {
      if (!written.tensor.is_same(value)) continue;
      // The model holds this very tensor: it is given the other elements.
      value.copy_(other);
      if (served_ != nullptr) touch(value);
      return {};
    }
    // A tensor of its own, laid out as the one it stands for: whoever gave it may keep it, or give it twice, and the model may write it.
    auto own = value.is_non_overlapping_and_dense()
        ? at::empty_strided(value.sizes(), value.strides(), value.options()).copy_(other)
        : other.clone();
    if (served_ != nullptr) touch(own);
    return own;
  };
  const size_t first = stack->size() - returns.size();
  for (size_t i = 0; i < returns.size(); ++i) {
    auto& value = (*stack)[first + i];
    if (value.isTensor()) {
      auto other = acted(value.toTensor());
      if (other.defined()) value = std::move(other);
    } else if (value.isTensorList()) {
      auto list = value.toTensorVector();
      bool changed = false;
      for (auto& item : list) {
        auto other = acted(item);
        if (!other.defined()) continue;
        item = std::move(other);
        changed = true;
      }
      if (changed) value = std::move(list);
    }
  }
}

void Session::protect(const at::Tensor& written) {
  auto* storage = storage_of(written);
  const auto found = storage != nullptr ? kept_in_.find(storage) : kept_in_.end();
  if (found == kept_in_.end()) return;
  for (size_t index : found->second) {
    Slot& slot = kept[index];
    if (slot.copied) continue;
    if (!slot.tensor.is_inference() && static_cast<uint64_t>(slot.tensor._version()) != slot.version) {
      slot.state = Kept::Overwritten;  // somebody wrote without saying so
    }
    slot.tensor = slot.tensor.clone();
    slot.copied = true;
  }
}

void Session::before(
    const OperationInfo& info, c10::ArrayRef<c10::IValue> arguments, ScopePath scope, const Note* note) {
  if (diverged_) return;
  settle();
  note_ = note;
  results_named_ = 0;
  auto path = [&] {
    std::string of_scope = scope != nullptr ? scope() : std::string();
    if (note == nullptr || note->module.empty()) return of_scope;
    return of_scope.empty() ? note->module : of_scope + "." + note->module;
  };
  auto is_size = [&](size_t i) {
    return info.arguments[i].size || (note != nullptr && i < note->sizes.size() && note->sizes[i] != 0);
  };
  first_root_ = NONE;
  mismatch_ = false;
  found_.clear();
  written_.clear();
  moving_.reset();
  if (info.transparent) {
    if (!arguments.empty() && arguments[0].isTensor()) moving_ = arguments[0].toTensor();
    return;
  }
  pending_ = OperationRecord{&info, {}, {}, {}, {}, 0, 0};
  std::string* out = discovering() ? &pending_.arguments : nullptr;
  if (out != nullptr) pending_.scope = path();
  if (out != nullptr && note != nullptr) pending_.source = note->source;
  hash_ = info.hash;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (out != nullptr) put_text(*out, info.arguments[i].name);
    const bool any_integer = integers_may_be_sizes_ && info.arguments[i].number;
    hash_ = mix(hash_, visit(arguments[i], is_size(i), out, any_integer));
  }
  pending_.hash = hash_;
  if (comparing_ && (operations_ >= expected_.size() || expected_[operations_] != hash_)) {
    mismatch_ = true;
    put_text(found_, info.name);
    put_text(found_, path());
    put<uint32_t>(found_, static_cast<uint32_t>(arguments.size()));
    for (size_t i = 0; i < arguments.size(); ++i) {
      put_text(found_, info.arguments[i].name);
      visit(arguments[i], is_size(i), &found_);
    }
  }
  if (!info.writes) return;
  if (info.writes_if >= 0 && !arguments[info.writes_if].toBool()) return;
  auto write = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    const uint32_t old = entry_of(tensor).id;
    written_.push_back({tensor, old, false});
    protect(tensor);
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!info.arguments[i].written) continue;
    if (arguments[i].isTensor()) write(arguments[i].toTensor());
    if (arguments[i].isTensorList()) {
      for (const auto& item : arguments[i].toListRef()) write(item.toTensor());
    }
  }
}

uint32_t Session::output(const at::Tensor& tensor, uint32_t operation) {
  uint32_t version_of = NONE;
  for (auto& written : written_) {
    if (written.tensor.is_same(tensor)) {
      version_of = written.old;
      written.handled = true;
    }
  }
  const uint32_t id = allocate(tensor, Leaf::Made, operation, version_of);
  Entry entry{id, id, operation + 1ull, TensorPin(tensor.getIntrusivePtr())};
  live_.insert_or_assign(tensor.unsafeGetTensorImpl(), std::move(entry));
  return id;
}

void Session::after(
    const OperationInfo& info, c10::ArrayRef<c10::IValue> returns, const at::Tensor& probabilities) {
  if (touching_) {
    // What is computed from something touched is touched; so is what it is written into.
    auto mark = [&](const at::Tensor& tensor) { touch(tensor); };
    for (const auto& value : returns) each_tensor(value, mark);
    for (const auto& written : written_) touch(written.tensor);
  }
  if (diverged_) return;
  if (info.transparent) {
    // Same values, so the same id, wherever they lie in memory.
    const at::Tensor source = std::move(moving_);
    if (!source.defined() || returns.size() != 1 || !returns[0].isTensor()) return;
    const auto& tensor = returns[0].toTensor();
    if (tensor.is_same(source) || live_.find(tensor.unsafeGetTensorImpl()) != live_.end()) return;
    const auto found = live_.find(source.unsafeGetTensorImpl());
    auto* storage = storage_of(source);
    const auto write = storage != nullptr ? writes_.find(storage) : writes_.end();
    if (found != live_.end() && (write == writes_.end() || write->second.at <= found->second.as_of)) {
      Entry entry{found->second.id, found->second.root, operations_, TensorPin(tensor.getIntrusivePtr())};
      live_.emplace(tensor.unsafeGetTensorImpl(), std::move(entry));
    } else {
      // No id is given now: whether this operation is called at all depends on sizes.
      moved_.insert_or_assign(
          tensor.unsafeGetTensorImpl(),
          Moved{TensorPin(tensor.getIntrusivePtr()), TensorPin(source.getIntrusivePtr())});
    }
    return;
  }
  if (mismatch_) {
    diverged_ = true;
    kept.clear();
    kept_in_.clear();
    unsettled_.clear();
    return;
  }
  const uint32_t operation = operations_;
  const uint32_t source = first_root_;
  const uint32_t first_result = next_id_;
  bool first = true;
  auto made = [&](const at::Tensor& tensor) {
    const size_t position = results_named_++;
    if (!tensor.defined()) return;
    const uint32_t id = output(tensor, operation);
    if (discovering() && note_ != nullptr && position < note_->names.size()) tensors_[id].name = note_->names[position];
    if (first && info.may_return_input && source != NONE) live_.find(tensor.unsafeGetTensorImpl())->second.root = source;
    first = false;
  };
  for (const auto& value : returns) {
    if (value.isTensor()) {
      made(value.toTensor());
    } else if (value.isTensorList()) {
      for (const auto& item : value.toListRef()) made(item.toTensor());
    }
  }
  if (info.fused_attention) {
    const uint32_t id = allocate(probabilities, Leaf::Made, operation, NONE);
    if (discovering()) {
      // Not computed now; its shape follows from queries and keys.
      auto& record = tensors_[id];
      record.on_request = true;
    }
  }
  for (auto& written : written_) {
    if (!written.handled) output(written.tensor, operation);
    if (auto* storage = storage_of(written.tensor)) {
      writes_.insert_or_assign(
          storage,
          Write{operation + 1ull, operation,
                c10::weak_intrusive_ptr<c10::StorageImpl>(
                    written.tensor.storage().getWeakStorageImpl())});
    }
  }
  const uint32_t results = next_id_ - first_result;
  if (discovering()) {
    pending_.results = results;
    records_.push_back(std::move(pending_));
  } else if (results != expected_results_[operation]) {
    // The ids that follow would name other tensors.
    diverged_ = true;
    kept.clear();
    kept_in_.clear();
    unsettled_.clear();
    put_text(
        found_, info.name + " with " + std::to_string(results) + " results instead of " +
            std::to_string(expected_results_[operation]));
    put_text(found_, "");
    put<uint32_t>(found_, 0);
    return;
  }
  written_.clear();
  ++operations_;
}

uint32_t Session::id_of(const at::Tensor& tensor) const {
  if (!tensor.defined()) return NONE;
  auto* storage = storage_of(tensor);
  const auto write = storage != nullptr ? writes_.find(storage) : writes_.end();
  if (auto found = live_.find(tensor.unsafeGetTensorImpl()); found != live_.end()) {
    const bool current = write == writes_.end() || write->second.at <= found->second.as_of;
    return current ? found->second.id : NONE;
  }
  if (auto moved = moved_.find(tensor.unsafeGetTensorImpl()); moved != moved_.end()) {
    if (auto source = moved->second.source.lock()) return id_of(at::Tensor(std::move(source)));
  }
  return NONE;
}

void Session::finish() {
  settle();
  for (auto& slot : kept) {
    const bool watched = !slot.copied && !slot.tensor.is_inference();
    if (watched && static_cast<uint64_t>(slot.tensor._version()) != slot.version) slot.state = Kept::Overwritten;
  }
  live_.clear();
  moved_.clear();
  moving_.reset();
  writes_.clear();
  kept_in_.clear();
  named_.clear();
  written_.clear();
  touched_.clear();
  if (filled_ != nullptr) filled_->finish();
  filled_.reset();
  served_.reset();
}

std::string Session::recording() const {
  std::string out;
  put<uint32_t>(out, static_cast<uint32_t>(tensors_.size()));
  for (const auto& tensor : tensors_) {
    put<uint8_t>(out, static_cast<uint8_t>(tensor.leaf));
    put_text(out, tensor.name);
    put<int32_t>(out, tensor.dtype);
    put<uint32_t>(out, static_cast<uint32_t>(tensor.shape.size()));
    for (int64_t size : tensor.shape) put<int64_t>(out, size);
    put<uint32_t>(out, tensor.operation);
    put<uint32_t>(out, tensor.output);
    put<uint32_t>(out, tensor.version_of);
    put<uint8_t>(out, tensor.on_request);
  }
  put<uint32_t>(out, static_cast<uint32_t>(records_.size()));
  for (const auto& record : records_) {
    put_text(out, record.info->name);
    put_text(out, record.scope);
    put_text(out, record.source);
    put<uint64_t>(out, record.hash);
    put<uint32_t>(out, record.results);
    put<uint32_t>(out, static_cast<uint32_t>(record.outputs.size()));
    for (uint32_t id : record.outputs) put<uint32_t>(out, id);
    put<uint32_t>(out, static_cast<uint32_t>(record.info->arguments.size()));
    out += record.arguments;
  }
  return out;
}

std::string Session::divergence() const {
  std::string out;
  const bool ended = comparing_ && !diverged_ && operations_ < expected_.size();
  put<uint8_t>(out, diverged_ ? 1 : ended ? 2 : 0);
  put<uint32_t>(out, operations_);
  out += found_;
  return out;
}

}  // namespace fmrai
