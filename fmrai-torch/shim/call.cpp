// See call.h.
#include "call.h"

#include <ATen/Functions.h>
#include <ATen/TensorUtils.h>
#include <ATen/ScalarOps.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <cstring>
#include <optional>
#include <stdexcept>

#include "hook.h"
#include "session.h"

namespace fmrai {
namespace {

thread_local const Note* next_note = nullptr;

at::Tensor wrapped(const at::Scalar& number) {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  return at::native::wrapped_scalar_tensor(number);
}

std::string plain(const c10::IValue& value) {
  if (value.isTensor()) return "a tensor";
  if (value.isInt()) return "the integer " + std::to_string(value.toInt());
  if (value.isDouble()) return "the number " + std::to_string(value.toDouble());
  if (value.isBool()) return value.toBool() ? "true" : "false";
  if (value.isString()) return "the text `" + value.toStringRef() + "`";
  if (value.isNone()) return "nothing";
  return value.tagKind();
}

}  // namespace

const Note* take_note() { return std::exchange(next_note, nullptr); }
Noted::Noted(const Note* note) { next_note = note; }
Noted::~Noted() { next_note = nullptr; }

c10::IValue& Frame::at(uint32_t slot) {
  if (slot >= slots.size()) throw std::out_of_range("slot " + std::to_string(slot) + " of a frame of " + std::to_string(slots.size()));
  return slots[slot];
}

template <typename T>
T Reader::number() {
  if (static_cast<size_t>(end_ - at_) < sizeof(T)) throw std::runtime_error("a call ends too early");
  T value;
  std::memcpy(&value, at_, sizeof value);
  at_ += sizeof value;
  return value;
}
template uint8_t Reader::number<uint8_t>();
template uint32_t Reader::number<uint32_t>();
template int32_t Reader::number<int32_t>();
template int64_t Reader::number<int64_t>();
template double Reader::number<double>();

std::string Reader::text() {
  const auto length = number<uint32_t>();
  if (static_cast<size_t>(end_ - at_) < length) throw std::runtime_error("a call ends inside a text");
  std::string text(reinterpret_cast<const char*>(at_), length);
  at_ += length;
  return text;
}

// A value as the Rust side has encoded it, before the schema says what it has to be. Tags as in call.rs.
struct Call::Given {
  enum class Shape : uint8_t { Constant, Slot, List };
  Shape shape = Shape::Constant;
  c10::IValue constant;
  uint32_t slot = 0;
  bool number = false;  // the slot holds one, computed from sizes of the input
  std::vector<Given> items;
};

Call::Given Call::given(Reader& reader) {
  Given value;
  const auto tag = reader.number<uint8_t>();
  switch (tag) {
    case 0:
      break;
    case 1:
    case 9:
      value.shape = Given::Shape::Slot;
      value.number = tag == 9;
      value.slot = reader.number<uint32_t>();
      break;
    case 2:
      value.constant = reader.number<int64_t>();
      break;
    case 3:
      value.constant = reader.number<double>();
      break;
    case 4:
      value.constant = reader.number<uint8_t>() != 0;
      break;
    case 5: {
      const auto real = reader.number<double>();
      value.constant = c10::complex<double>(real, reader.number<double>());
      break;
    }
    case 6:
      value.constant = reader.text();
      break;
    case 7:
      value.constant = c10::Device(reader.text());
      break;
    case 8: {
      value.shape = Given::Shape::List;
      const auto count = reader.number<uint32_t>();
      for (uint32_t i = 0; i < count; ++i) {
        value.items.push_back(given(reader));
        if (value.items.back().shape == Given::Shape::List) throw std::runtime_error("lists of lists are not supported");
      }
      break;
    }
    default:
      throw std::runtime_error("unknown tag in a call");
  }
  return value;
}

namespace {

c10::OperatorHandle find(const std::string& name, const std::string& overload) {
  auto found = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!found) throw std::runtime_error("this libtorch has no operation " + name + (overload.empty() ? "" : "." + overload));
  return *found;
}

}  // namespace

