// Which numbers an input of a TorchScript module may hold.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <map>

namespace fmrai {

// Rows of the smallest embedding whose ids are, all of them and as they are, an input of `forward`, by the position of that
// input, from 0. Lookups inside of branches and loops are left out: they need not happen.
std::map<size_t, int64_t> embedding_rows(const torch::jit::Module& module);

}  // namespace fmrai
