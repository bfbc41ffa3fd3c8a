// See hook.h.
#include "hook.h"

#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/library.h>

#include <cmath>
#include <memory>
#include <stdexcept>
#include <utility>

#include "guard.h"
#include "script.h"
#include "undo.h"

namespace fmrai {
namespace {

thread_local Session* current = nullptr;
thread_local Undo* undoing = nullptr;
thread_local int acting = 0;
// Never destroyed: Rust may drop a session while its thread ends.
std::vector<Session*>& abandoned() {
  thread_local auto& sessions = *new std::vector<Session*>();
  return sessions;
}

// libtorch hands it, as it hands on the dispatch keys, to every thread that it gives a part of a pass to.
const auto TRAIL = c10::DebugInfoKind::TEST_INFO_2;

void watch_thread() {
  c10::impl::tls_set_dispatch_key_included(KEY, current != nullptr || undoing != nullptr);
}

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

void append_text(void* text, const uint8_t* bytes, size_t length) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(bytes), length);
}

// What the fused operation makes of a mask before it picks a kernel: true means attend.
std::optional<at::Tensor> additive_mask(const c10::IValue& value, const at::Tensor& query) {
  if (value.isNone()) return std::nullopt;
  const auto& mask = value.toTensor();
  if (mask.scalar_type() != at::kBool) return mask;
  return at::zeros(mask.sizes(), query.options()).masked_fill_(mask.logical_not(), -INFINITY);
}

// What autocast makes of an argument of the fused operation.
std::optional<at::Tensor> cast(const std::optional<at::Tensor>& tensor, bool autocast, c10::DeviceType device) {
  if (!autocast || !tensor) return tensor;
  return at::autocast::cached_cast(at::autocast::get_lower_precision_fp_from_device_type(device), *tensor, device);
}

// Fused attention in its explicit form, which also yields the probabilities. Same arguments, same meaning, same element
// types: in an autocast region the fused operation computes in the lower precision, and so does this.
at::Tensor explicit_attention(torch::jit::Stack* stack) {
  auto a = torch::jit::last(*stack, 8);
  const auto device = a[0].toTensor().device().type();
  const bool autocast = at::autocast::is_autocast_available(device) && at::autocast::is_autocast_enabled(device);
  std::optional<c10::impl::ExcludeDispatchKeyGuard> casts_itself;
  if (autocast) casts_itself.emplace(at::autocast::get_autocast_dispatch_key_from_device_type(device));
  const at::Tensor query = *cast(a[0].toTensor(), autocast, device);
  auto [context, probabilities] = at::_scaled_dot_product_attention_math(
      query, *cast(a[1].toTensor(), autocast, device), *cast(a[2].toTensor(), autocast, device),
      cast(additive_mask(a[3], query), autocast, device), a[4].toDouble(), a[5].toBool(), std::nullopt,
      a[6].isNone() ? std::nullopt : std::optional<double>(a[6].toDouble()), a[7].toBool());
  torch::jit::drop(*stack, 8);
  torch::jit::push(*stack, std::move(context));
  return probabilities;
}

