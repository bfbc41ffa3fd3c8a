// See hook.h.
#include "hook.h"

#include <ATen/Functions.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/library.h>

#include <cmath>
#include <memory>
#include <stdexcept>

#include "script.h"

namespace fmrai {
namespace {

thread_local Session* current = nullptr;

// Named scopes of native modules; while TorchScript runs, its module hierarchy below them.
std::string scope_path() {
  std::string path;
  auto add = [&](const std::string& part) {
    if (part.empty()) return;
    if (!path.empty()) path += '.';
    path += part;
  };
  for (const auto& name : scopes()) add(name);
  add(module_path(torch::jit::currentModuleHierarchy()));
  return path;
}

// What the fused operation makes of a mask before it picks a kernel: true means attend.
std::optional<at::Tensor> additive_mask(const c10::IValue& value, const at::Tensor& query) {
  if (value.isNone()) return std::nullopt;
  const auto& mask = value.toTensor();
  if (mask.scalar_type() != at::kBool) return mask;
  return at::zeros(mask.sizes(), query.options()).masked_fill_(mask.logical_not(), -INFINITY);
}

// Fused attention in its explicit form, which also yields the probabilities. Same arguments, same meaning.
at::Tensor explicit_attention(torch::jit::Stack* stack) {
  auto a = torch::jit::last(*stack, 8);
  auto [context, probabilities] = at::_scaled_dot_product_attention_math(
      a[0].toTensor(), a[1].toTensor(), a[2].toTensor(), additive_mask(a[3], a[0].toTensor()), a[4].toDouble(), a[5].toBool(),
      std::nullopt, a[6].isNone() ? std::nullopt : std::optional<double>(a[6].toDouble()), a[7].toBool());
  torch::jit::drop(*stack, 8);
  torch::jit::push(*stack, std::move(context));
  return probabilities;
}

void hook(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  c10::impl::ExcludeDispatchKeyGuard below(KEY);
  if (current == nullptr) {
    op.callBoxed(stack);
    return;
  }
  const Note* note = take_note();
  const OperationInfo& info = operation_info(op);
  const auto arguments = torch::jit::last(*stack, info.arguments.size());
  bool as_explicit = false;
  for (Session* session = current; session != nullptr; session = session->parent) {
    session->before(info, arguments, &scope_path, note);
    as_explicit |= session->wants_explicit_attention(info);
  }
  at::Tensor probabilities;
  if (as_explicit) {
    probabilities = explicit_attention(stack);
  } else {
    op.callBoxed(stack);
  }
  const auto returns = torch::jit::last(*stack, info.returns);
  for (Session* session = current; session != nullptr; session = session->parent) {
    session->after(info, returns, probabilities);
  }
}

}  // namespace

std::vector<std::string>& scopes() {
  // Never destroyed: Rust may drop a scope while its thread ends.
  thread_local auto& names = *new std::vector<std::string>();
  return names;
}

void register_hook() {
  static torch::Library* library = [] {
    auto made = std::make_unique<torch::Library>(torch::Library::IMPL, "_", KEY, __FILE__, __LINE__);
    made->fallback(torch::CppFunction::makeFromBoxedFunction<&hook>());
    return made.release();
  }();
  (void)library;
}

void begin(Session& session) {
  for (Session* other = current; other != nullptr; other = other->parent) {
    if (other == &session) throw std::logic_error("this session is watching already");
  }
  session.parent = current;
  current = &session;
  c10::impl::tls_set_dispatch_key_included(KEY, true);
}

void end(Session& session) {
  if (current != &session) throw std::logic_error("sessions of a thread have to end in reverse order");
  current = session.parent;
  session.parent = nullptr;
  if (current == nullptr) c10::impl::tls_set_dispatch_key_included(KEY, false);
  session.finish();
}

}  // namespace fmrai
