// One watched forward pass: gives ids to tensors, records operations or compares them, keeps what was asked for.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/UndefinedTensorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/SmallVector.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <c10/util/flat_hash_map.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "note.h"

namespace fmrai {

constexpr uint32_t NONE = UINT32_MAX;

// The memory of a tensor; null where it has none.
inline c10::StorageImpl* storage_of(const at::Tensor& tensor) {
  auto* impl = tensor.unsafeGetTensorImpl();
  return impl->has_storage() ? impl->unsafe_storage().unsafeGetStorageImpl() : nullptr;
}

// Another tensor with the same memory. Its version counter is its own at first: a factory function gives its result away as another tensor
// if anybody shares the counter, or the tensor itself, by then.
inline at::Tensor another_handle(const at::Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  auto* impl = tensor.unsafeGetTensorImpl();
  const auto counter = tensor.is_inference() ? impl->version_counter() : c10::VariableVersion(0);
  return at::Tensor(impl->shallow_copy_and_detach(counter, /*allow_tensor_metadata_change=*/false));
}

// Where programs compute with sizes in another language than that of libtorch, as Python does, these arrive as plain integers: then passes
// that differ in integers among numbers of any type alone are the same. Of the process.
inline std::atomic<bool> integers_may_be_sizes{false};

// Calls `see` with every tensor in these values.
template <typename See>
void each_tensor(const c10::IValue& value, See see) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) see(value.toTensor());
  } else if (value.isList()) {
    for (const auto& item : value.toListRef()) each_tensor(item, see);
  }
}

// What the schema of an operation says, looked up once per operation and thread.
struct ArgumentInfo {
  std::string name;
  bool size;     // SymInt: may change with the input
  bool written;  // alias annotation `(a!)`
  bool number;   // a number of any type
};
struct OperationInfo {
  std::string name;
  uint64_t hash;
  std::vector<ArgumentInfo> arguments;
  size_t returns;
  bool writes;
  int writes_if;          // position of the truth value that says whether it writes, e.g. `training`; -1: it does
  bool takes_numbers;  // an argument is a number of any type
  bool own;            // hands tensors between languages: no operation of a pass
  bool draws;          // may draw random numbers
  bool fused_attention;
  bool transparent;       // moves memory only; libtorch itself leaves it out when sizes allow
  bool may_return_input;  // e.g. dropout in evaluation: the result may be the input itself
};
const OperationInfo& operation_info(const c10::OperatorHandle& op);

// Operations of a watched pass that ran on other threads, where a session cannot follow them.
class Elsewhere : public c10::DebugInfoBase {
 public:
  explicit Elsewhere(std::shared_ptr<Elsewhere> outer) : outer_(std::move(outer)) {}

  void add(const std::string& operation) {
    if (outer_) outer_->add(operation);
    std::lock_guard<std::mutex> lock(mutex_);
    if (count_++ == 0) first_ = operation;
  }
  // How many there were, and the first one.
  std::pair<uint64_t, std::string> seen() {
    std::lock_guard<std::mutex> lock(mutex_);
    return {count_, first_};
  }

 private:
  std::shared_ptr<Elsewhere> outer_;
  std::mutex mutex_;
  uint64_t count_ = 0;
  std::string first_;
};

// Module path of what runs now; asked for only when it is written down.
using ScopePath = std::string (*)();

// A place in a pass where something can act: a result of an operation by its id, or the scores of fused attention, which have none, by
// its operation.
enum class Part : uint8_t { Result = 0, Scores = 1 };

// Gives a tensor to go on with instead, or an undefined one to leave it as it is.
using Act = std::function<at::Tensor(Part part, uint32_t place, const at::Tensor& value)>;

class Clean;

class Session {
 public:
  enum class Leaf : uint8_t { Constant = 0, Input = 1, Parameter = 2, Made = 3 };
  enum class Kept : uint8_t { Valid = 0, Overwritten = 1 };

  void name(const at::Tensor& tensor, Leaf kind, std::string name);
  void expect(
      std::vector<uint64_t> hashes, std::vector<uint32_t> results, std::vector<uint8_t> wanted,
      std::vector<uint8_t> explicit_attention);

  // Where `act` is called: a flag for each tensor, and for the scores of each operation.
  void act_on(std::vector<uint8_t> results, std::vector<uint8_t> scores, Act act);
  // Whether anything acts inside of the fused attention that runs next: on its scores or its probabilities.
  bool acts_inside(const OperationInfo& info) const;
  at::Tensor act_on_scores(const at::Tensor& scores);
  at::Tensor act_on_probabilities(const at::Tensor& probabilities);
  // Ends the pass with an error at the next operation without a number among its arguments: where those are made for a call, tch does not
  // expect that it fails.
  void end_soon() { ending_ = true; }
  bool ends_at(const OperationInfo& info) const { return ending_ && !info.takes_numbers; }
  // Lets what acts change the results of the operation that has just run, before `after` sees them.
  void act_on_results(const OperationInfo& info, c10::ArrayRef<c10::IValue> returns, std::vector<c10::IValue>* stack);

  // Makes the pass add what it makes to `clean`, or be served from there.
  void fill(std::shared_ptr<Clean> clean) { filled_ = std::move(clean); }
  void serve(std::shared_ptr<Clean> clean) { served_ = std::move(clean); }
  // Puts what the operation made in the clean pass in place of its arguments, if no edit can have changed it.
  bool serve(const OperationInfo& info, std::vector<c10::IValue>* stack, at::Tensor* probabilities);
  // Adds what the operation has made to the clean pass.
  void fill(
      const c10::OperatorHandle& op, const OperationInfo& info, c10::ArrayRef<c10::IValue> arguments,
      c10::ArrayRef<c10::IValue> returns, const at::Tensor& probabilities);
  bool fills() const { return filled_ != nullptr; }
  bool serves() const { return served_ != nullptr; }
  // Something acts inside of the operation that runs next.
  void touch_results() { touching_ = served_ != nullptr; }

