// A prepared call of one operation: found in the dispatcher once, constants converted once, then run on frames.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "note.h"

namespace fmrai {

class Session;

// The values of one run of a program.
struct Frame {
  std::vector<c10::IValue> slots;
  std::vector<c10::IValue> stack;                                // reused from call to call
  std::unordered_set<const c10::StorageImpl*> written;           // by simulated calls

  explicit Frame(size_t size) : slots(size) {}
  c10::IValue& at(uint32_t slot);
};

// How a tensor of a simulated call would lie in memory.
struct Form {
  int32_t dtype;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
  int64_t offset;
};

// Bytes from the Rust side.
class Reader {
 public:
  Reader(const uint8_t* bytes, size_t length) : at_(bytes), end_(bytes + length) {}
  template <typename T>
  T number();
  std::string text();
  bool done() const { return at_ == end_; }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

class Call {
 public:
  explicit Call(Reader reader);

  void run(Frame& frame);
  // Tells `session` of the call as if it had run, with results of the given forms and no elements.
  void simulate(Frame& frame, Session& session, const std::vector<Form>& forms);

 private:
  enum class Wanted : uint8_t { Tensor, Number, Float, Int, Bool, Tensors, OptionalTensors, Ints, Floats, Bools, Numbers };
  // A value given when the call is prepared: a constant, or the slot of the frame it is in when the call runs.
  struct Item {
    bool constant;
    uint32_t slot;
    c10::IValue value;
  };
  struct Hole {
    size_t argument;
    Wanted wanted;
    std::vector<Item> items;
  };
  enum class Kind : uint8_t { Nothing, Tensor, Tensors, Int, Float, Bool };
  struct Output {
    Kind kind;
    std::vector<uint32_t> slots;
  };
  struct Given;

  static Given given(Reader& reader);
  void place(size_t index, Given value);
  void fill(Frame& frame) const;
  c10::IValue value_of(const Hole& hole, Frame& frame) const;
  void bind(Frame& frame) const;
  std::vector<c10::IValue> imagined(Frame& frame, const std::vector<Form>& forms) const;
  [[noreturn]] void refuse(size_t argument, const std::string& what) const;

  c10::OperatorHandle operation_;
  std::vector<c10::IValue> template_;
  std::vector<Hole> holes_;
  std::vector<Output> outputs_;
  std::vector<uint32_t> last_used_;
  Note note_;
};

// Operations that programs call although their Python library defines them: known ones are added to the dispatcher.
void register_stand_ins();

// Memory of a larger buffer as storage of its own; holds the buffer as long as it lives.
at::Tensor storage_in(const at::Tensor& buffer, size_t offset, size_t bytes);
// A view of all bytes of `storage` (uint8) as elements of `dtype`, checked against its length.
at::Tensor strided(const at::Tensor& storage, const Form& form);
// Without elements; views of the same `storage` share memory as far as a session can tell.
at::Tensor imagined_tensor(const Form& form);
at::Tensor imagined_view(const at::Tensor& base, const Form& form);

}  // namespace fmrai