Call::Call(Reader reader) : operation_([&] {
  const auto name = reader.text();
  return find(name, reader.text());
}()) {
  note_.module = reader.text();
  note_.source = reader.text();
  const auto& schema = operation_.schema();
  const auto& arguments = schema.arguments();
  template_.resize(arguments.size());
  note_.sizes.resize(arguments.size());
  std::vector<bool> seen(arguments.size());
  const auto count = reader.number<uint32_t>();
  for (uint32_t i = 0; i < count; ++i) {
    const auto name = reader.text();
    std::optional<size_t> index;
    // Without a name, values go by position.
    if (name.empty() && i < arguments.size()) index = i;
    for (size_t j = 0; j < arguments.size() && !name.empty(); ++j) {
      if (arguments[j].name() == name) index = j;
    }
    auto value = given(reader);
    if (!index) throw std::runtime_error("it has no argument `" + name + "`");
    if (seen[*index]) throw std::runtime_error("argument `" + name + "` is given twice");
    seen[*index] = true;
    place(*index, std::move(value));
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (seen[i]) continue;
    if (const auto& value = arguments[i].default_value()) {
      template_[i] = *value;
    } else if (arguments[i].type()->kind() != c10::TypeKind::OptionalType) {
      throw std::runtime_error("argument `" + arguments[i].name() + "` is missing");
    }
  }
  const auto results = reader.number<uint32_t>();
  for (uint32_t i = 0; i < results; ++i) {
    Output output;
    const auto kind = reader.number<uint8_t>();
    if (kind > static_cast<uint8_t>(Kind::Bool)) throw std::runtime_error("unknown kind of result in a call");
    output.kind = static_cast<Kind>(kind);
    const auto slots = reader.number<uint32_t>();
    for (uint32_t j = 0; j < slots; ++j) {
      output.slots.push_back(reader.number<uint32_t>());
      auto name = reader.text();
      if (output.kind == Kind::Tensor || output.kind == Kind::Tensors) note_.names.push_back(std::move(name));
    }
    if (output.kind == Kind::Nothing) note_.names.emplace_back();
    if (slots != 1 && output.kind != Kind::Tensors && output.kind != Kind::Nothing) throw std::runtime_error("a result needs one name");
    outputs_.push_back(std::move(output));
  }
  const auto dead = reader.number<uint32_t>();
  for (uint32_t i = 0; i < dead; ++i) last_used_.push_back(reader.number<uint32_t>());
  if (!reader.done()) throw std::runtime_error("a call has bytes left over");
  if (!outputs_.empty() && outputs_.size() != schema.returns().size()) {
    throw std::runtime_error(
        "it returns " + std::to_string(schema.returns().size()) + " values, the program names " +
        std::to_string(outputs_.size()));
  }
}

void Call::refuse(size_t argument, const std::string& what) const {
  const auto& info = operation_.schema().arguments()[argument];
  throw std::runtime_error("argument `" + info.name() + "` has to be " + info.type()->str() + ", found " + what);
}