// The same, step by step, so that something can act in between. The steps, and their order, are those of the explicit form of libtorch
// (scaled queries and keys, mask, causal mask, softmax that gives zeros where everything is masked, dropout).
template <typename Scores, typename Probabilities>
at::Tensor staged_attention(torch::jit::Stack* stack, Scores act_on_scores, Probabilities act_on_probabilities) {
  auto a = torch::jit::last(*stack, 8);
  const auto device = a[0].toTensor().device().type();
  const bool autocast = at::autocast::is_autocast_available(device) && at::autocast::is_autocast_enabled(device);
  std::optional<c10::impl::ExcludeDispatchKeyGuard> casts_itself;
  if (autocast) casts_itself.emplace(at::autocast::get_autocast_dispatch_key_from_device_type(device));
  at::Tensor query = *cast(a[0].toTensor(), autocast, device);
  at::Tensor key = *cast(a[1].toTensor(), autocast, device);
  at::Tensor value = *cast(a[2].toTensor(), autocast, device);
  const auto mask = cast(additive_mask(a[3], query), autocast, device);
  // Short types are computed in float32 here, as there.
  const auto type = query.scalar_type();
  if (type == at::kHalf || type == at::kBFloat16) {
    query = query.to(at::kFloat);
    key = key.to(at::kFloat);
    value = value.to(at::kFloat);
  }
  const double dropout = a[4].toDouble();
  const bool causal = a[5].toBool();
  const double scale = a[6].isNone() ? 1.0 / std::sqrt(static_cast<double>(query.size(-1))) : a[6].toDouble();
  if (a[7].toBool() && query.dim() > 2) {
    key = key.repeat_interleave(query.size(-3) / key.size(-3), -3);
    value = value.repeat_interleave(query.size(-3) / value.size(-3), -3);
  }
  const double root = std::sqrt(std::abs(scale));
  at::Tensor scores = at::matmul(query * (scale < 0 ? -root : root), key.transpose(-2, -1) * root);
  if (mask) scores = scores + *mask;
  if (causal) {
    const auto seen = at::ones({query.size(-2), key.size(-2)}, query.options().dtype(at::kBool)).tril();
    scores = scores.masked_fill(seen.logical_not(), -INFINITY);
  }
  scores = act_on_scores(scores);
  at::Tensor probabilities = at::softmax(scores, -1);
  const auto nothing = scores.eq(-INFINITY).all(-1, true);
  probabilities = probabilities.masked_fill(nothing, 0.0);
  if (dropout > 0.0) probabilities = at::dropout(probabilities, dropout, true);
  probabilities = act_on_probabilities(probabilities);
  at::Tensor context = at::matmul(probabilities, value).to(type);
  torch::jit::drop(*stack, 8);
  torch::jit::push(*stack, std::move(context));
  return probabilities.to(type);
}

// Frees what was abandoned while an operation was acted on.
struct Sweep {
  ~Sweep() {
    if (acting > 0 || abandoned().empty()) return;
    for (Session* session : std::exchange(abandoned(), {})) std::free(guarded([&] { abandon(session); }));
  }
};

void hook(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  c10::impl::ExcludeDispatchKeyGuard below(KEY);
  Sweep sweep;
  if (current == nullptr && undoing == nullptr) {
    // Another thread than the one that is watched, with a part of its pass.
    if (auto* trail = dynamic_cast<Elsewhere*>(c10::ThreadLocalDebugInfo::get(TRAIL))) trail->add(operation_info(op).name);
    op.callBoxed(stack);
    return;
  }
  const OperationInfo& info = operation_info(op);
  if (info.own) {
    op.callBoxed(stack);
    return;
  }
  const Note* note = take_note();
  std::optional<Note> told;
  if (note == nullptr && tell_line() != nullptr) {
    told.emplace();
    tell_line()(&append_text, &told->source);
    note = &*told;
  }
  for (Session* session = current; session != nullptr; session = session->parent) {
    if (session->ends_at(info)) throw std::runtime_error("the pass was ended by what acts on it");
  }
  const auto arguments = torch::jit::last(*stack, info.arguments.size());
  for (Undo* undo = undoing; undo != nullptr; undo = undo->parent) undo->before(info, arguments);
  bool as_explicit = false;
  bool in_stages = false;
  bool fills = false;
  for (Session* session = current; session != nullptr; session = session->parent) {
    session->before(info, arguments, &scope_path, note);
    as_explicit |= session->wants_explicit_attention(info);
    in_stages |= session->acts_inside(info);
    fills |= session->fills();
  }
  at::Tensor probabilities;
  // The arguments are gone when what the operation makes is known.
  std::vector<c10::IValue> given;
  if (fills) given.assign(arguments.begin(), arguments.end());
  // The innermost pass decides: those around it see the same results.
  const bool served = current != nullptr && !in_stages && current->serve(info, stack, &probabilities);
  if (in_stages) current->touch_results();
  if (in_stages) {
    // The innermost acts first; those around it act on what it made.
    auto through = [](at::Tensor (Session::*act)(const at::Tensor&)) {
      return [act](at::Tensor value) {
        for (Session* session = current; session != nullptr; session = session->parent) value = (session->*act)(value);
        return value;
      };
    };
    probabilities =
        staged_attention(stack, through(&Session::act_on_scores), through(&Session::act_on_probabilities));
  } else if (as_explicit && !served) {
    probabilities = explicit_attention(stack);
  } else if (!served) {
    op.callBoxed(stack);
  }
  for (Session* session = current; session != nullptr; session = session->parent) {
    session->act_on_results(info, torch::jit::last(*stack, info.returns), stack);
  }
  const auto returns = torch::jit::last(*stack, info.returns);
  for (Undo* undo = undoing; undo != nullptr; undo = undo->parent) undo->after(info, returns);
  for (Session* session = current; session != nullptr; session = session->parent) {
    session->fill(op, info, given, returns, probabilities);
    session->after(info, returns, probabilities);
  }
}

}  // namespace