  // Around every operation, on the thread of the pass.
  bool wants_explicit_attention(const OperationInfo& info) const;
  // `note` lives until `after`; null where nothing more is known.
  void before(
      const OperationInfo& info, c10::ArrayRef<c10::IValue> arguments, ScopePath scope, const Note* note);
  void after(const OperationInfo& info, c10::ArrayRef<c10::IValue> returns, const at::Tensor& probabilities);

  // The id that a tensor has now; NONE for one that the pass has not seen, or whose memory was written since.
  uint32_t id_of(const at::Tensor& tensor) const;

  // Drops what ties the session to the pass. Called when the pass has ended.
  void finish();

  // The recording, or what is left of a comparison, for the Rust side.
  std::string recording() const;
  std::string divergence() const;

  struct Slot {
    uint32_t id;
    at::Tensor tensor;
    uint64_t version;
    bool copied;
    Kept state;
  };
  std::vector<Slot> kept;

  Session* parent = nullptr;
  std::shared_ptr<Elsewhere> elsewhere;
  std::shared_ptr<c10::ThreadLocalDebugInfo> outer_info;

 private:
  using TensorPin = c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;
  struct Entry {
    uint32_t id;
    uint32_t root;   // the same for a tensor and what an operation that may return its input made of it
    uint64_t as_of;  // operations that had run when this id was given
    TensorPin pin;  // the address is not used again, the data are freed as usual
  };
  struct Write {
    uint64_t at;
    uint32_t operation;
    c10::weak_intrusive_ptr<c10::StorageImpl> pin;
  };
  struct Written {
    at::Tensor tensor;
    uint32_t old;
    bool handled;
  };
  // What a transparent operation made of a tensor that has no id yet: it gets that of its source when used.
  struct Moved {
    TensorPin pin;
    TensorPin source;
  };
  struct Named {
    Leaf kind;
    std::string name;
    at::Tensor pin;
  };
  struct TensorRecord {
    Leaf leaf;
    std::string name;
    int32_t dtype;
    c10::SmallVector<int64_t, 4> shape;
    uint32_t operation = NONE;
    uint32_t output = 0;
    uint32_t version_of = NONE;
    bool on_request = false;
  };
  struct OperationRecord {
    const OperationInfo* info;
    std::string scope;
    std::string source;
    std::string arguments;
    std::vector<uint32_t> outputs;
    uint64_t hash;
    uint32_t results;  // ids given when it ran; `outputs` grows by late versions
  };

  bool discovering() const { return !comparing_; }
  Entry& entry_of(const at::Tensor& tensor);
  uint32_t allocate(const at::Tensor& tensor, Leaf leaf, uint32_t operation, uint32_t version_of);
  void keep(uint32_t id, const at::Tensor& tensor);
  // Ties what was kept to the version counters of its sources, which by now are with who asked for them.
  void settle();
  void protect(const at::Tensor& written);
  uint32_t output(const at::Tensor& tensor, uint32_t operation);
  uint64_t visit(const c10::IValue& value, bool size, std::string* out, bool any_integer = false);

  bool comparing_ = false;
  const bool integers_may_be_sizes_ = integers_may_be_sizes.load(std::memory_order_relaxed);
  bool diverged_ = false;
  bool mismatch_ = false;  // the running operation differs; it counts once it has succeeded
  std::string found_;  // the diverging operation, encoded
  std::vector<uint64_t> expected_;
  std::vector<uint32_t> expected_results_;
  std::vector<uint8_t> wanted_;
  std::vector<uint8_t> explicit_;
  std::vector<uint8_t> acts_;
  std::vector<uint8_t> acts_on_scores_;
  Act act_;
  bool ending_ = false;
  std::shared_ptr<Clean> filled_;
  std::shared_ptr<Clean> served_;
  bool touching_ = false;  // the operation that runs has an argument that an edit has touched
  // Memory that edits have changed or that was computed from such. An address that is used again costs time only.
  ska::flat_hash_set<const c10::StorageImpl*> touched_;

  void touch(const at::Tensor& tensor);
  bool follows() const { return comparing_ && !diverged_ && !mismatch_; }
  bool acts_at(uint32_t id) const { return id < acts_.size() && acts_[id] != 0; }

  uint32_t next_id_ = 0;
  uint32_t operations_ = 0;
  std::vector<TensorRecord> tensors_;
  std::vector<OperationRecord> records_;
  ska::flat_hash_map<const c10::TensorImpl*, Entry> live_;
  ska::flat_hash_map<const c10::TensorImpl*, Moved> moved_;
  ska::flat_hash_map<const c10::StorageImpl*, Write> writes_;
  ska::flat_hash_map<const c10::StorageImpl*, std::vector<size_t>> kept_in_;
  std::vector<std::pair<size_t, TensorPin>> unsettled_;
  ska::flat_hash_map<const c10::TensorImpl*, Named> named_;

  // Between `before` and `after` of one operation.
  uint64_t hash_ = 0;
  uint32_t first_root_ = NONE;
  at::Tensor moving_;
  const Note* note_ = nullptr;
  size_t results_named_ = 0;
  std::vector<Written> written_;
  OperationRecord pending_;
};

}  // namespace fmrai
