// What a clean pass made, operation by operation, so that an edited pass need not make again what no edit can have changed.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/flat_hash_map.h>

#include <vector>

#include "session.h"

namespace fmrai {

// The same value with other tensors of the same memory: nobody else holds them.
c10::IValue aliased(const c10::IValue& value);

// Results of a pass. An operation is served from here where none of its arguments shares memory with what an edit has touched. It never
// is where it writes, draws random numbers, or gives memory that the pass writes anywhere: such operations run again, on values that are the
// same as in the clean pass as long as nothing touched is among them.
class Clean {
 public:
  // Of what the pass makes, this much is kept, its first part.
  explicit Clean(uint64_t limit) : limit_(limit) {}

  void add(
      const c10::OperatorHandle& op, const OperationInfo& info, c10::ArrayRef<c10::IValue> arguments,
      c10::ArrayRef<c10::IValue> returns, const at::Tensor& probabilities);
  // The pass has ended: what may not be served is given up.
  void finish();

  struct Made {
    std::vector<c10::IValue> returns;
    at::Tensor probabilities;  // undefined where the pass did not make them
  };
  // What the operation at this position made; null where it has to run.
  const Made* made(uint32_t operation) const;
  // Bytes of memory that are held.
  uint64_t bytes() const { return bytes_; }
  uint64_t served = 0;  // operations that were answered from here, in all passes

 private:
  uint64_t limit_;
  uint64_t bytes_ = 0;
  std::vector<Made> made_;
  ska::flat_hash_set<const c10::StorageImpl*> held_;
  ska::flat_hash_set<const c10::StorageImpl*> written_;
};

}  // namespace fmrai