std::vector<std::string>& scopes() {
  // Never destroyed: Rust may drop a scope while its thread ends.
  thread_local auto& names = *new std::vector<std::string>();
  return names;
}

TellLine& tell_line() {
  thread_local TellLine tell = nullptr;
  return tell;
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
    if (other->serves()) throw std::logic_error("a pass that is served from a clean one cannot be watched from within");
  }
  if (c10::impl::tls_is_dispatch_key_excluded(KEY)) {
    throw std::logic_error("a pass cannot be watched from within what acts on another one");
  }
  session.elsewhere = std::make_shared<Elsewhere>(current != nullptr ? current->elsewhere : nullptr);
  session.outer_info = c10::ThreadLocalDebugInfo::current();
  c10::ThreadLocalDebugInfo::_push(TRAIL, session.elsewhere);
  session.parent = current;
  current = &session;
  watch_thread();
}

void end(Session& session) {
  if (acting > 0) throw std::logic_error("a pass cannot be ended from within what acts on it");
  if (current == &session) {
    current = session.parent;
    c10::ThreadLocalDebugInfo::_forceCurrentDebugInfo(std::move(session.outer_info));
  } else {
    Session* inner = current;
    while (inner != nullptr && inner->parent != &session) inner = inner->parent;
    if (inner == nullptr) throw std::logic_error("this session watches no pass of this thread");
    // What was there before this session is restored by the one that began after it.
    inner->parent = session.parent;
    inner->outer_info = std::move(session.outer_info);
  }
  session.parent = nullptr;
  watch_thread();
  session.finish();
}

Acting::Acting() { ++acting; }
Acting::~Acting() { --acting; }

void abandon(Session* session) {
  if (acting > 0) {
    abandoned().push_back(session);
    return;
  }
  bool watching = false;
  for (Session* other = current; other != nullptr; other = other->parent) watching |= other == session;
  if (watching) end(*session);
  delete session;
}

void begin(Undo& undo) {
  for (Undo* other = undoing; other != nullptr; other = other->parent) {
    if (other == &undo) throw std::logic_error("this undo is watching already");
  }
  undo.parent = undoing;
  undoing = &undo;
  watch_thread();
}

void end(Undo& undo) {
  if (undoing != &undo) throw std::logic_error("undos of a thread have to end in reverse order");
  undoing = undo.parent;
  undo.parent = nullptr;
  watch_thread();
  undo.ended();
}

Unseen::Unseen() : session_(std::exchange(current, nullptr)), undo_(std::exchange(undoing, nullptr)) { watch_thread(); }

Unseen::~Unseen() {
  current = session_;
  undoing = undo_;
  watch_thread();
}

}  // namespace fmrai