void Call::place(size_t index, Given value) {
  using c10::TypeKind;
  c10::TypePtr type = operation_.schema().arguments()[index].type();
  const bool nothing = value.shape == Given::Shape::Constant && value.constant.isNone();
  if (type->kind() == TypeKind::OptionalType) {
    if (nothing) return;
    type = type->containedType(0);
  }
  auto check = [&](const c10::IValue& constant, Wanted wanted) -> c10::IValue {
    const bool number = constant.isInt() || constant.isDouble() || constant.isBool() || constant.isComplexDouble();
    switch (wanted) {
      case Wanted::Tensor:
        if (number) return wrapped(constant.toScalar());
        break;
      case Wanted::Number:
        if (number) return constant;
        break;
      case Wanted::Float:
        if (constant.isDouble()) return constant;
        if (constant.isInt()) return static_cast<double>(constant.toInt());
        break;
      case Wanted::Int:
        if (constant.isInt()) return constant;
        if (constant.isBool()) return static_cast<int64_t>(constant.toBool());
        break;
      case Wanted::Bool:
        if (constant.isBool()) return constant;
        break;
      default:
        break;
    }
    refuse(index, plain(constant));
  };
  auto hole = [&](Wanted wanted, Wanted each, std::vector<Given> items) {
    Hole made{index, wanted, {}};
    bool constant = true;
    for (auto& item : items) {
      const bool is_constant = item.shape == Given::Shape::Constant;
      constant &= is_constant;
      const bool absent = is_constant && item.constant.isNone() && wanted == Wanted::OptionalTensors;
      made.items.push_back(
          {is_constant, item.slot, is_constant && !absent ? check(item.constant, each) : c10::IValue()});
      if (item.number) note_.sizes[index] = 1;
    }
    if (constant) {
      Frame none(0);
      template_[index] = value_of(made, none);
    } else {
      holes_.push_back(std::move(made));
    }
  };
  auto one = [&](Wanted wanted) {
    if (value.shape == Given::Shape::List) refuse(index, "a list");
    std::vector<Given> items;
    items.push_back(std::move(value));
    hole(wanted, wanted, std::move(items));
  };
  auto many = [&](Wanted wanted, Wanted each, std::optional<int32_t> fixed) {
    if (value.shape != Given::Shape::List) {
      // One number stands for a list of it where the schema says how long the list is.
      if (!fixed || nothing) refuse(index, value.shape == Given::Shape::Slot ? "one value" : plain(value.constant));
      std::vector<Given> items(static_cast<size_t>(*fixed), value);
      return hole(wanted, each, std::move(items));
    }
    hole(wanted, each, std::move(value.items));
  };
  switch (type->kind()) {
    case TypeKind::TensorType:
      return one(Wanted::Tensor);
    case TypeKind::NumberType:
      return one(Wanted::Number);
    case TypeKind::FloatType:
    case TypeKind::SymFloatType:
      return one(Wanted::Float);
    case TypeKind::IntType:
    case TypeKind::SymIntType:
      return one(Wanted::Int);
    case TypeKind::BoolType:
    case TypeKind::SymBoolType:
      return one(Wanted::Bool);
    case TypeKind::StringType:
      if (value.shape != Given::Shape::Constant || !value.constant.isString()) refuse(index, "something else");
      template_[index] = std::move(value.constant);
      return;
    case TypeKind::DeviceObjType:
      if (value.shape != Given::Shape::Constant || !value.constant.isDevice()) refuse(index, "something else");
      template_[index] = std::move(value.constant);
      return;
    case TypeKind::ListType: {
      const auto element = type->containedType(0);
      const auto fixed = operation_.schema().arguments()[index].N();
      switch (element->kind()) {
        case TypeKind::TensorType:
          return many(Wanted::Tensors, Wanted::Tensor, std::nullopt);
        case TypeKind::OptionalType:
          if (element->containedType(0)->kind() == TypeKind::TensorType) {
            return many(Wanted::OptionalTensors, Wanted::Tensor, std::nullopt);
          }
          break;
        case TypeKind::IntType:
        case TypeKind::SymIntType:
          return many(Wanted::Ints, Wanted::Int, fixed);
        case TypeKind::FloatType:
          return many(Wanted::Floats, Wanted::Float, fixed);
        case TypeKind::BoolType:
          return many(Wanted::Bools, Wanted::Bool, fixed);
        case TypeKind::NumberType:
          return many(Wanted::Numbers, Wanted::Number, fixed);
        case TypeKind::StringType: {
          if (value.shape != Given::Shape::List) break;
          c10::List<std::string> texts;
          for (const auto& item : value.items) {
            if (!item.constant.isString()) refuse(index, "a list of something else");
            texts.push_back(item.constant.toStringRef());
          }
          template_[index] = std::move(texts);
          return;
        }
        default:
          break;
      }
      break;
    }
    default:
      break;
  }
  refuse(index, "a value that a program cannot give");
}

c10::IValue Call::value_of(const Hole& hole, Frame& frame) const {
  auto value = [&](const Item& item) -> const c10::IValue& { return item.constant ? item.value : frame.at(item.slot); };
  auto tensor = [&](const Item& item) -> at::Tensor {
    const auto& found = value(item);
    if (found.isTensor()) return found.toTensor();
    if (found.isScalar()) return wrapped(found.toScalar());
    refuse(hole.argument, plain(found));
  };
  auto integer = [&](const Item& item) -> int64_t {
    const auto& found = value(item);
    if (found.isInt()) return found.toInt();
    if (found.isBool()) return found.toBool();
    refuse(hole.argument, plain(found));
  };
  auto real = [&](const Item& item) -> double {
    const auto& found = value(item);
    if (found.isDouble()) return found.toDouble();
    if (found.isInt()) return static_cast<double>(found.toInt());
    refuse(hole.argument, plain(found));
  };
  auto truth = [&](const Item& item) -> bool {
    const auto& found = value(item);
    if (!found.isBool()) refuse(hole.argument, plain(found));
    return found.toBool();
  };
  switch (hole.wanted) {
    case Wanted::Tensor:
      return tensor(hole.items[0]);
    case Wanted::Number: {
      const auto& found = value(hole.items[0]);
      if (!found.isScalar()) refuse(hole.argument, plain(found));
      return found;
    }
    case Wanted::Float:
      return real(hole.items[0]);
    case Wanted::Int:
      return integer(hole.items[0]);
    case Wanted::Bool:
      return truth(hole.items[0]);
    case Wanted::Tensors: {
      std::vector<at::Tensor> list;
      for (const auto& item : hole.items) list.push_back(tensor(item));
      return list;
    }
    case Wanted::OptionalTensors: {
      c10::List<std::optional<at::Tensor>> list;
      for (const auto& item : hole.items) {
        list.push_back(value(item).isNone() ? std::nullopt : std::optional<at::Tensor>(tensor(item)));
      }
      return list;
    }
    case Wanted::Ints: {
      std::vector<int64_t> list;
      for (const auto& item : hole.items) list.push_back(integer(item));
      return list;
    }
    case Wanted::Floats: {
      std::vector<double> list;
      for (const auto& item : hole.items) list.push_back(real(item));
      return list;
    }
    case Wanted::Bools: {
      c10::List<bool> list;
      for (const auto& item : hole.items) list.push_back(truth(item));
      return list;
    }
    case Wanted::Numbers: {
      auto list = c10::impl::GenericList(c10::NumberType::get());
      for (const auto& item : hole.items) {
        const auto& found = value(item);
        if (!found.isScalar()) refuse(hole.argument, plain(found));
        list.push_back(found);
      }
      return list;
    }
  }
  throw std::logic_error("unknown kind of argument");
}

