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
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>

#include "attributes.h"
#include "hook.h"
#include "script_ids.h"
#include "undo.h"

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

// The profiling executor changes the operations between the first passes: it is off while scripts of ours run, on whatever threads, and
// afterwards as before.
class PlainExecutor {
 public:
  PlainExecutor() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (users_++ > 0) return;
    profiling_ = torch::jit::getProfilingMode();
    executor_ = torch::jit::getExecutorMode();
    torch::jit::getProfilingMode() = false;
    torch::jit::getExecutorMode() = false;
  }
  ~PlainExecutor() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (--users_ > 0) return;
    torch::jit::getProfilingMode() = profiling_;
    torch::jit::getExecutorMode() = executor_;
  }
  PlainExecutor(const PlainExecutor&) = delete;
  PlainExecutor& operator=(const PlainExecutor&) = delete;

 private:
  static inline std::mutex mutex_;
  static inline size_t users_ = 0;
  static inline bool profiling_ = true;
  static inline bool executor_ = true;
};

// The script that runs on this thread.
thread_local const Script* running = nullptr;

class Running {
 public:
  explicit Running(const Script* script) : before_(std::exchange(running, script)) {}
  ~Running() { running = before_; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  PlainExecutor plain_;
  const Script* before_;
};

// True if methods are called that are found only when the graph runs: those of an interface, and those of forked tasks.
bool calls_late(const torch::jit::Block* block) {
  for (const auto* node : block->nodes()) {
    if (node->kind() == c10::prim::CallMethod || node->kind() == c10::prim::fork) return true;
    for (const auto* inner : node->blocks()) {
      if (calls_late(inner)) return true;
    }
  }
  return false;
}

// Runs a method on this thread alone: what it forks runs at once, where it is forked.
c10::IValue call_here(torch::jit::Method& method, std::vector<c10::IValue> values) {
  auto future = method.run_async(std::move(values), {}, [](std::function<void()> task) { task(); });
  future->wait();
  return future->value();
}

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
  PlainExecutor plain;
  module_ = torch::jit::load(std::make_shared<Bytes>(bytes, count), c10::Device(c10::kCPU));
  module_.eval();
  if (!module_.find_method("forward")) throw std::runtime_error("it has no method `forward`");
  for (const auto& module : module_.named_modules()) modules_.push_back({module.name, class_of(module.value)});
}

std::string Script::describe() const {
  std::string out = "{\"class\":" + quoted(class_of(module_)) + ",\"inputs\":[";
  const auto method = module_.get_method("forward");
  const auto& arguments = method.function().getSchema().arguments();
  const auto rows = embedding_rows(module_);
  for (size_t i = 1; i < arguments.size(); ++i) {
    const auto& argument = arguments[i];
    if (i > 1) out += ',';
    out += "{\"name\":" + quoted(argument.name()) + ",\"type\":" + quoted(argument.type()->str()) +
        ",\"required\":" + (argument.default_value() ? "false" : "true");
    const auto known = rows.find(i - 1);
    if (known != rows.end()) out += ",\"rows\":" + std::to_string(known->second);
    out += '}';
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
    prepare(method, values);
    warm_ = true;
  }
  flatten(call_here(method, std::move(values)), "", each);
}

void Script::prepare(torch::jit::Method& method, const std::vector<c10::IValue>& values) {
  {
    // On its first run a graph is prepared, which computes constants: no operations of the model.
    c10::impl::ExcludeDispatchKeyGuard unseen(KEY);
    torch::jit::Stack stack{method.owner()._ivalue()};
    stack.insert(stack.end(), values.begin(), values.end());
    method.get_executor().getPlanFor(stack);
  }
  const auto& function = torch::jit::toGraphFunction(method.function());
  if (!calls_late(function.optimized_graph()->block())) return;
  // What is called late is prepared when it is first called: all of it runs once, and leaves no trace.
  // Only the undo sees it: the key must not be excluded here.
  const Attributes before(module_._ivalue());
  register_hook();
  Unseen aside;
  Undo undo;
  begin(undo);
  std::exception_ptr failed;
  try {
    call_here(method, values);
  } catch (...) {
    failed = std::current_exception();
  }
  end(undo);
  undo.exchange();
  before.put_back();
  if (failed) std::rethrow_exception(failed);
}

}  // namespace fmrai
