// Who reaches the memory of tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace fmrai {

// For each tensor, whether it is strided memory of the CPU that nobody reaches but through the references given.
std::vector<bool> alone(const std::vector<const at::Tensor*>& tensors);

}  // namespace fmrai