void Call::fill(Frame& frame) const {
  frame.stack.assign(template_.begin(), template_.end());
  for (const auto& hole : holes_) frame.stack[hole.argument] = value_of(hole, frame);
}

void Call::bind(Frame& frame) const {
  auto& stack = frame.stack;
  if (!outputs_.empty() && stack.size() != outputs_.size()) throw std::runtime_error("it returned " + std::to_string(stack.size()) + " values");
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const auto& output = outputs_[i];
    auto& value = stack[i];
    auto wrong = [&](const char* needed) {
      throw std::runtime_error("it returned " + plain(value) + " where the program has " + needed);
    };
    switch (output.kind) {
      case Kind::Nothing:
        break;
      case Kind::Tensor:
        if (!value.isTensor()) wrong("a tensor");
        frame.at(output.slots[0]) = std::move(value);
        break;
      case Kind::Tensors: {
        if (!value.isTensorList()) wrong("a list of tensors");
        const auto list = value.toTensorVector();
        if (list.size() != output.slots.size()) {
          throw std::runtime_error(
              "it returned " + std::to_string(list.size()) + " tensors where the program has " +
              std::to_string(output.slots.size()));
        }
        for (size_t j = 0; j < list.size(); ++j) frame.at(output.slots[j]) = list[j];
        break;
      }
      case Kind::Int:
        if (value.isDouble()) value = static_cast<int64_t>(value.toDouble());
        if (value.isBool()) value = static_cast<int64_t>(value.toBool());
        if (!value.isInt()) wrong("an integer");
        frame.at(output.slots[0]) = std::move(value);
        break;
      case Kind::Float:
        if (value.isInt()) value = static_cast<double>(value.toInt());
        if (!value.isDouble()) wrong("a number");
        frame.at(output.slots[0]) = std::move(value);
        break;
      case Kind::Bool:
        if (value.isInt()) value = value.toInt() != 0;
        if (!value.isBool()) wrong("a truth value");
        frame.at(output.slots[0]) = std::move(value);
        break;
    }
  }
  for (uint32_t slot : last_used_) frame.at(slot) = c10::IValue();
}

void Call::run(Frame& frame) {
  fill(frame);
  {
    Noted noted(&note_);
    operation_.callBoxed(&frame.stack);
  }
  bind(frame);
  frame.stack.clear();
}

namespace {

constexpr int64_t LARGEST = int64_t(1) << 46;  // bytes; no storage of a simulation is taken to be larger

bool same(const at::Tensor& tensor, const Form& form) {
  return static_cast<int32_t>(tensor.scalar_type()) == form.dtype && tensor.sizes() == at::IntArrayRef(form.sizes) &&
      tensor.strides() == at::IntArrayRef(form.strides) && tensor.storage_offset() == form.offset;
}

bool one_of(const std::string& name, std::initializer_list<const char*> names) {
  for (const char* candidate : names) {
    if (name == candidate) return true;
  }
  return false;
}

// Whether an operation whose result may share memory with its input does so here, where strides tell.
bool shares(const c10::FunctionSchema& schema, const at::Tensor& input, const Form& form, const std::vector<c10::IValue>& stack) {
  const auto& name = schema.name();
  if (one_of(name, {"aten::reshape", "aten::flatten", "aten::reshape_as", "aten::ravel", "aten::unflatten"})) {
    return at::detail::computeStride(input.sizes(), input.strides(), at::IntArrayRef(form.sizes)).has_value();
  }
  if (one_of(name, {"aten::to", "aten::type_as", "aten::contiguous", "aten::float"})) {
    for (size_t i = 0; i < stack.size(); ++i) {
      if (schema.arguments()[i].name() == "copy" && stack[i].isBool() && stack[i].toBool()) return false;
    }
    return same(input, form);
  }
  return true;
}

}  // namespace

