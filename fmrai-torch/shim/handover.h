// Tensors that go between Python and Rust, without anything of libtorch's Python library. Errors as in api.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace at {
class Tensor;
}

extern "C" {
// Another reference to the tensor whose implementation lies at this address, which somebody holds meanwhile.
char* fmrai_tensor_of_implementation(uintptr_t address, at::Tensor** tensor);
// Defines the operation `fmrai::take(int number) -> Tensor`, which hands out what `fmrai_handover_put` was given. Once in a process.
char* fmrai_handover_define(void);
// Holds a tensor until `fmrai::take` is called with the number that it gets.
char* fmrai_handover_put(const at::Tensor* tensor, int64_t* number);
}
