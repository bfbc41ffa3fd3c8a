// See script_ids.h.
#include "script_ids.h"

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fmrai {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// Values looked at behind another one.
constexpr int LIMIT = 64;

bool keeps_elements(const Node* node) {
  static const std::set<std::string> names = {
      "aten::view",    "aten::reshape",   "aten::unsqueeze", "aten::squeeze",          "aten::expand",
      "aten::flatten", "aten::transpose", "aten::permute",   "aten::contiguous",       "aten::clone",
      "aten::detach",  "aten::alias",     "aten::to",        "prim::unchecked_cast",   "prim::unchecked_unwrap_optional",
      "aten::t",       "aten::long",      "aten::int",       "aten::_unwrap_optional",
  };
  return names.count(node->kind().toQualString()) > 0;
}

// The position of the graph's input whose elements `value` holds.
std::optional<size_t> input_of(const Value* value, const torch::jit::Graph& graph, int depth) {
  if (depth > LIMIT) return std::nullopt;
  const auto inputs = graph.inputs();
  const auto at = std::find(inputs.begin(), inputs.end(), value);
  if (at != inputs.end()) return static_cast<size_t>(at - inputs.begin());
  const Node* node = value->node();
  if (node->kind() == torch::jit::prim::If) {
    std::optional<size_t> both;
    for (const auto* block : node->blocks()) {
      const auto one = input_of(block->outputs().at(value->offset()), graph, depth + 1);
      if (!one || (both && *both != *one)) return std::nullopt;
      both = one;
    }
    return both;
  }
  if (!keeps_elements(node) || node->inputs().empty()) return std::nullopt;
  return input_of(node->inputs()[0], graph, depth + 1);
}

// The weight or constant that `value` is.
std::optional<at::Tensor> table_of(const Value* value, const torch::jit::Graph& graph, const torch::jit::Module& module) {
  if (value->node()->kind() == torch::jit::prim::Constant) {
    const auto constant = torch::jit::toIValue(value);
    if (constant && constant->isTensor()) return constant->toTensor();
    return std::nullopt;
  }
  std::vector<std::string> path;
  while (value->node()->kind() == torch::jit::prim::GetAttr) {
    path.push_back(value->node()->s(torch::jit::attr::name));
    value = value->node()->input();
  }
  if (path.empty() || value != graph.inputs().at(0)) return std::nullopt;
  c10::IValue held = module._ivalue();
  for (auto name = path.rbegin(); name != path.rend(); ++name) {
    if (!held.isObject()) return std::nullopt;
    held = held.toObject()->getAttr(*name);
  }
  return held.isTensor() ? std::optional<at::Tensor>(held.toTensor()) : std::nullopt;
}

}  // namespace

std::map<size_t, int64_t> embedding_rows(const torch::jit::Module& module) {
  std::map<size_t, int64_t> rows;
  const auto method = module.get_method("forward");
  const auto graph = method.graph()->copy();
  torch::jit::Inline(*graph);
  for (const auto* node : graph->nodes()) {
    if (std::string(node->kind().toQualString()) != "aten::embedding") continue;
    const auto table = table_of(node->inputs().at(0), *graph, module);
    const auto input = input_of(node->inputs().at(1), *graph, 0);
    if (!table || !table->defined() || table->dim() < 1 || !input || *input == 0) continue;
    // The module itself is the first input of its graph.
    const auto place = rows.emplace(*input - 1, table->size(0)).first;
    place->second = std::min(place->second, table->size(0));
  }
  return rows;
}

}  // namespace fmrai