at::Tensor imagined_view(const at::Tensor& base, const Form& form) {
  auto view = at::detail::make_tensor<at::TensorImpl>(
      at::TensorImpl::VIEW, c10::Storage(base.storage()), base.key_set(), c10::scalarTypeToTypeMeta(static_cast<at::ScalarType>(form.dtype)));
  auto* impl = view.unsafeGetTensorImpl();
  impl->set_storage_offset(form.offset);
  impl->set_sizes_and_strides(form.sizes, form.strides);
  return view;
}

at::Tensor imagined_tensor(const Form& form) {
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  for (size_t i = 0; i < form.sizes.size(); ++i) {
    if (form.sizes[i] < 0 || form.strides.size() != form.sizes.size()) throw std::runtime_error("a tensor of the program has impossible sizes");
  }
  auto made = at::empty_strided(form.sizes, form.strides, at::TensorOptions(at::kMeta).dtype(static_cast<at::ScalarType>(form.dtype)));
  if (made.storage().nbytes() > static_cast<size_t>(LARGEST)) throw std::runtime_error("a tensor of the program has impossible sizes");
  return made;
}

std::vector<c10::IValue> Call::imagined(Frame& frame, const std::vector<Form>& forms) const {
  const auto& schema = operation_.schema();
  const auto& name = schema.name();
  const auto& stack = frame.stack;
  const OperationInfo& info = operation_info(operation_);
  auto argument = [&](const c10::AliasInfo& alias, bool written) -> const c10::IValue* {
    for (size_t i = 0; i < stack.size(); ++i) {
      const auto* other = schema.arguments()[i].alias_info();
      if (other == nullptr || other->isWrite() != written) continue;
      for (const auto& set : alias.beforeSets()) {
        if (other->beforeSets().count(set) != 0 && (stack[i].isTensor() || stack[i].isTensorList())) return &stack[i];
      }
    }
    return nullptr;
  };
  size_t next = 0;
  auto form = [&]() -> const Form& {
    if (next >= forms.size()) throw std::runtime_error("the program does not say what the operation makes");
    return forms[next++];
  };
  const bool evaluation = [&] {
    for (size_t i = 0; i < stack.size(); ++i) {
      const auto& argument_name = schema.arguments()[i].name();
      if (argument_name == "train" && stack[i].isBool()) return !stack[i].toBool();
    }
    return true;
  }();
  auto tensor = [&](const c10::AliasInfo* alias) -> at::Tensor {
    const Form& shape = form();
    if (alias != nullptr && alias->isWrite()) {
      const auto* source = argument(*alias, true);
      if (source != nullptr && source->isTensor()) return source->toTensor();
    }
    if (info.may_return_input && evaluation && !stack.empty() && stack[0].isTensor() && same(stack[0].toTensor(), shape) &&
        shares(schema, stack[0].toTensor(), shape, stack) && !one_of(name, {"aten::native_dropout", "aten::flatten"})) {
      return stack[0].toTensor();
    }
    if (info.transparent && stack[0].isTensor() && same(stack[0].toTensor(), shape)) return stack[0].toTensor();
    if (alias != nullptr && !alias->isWrite()) {
      const auto* source = argument(*alias, false);
      if (source != nullptr && source->isTensor()) {
        const auto& base = source->toTensor();
        if (base.has_storage() && shares(schema, base, shape, stack)) return imagined_view(base, shape);
      }
    }
    return imagined_tensor(shape);
  };
  std::vector<c10::IValue> results;
  for (size_t i = 0; i < schema.returns().size(); ++i) {
    const auto& result = schema.returns()[i];
    const auto kind = result.type()->kind();
    if (kind == c10::TypeKind::TensorType) {
      const bool dropped = i < outputs_.size() && outputs_[i].kind == Kind::Nothing;
      results.emplace_back(dropped ? at::Tensor() : tensor(result.alias_info()));
    } else if (kind == c10::TypeKind::ListType && result.type()->containedType(0)->kind() == c10::TypeKind::TensorType) {
      std::vector<at::Tensor> list;
      const auto* alias = result.alias_info();
      // `Tensor(a)[]`: the elements share memory with the argument.
      const auto* inner = alias != nullptr && !alias->containedTypes().empty() ? &alias->containedTypes()[0] : alias;
      const size_t count = i < outputs_.size() ? outputs_[i].slots.size() : 0;
      for (size_t j = 0; j < count; ++j) list.push_back(tensor(inner));
      results.emplace_back(std::move(list));
    } else {
      results.emplace_back();  // numbers are known to the program
    }
  }
  return results;
}

