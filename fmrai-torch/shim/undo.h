// What a pass changes of what was there before it, so that it can be put back.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/UndefinedTensorImpl.h>
#include <c10/util/flat_hash_map.h>

#include <optional>
#include <utility>
#include <vector>

#include "session.h"

namespace fmrai {

// Random numbers that libtorch draws next, on all devices in use.
class Randomness {
 public:
  static Randomness now();
  void set() const;
  bool operator==(const Randomness& other) const;

 private:
  std::vector<std::pair<at::Generator, at::Tensor>> states_;
};

// Sees the operations of a thread and copies what they are about to write: memory, sizes and strides of tensors that the pass
// has not made itself. Copies are made of what is written alone.
class Undo {
 public:
  Undo();

  void before(const OperationInfo& info, c10::ArrayRef<c10::IValue> arguments);
  void after(const OperationInfo& info, c10::ArrayRef<c10::IValue> returns);
  // The pass has ended.
  void ended();

  // Exchanges what there is now with what was there before the pass; the second time, with what the pass had left.
  void exchange();
  // True if the pass wrote memory of this tensor.
  bool wrote(const at::Tensor& tensor) const;
  // True if anything but memory of the tensors given is another than before the pass.
  bool lasts(const std::vector<const at::Tensor*>& except) const;

  Undo* parent = nullptr;

 private:
  using StoragePin = c10::weak_intrusive_ptr<c10::StorageImpl>;
  // Whose memory it was when first seen: that of the pass, or of somebody before it.
  struct Seen {
    bool made;
    StoragePin pin;  // the address is not used again
  };
  struct Memory {
    StoragePin storage;
    at::Tensor bytes;
  };
  struct Header {
    at::Tensor tensor;
    at::Tensor form;  // shares its memory, has the sizes and strides of before
  };
  struct Opaque {
    at::Tensor tensor;
    at::Tensor elements;
  };

  void see(const c10::IValue& value, bool made);
  // The operation that may draw random numbers has ended.
  void look_at_random();
  void save(const at::Tensor& tensor);
  at::Tensor as_before(const Header& header) const;

  ska::flat_hash_map<const c10::StorageImpl*, Seen> seen_;
  ska::flat_hash_map<const c10::StorageImpl*, Memory> memory_;
  std::vector<Header> headers_;
  std::vector<Opaque> opaque_;  // tensors without a storage, such as sparse ones
  Randomness random_;  // before the pass
  // The generators of libtorch are the process's: a pass that draws nothing leaves them to the others that do.
  bool drew_ = false;
  std::optional<Randomness> before_operation_;
};

}  // namespace fmrai
