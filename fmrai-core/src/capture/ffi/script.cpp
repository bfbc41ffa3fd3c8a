// See script.h.
#include "script.h"

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/profiling_graph_executor_impl.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>

#include "hook.h"

namespace fmrai {
namespace {

// A file in memory. libtorch copies what it keeps of it.
class Bytes final : public caffe2::serialize::ReadAdapterInterface {
 public:
  Bytes(const uint8_t* bytes, size_t count) : bytes_(bytes), count_(count) {}
  size_t size() const override { return count_; }
  size_t read(uint64_t at, void* into, size_t count, const char* what) const override {
    (void)what;
    if (at >= count_) return 0;
    count = std::min<size_t>(count, count_ - at);
    std::memcpy(into, bytes_ + at, count);
    return count;
  }

 private:
  const uint8_t* bytes_;
  size_t count_;
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20) {
      static const char* digits = "0123456789abcdef";
      out += "\\u00";
      out += digits[c >> 4];
      out += digits[c & 15];
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + '"';
}

std::string class_of(const torch::jit::Module& module) {
  const auto name = module.type()->name();
  return name ? name->name() : "";
}

// Everything in a result that is a tensor, by its path in it.
void flatten(const c10::IValue& value, const std::string& path, const EachTensor& each) {
  auto below = [&](const std::string& part) { return path.empty() ? part : path + "." + part; };
  if (value.isTensor()) {
    if (value.toTensor().defined()) each(path.empty() ? "output" : path, value.toTensor());
  } else if (value.isTuple()) {
    const auto& tuple = value.toTupleRef();
    const auto type = tuple.type();
    const auto* schema = type->schema().get();
    for (size_t i = 0; i < tuple.elements().size(); ++i) {
      const bool named = schema != nullptr && i < schema->arguments().size();
      flatten(tuple.elements()[i], below(named ? schema->arguments()[i].name() : std::to_string(i)), each);
    }
  } else if (value.isList()) {
    size_t i = 0;
    for (const auto& item : value.toListRef()) flatten(item, below(std::to_string(i++)), each);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      const auto& key = entry.key();
      flatten(entry.value(), below(key.isString() ? key.toStringRef() : key.isInt() ? std::to_string(key.toInt()) : "?"), each);
    }
  }
}

// The script that runs on this thread.
thread_local const Script* running = nullptr;

class Running {
 public:
  explicit Running(const Script* script) : before_(std::exchange(running, script)) {}
  ~Running() { running = before_; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  const Script* before_;
};

}  // namespace

std::string module_path(const std::vector<std::string>& hierarchy) {
  std::string path;
  for (const auto& call : hierarchy) {
    const auto bracket = call.find('(');
    const auto name = call.substr(0, bracket);
    if (name.empty() || name == "TOP" || name == "SELF") continue;
    const auto end = call.find(')', bracket == std::string::npos ? 0 : bracket);
    const auto type = end == std::string::npos ? "" : call.substr(bracket + 1, end - bracket - 1);
    const auto below = path.empty() ? name : path + "." + name;
    path = path.empty() ? "" : path + ".";
    const std::string* found = nullptr;
    bool several = false;
    if (running != nullptr) {
      for (const auto& module : running->modules_) {
        if (module.path == below) {
          found = &module.path;
          several = false;
          break;
        }
        const auto& full = module.path;
        const bool inside = full.size() > path.size() + name.size() && full.compare(0, path.size(), path) == 0 &&
            full.compare(full.size() - name.size(), name.size(), name) == 0 && full[full.size() - name.size() - 1] == '.';
        if (!inside || module.type != type) continue;
        several = found != nullptr && *found != full;
        if (several) break;
        found = &full;
      }
    }
    path = found != nullptr && !several ? *found : below;
  }
  return path;
}

Script::Script(const uint8_t* bytes, size_t count) {
  static std::once_flag once;
  std::call_once(once, [] {
    // The profiling executor changes the operations between the first passes.
    torch::jit::getProfilingMode() = false;
    torch::jit::getExecutorMode() = false;
  });
  module_ = torch::jit::load(std::make_shared<Bytes>(bytes, count), c10::Device(c10::kCPU));
  module_.eval();
  if (!module_.find_method("forward")) throw std::runtime_error("it has no method `forward`");
  for (const auto& module : module_.named_modules()) modules_.push_back({module.name, class_of(module.value)});
}

std::string Script::describe() const {
  std::string out = "{\"class\":" + quoted(class_of(module_)) + ",\"inputs\":[";
  const auto method = module_.get_method("forward");
  const auto& arguments = method.function().getSchema().arguments();
  for (size_t i = 1; i < arguments.size(); ++i) {
    const auto& argument = arguments[i];
    if (i > 1) out += ',';
    out += "{\"name\":" + quoted(argument.name()) + ",\"type\":" + quoted(argument.type()->str()) +
        ",\"required\":" + (argument.default_value() ? "false" : "true") + "}";
  }
  out += "],\"modules\":[";
  bool first = true;
  for (const auto& module : modules_) {
    if (!first) out += ',';
    first = false;
    out += "{\"path\":" + quoted(module.path) + ",\"class\":" + quoted(module.type) + "}";
  }
  return out + "]}";
}

void Script::weights(const EachTensor& each) const {
  std::set<std::string> seen;
  for (const auto& weight : module_.named_parameters()) {
    if (seen.insert(weight.name).second) each(weight.name, weight.value);
  }
  for (const auto& buffer : module_.named_buffers()) {
    if (seen.insert(buffer.name).second) each(buffer.name, buffer.value);
  }
  for (const auto& attribute : module_.named_attributes()) {
    if (attribute.value.isTensor() && attribute.value.toTensor().defined() && seen.insert(attribute.name).second) {
      each(attribute.name, attribute.value.toTensor());
    }
  }
}

void Script::forward(const std::vector<const at::Tensor*>& inputs, const EachTensor& each) {
  torch::jit::GraphOptimizerEnabledGuard as_written(false);
  Running now(this);
  auto method = module_.get_method("forward");
  const auto& arguments = method.function().getSchema().arguments();
  if (inputs.size() + 1 != arguments.size()) throw std::logic_error("one entry for each input is needed");
  std::vector<c10::IValue> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& argument = arguments[i + 1];
    if (inputs[i] == nullptr) {
      if (!argument.default_value()) throw std::runtime_error("input `" + argument.name() + "` is missing");
      values.push_back(*argument.default_value());
      continue;
    }
    const at::Tensor& tensor = *inputs[i];
    auto type = argument.type();
    if (type->kind() == c10::TypeKind::OptionalType) type = type->containedType(0);
    switch (type->kind()) {
      case c10::TypeKind::IntType:
        values.emplace_back(tensor.item<int64_t>());
        break;
      case c10::TypeKind::FloatType:
        values.emplace_back(tensor.item<double>());
        break;
      case c10::TypeKind::BoolType:
        values.emplace_back(tensor.item<bool>());
        break;
      default:
        values.emplace_back(tensor);
    }
  }
  if (!warm_) {
    // On its first run a graph is prepared, which computes constants: no operations of the model.
    c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
    method(values);
    warm_ = true;
  }
  flatten(method(std::move(values)), "", each);
}

}  // namespace fmrai