void Call::simulate(Frame& frame, Session& session, const std::vector<Form>& forms) {
  fill(frame);
  const OperationInfo& info = operation_info(operation_);
  session.before(info, frame.stack, nullptr, &note_);
  for (size_t i = 0; i < frame.stack.size(); ++i) {
    const bool writes = info.writes && (info.writes_if < 0 || frame.stack[info.writes_if].toBool());
    if (!writes || !info.arguments[i].written) continue;
    auto mark = [&](const at::Tensor& tensor) {
      if (tensor.defined() && tensor.has_storage()) frame.written.insert(tensor.storage().unsafeGetStorageImpl());
    };
    if (frame.stack[i].isTensor()) mark(frame.stack[i].toTensor());
    if (frame.stack[i].isTensorList()) {
      for (const auto& item : frame.stack[i].toListRef()) mark(item.toTensor());
    }
  }
  auto results = imagined(frame, forms);
  session.after(info, results, at::Tensor());
  for (size_t i = 0; i < outputs_.size() && i < results.size(); ++i) {
    if (outputs_[i].kind == Kind::Tensor) frame.at(outputs_[i].slots[0]) = results[i];
    if (outputs_[i].kind == Kind::Tensors) {
      const auto list = results[i].toTensorVector();
      for (size_t j = 0; j < list.size(); ++j) frame.at(outputs_[i].slots[j]) = list[j];
    }
  }
  for (uint32_t slot : last_used_) frame.at(slot) = c10::IValue();
  frame.stack.clear();
}

at::Tensor storage_in(const at::Tensor& buffer, size_t offset, size_t bytes) {
  const auto length = static_cast<size_t>(buffer.numel());
  if (buffer.scalar_type() != at::kByte || !buffer.is_contiguous()) throw std::logic_error("a buffer of bytes is needed");
  if (offset > length || bytes > length - offset) throw std::out_of_range("the part lies outside of the buffer");
  auto* start = static_cast<uint8_t*>(buffer.data_ptr()) + offset;
  auto hold = buffer;
  return at::from_blob(start, {static_cast<int64_t>(bytes)}, [hold](void*) mutable { hold.reset(); }, at::TensorOptions(at::kByte));
}

at::Tensor strided(const at::Tensor& storage, const Form& form) {
  const auto type = static_cast<at::ScalarType>(form.dtype);
  const auto width = static_cast<int64_t>(c10::elementSize(type));
  const auto bytes = static_cast<int64_t>(storage.storage().nbytes());
  if (form.sizes.size() != form.strides.size()) throw std::runtime_error("it has not as many strides as sizes");
  bool empty = false;
  __int128 last = form.offset;
  for (size_t i = 0; i < form.sizes.size(); ++i) {
    if (form.sizes[i] < 0 || form.strides[i] < 0) throw std::runtime_error("it has a negative size or stride");
    empty |= form.sizes[i] == 0;
    last += static_cast<__int128>(form.sizes[i] > 0 ? form.sizes[i] - 1 : 0) * form.strides[i];
    if (last > static_cast<__int128>(LARGEST)) throw std::runtime_error("its sizes are impossible");
  }
  if (form.offset < 0) throw std::runtime_error("it starts before its storage");
  if (!empty && (last + 1) * width > bytes) {
    throw std::runtime_error(
        "it needs " + std::to_string(static_cast<int64_t>((last + 1) * width)) + " bytes, its file has " + std::to_string(bytes));
  }
  c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
  auto made = at::empty({0}, at::TensorOptions(at::kCPU).dtype(type));
  made.set_(storage.storage(), form.offset, form.sizes, form.strides);
  return made;
}

}  // namespace fmrai
