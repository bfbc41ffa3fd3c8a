// See api.h.
#include "api.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "alone.h"
#include "clean.h"
#include "guard.h"
#include "hook.h"
#include "session.h"
#include "undo.h"

namespace {

bool is_plain(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
    case at::kDouble:
    case at::kLong:
    case at::kInt:
    case at::kBool:
    case at::kByte:
      return true;
    default:
      return false;
  }
}

using fmrai::Sink;
using fmrai::give;
using fmrai::guarded;

}  // namespace

struct fmrai_clean {
  std::shared_ptr<fmrai::Clean> pass;
};

extern "C" {

char* fmrai_register(void) {
  return guarded([] { fmrai::register_hook(); });
}

void fmrai_text_free(char* text) { std::free(text); }

void fmrai_integers_may_be_sizes(void) { fmrai::integers_may_be_sizes = true; }

fmrai::Session* fmrai_session_new(void) { return new (std::nothrow) fmrai::Session(); }

void fmrai_session_free(fmrai::Session* session) {
  std::free(guarded([&] { fmrai::abandon(session); }));
}

char* fmrai_session_name(
    fmrai::Session* session, const at::Tensor* tensor, uint8_t kind, const char* name, size_t length) {
  return guarded([&] { session->name(*tensor, static_cast<fmrai::Session::Leaf>(kind), std::string(name, length)); });
}

char* fmrai_session_expect(
    fmrai::Session* session, const uint64_t* hashes, const uint32_t* results, const uint8_t* explicit_attention,
    size_t operations, const uint8_t* wanted, size_t tensors) {
  return guarded([&] {
    session->expect(
        {hashes, hashes + operations}, {results, results + operations}, {wanted, wanted + tensors}, {explicit_attention, explicit_attention + operations});
  });
}

char* fmrai_session_act(
    fmrai::Session* session, const uint8_t* results, size_t tensors, const uint8_t* scores, size_t operations,
    fmrai_act act, void* context) {
  return guarded([&] {
    auto call = [act, context, session](fmrai::Part part, uint32_t place, const at::Tensor& value) {
      fmrai::Acting acting;
      at::Tensor* other = nullptr;
      const bool goes_on = act(context, static_cast<uint8_t>(part), place, &value, &other);
      std::unique_ptr<at::Tensor> owned(other);
      if (!goes_on) session->end_soon();
      return owned ? std::move(*owned) : at::Tensor();
    };
    session->act_on({results, results + tensors}, {scores, scores + operations}, std::move(call));
  });
}

char* fmrai_session_begin(fmrai::Session* session) {
  return guarded([&] { fmrai::begin(*session); });
}

char* fmrai_session_end(fmrai::Session* session) {
  return guarded([&] { fmrai::end(*session); });
}

char* fmrai_session_recording(const fmrai::Session* session, Sink sink, void* context) {
  return guarded([&] { give(session->recording(), sink, context); });
}

char* fmrai_session_divergence(const fmrai::Session* session, Sink sink, void* context) {
  return guarded([&] { give(session->divergence(), sink, context); });
}

char* fmrai_session_elsewhere(const fmrai::Session* session, uint64_t* count, Sink sink, void* context) {
  return guarded([&] {
    if (!session->elsewhere) return;
    const auto [seen, first] = session->elsewhere->seen();
    *count = seen;
    give(first, sink, context);
  });
}

char* fmrai_session_id_of(const fmrai::Session* session, const at::Tensor* tensor, uint32_t* id) {
  return guarded([&] { *id = session->id_of(*tensor); });
}

size_t fmrai_session_kept(const fmrai::Session* session) { return session->kept.size(); }

char* fmrai_session_take(fmrai::Session* session, size_t index, uint32_t* id, at::Tensor** tensor) {
  return guarded([&] {
    auto& slot = session->kept.at(index);
    *id = slot.id;
    const bool valid = slot.state == fmrai::Session::Kept::Valid;
    *tensor = valid ? new at::Tensor(std::move(slot.tensor)) : nullptr;
  });
}

fmrai_clean* fmrai_clean_new(uint64_t limit) {
  fmrai_clean* made = nullptr;
  std::free(guarded([&] { made = new fmrai_clean{std::make_shared<fmrai::Clean>(limit)}; }));
  return made;
}
void fmrai_clean_free(fmrai_clean* clean) { delete clean; }
uint64_t fmrai_clean_bytes(const fmrai_clean* clean) { return clean->pass->bytes(); }
uint64_t fmrai_clean_served(const fmrai_clean* clean) { return clean->pass->served; }
void fmrai_session_fill(fmrai::Session* session, const fmrai_clean* clean) { session->fill(clean->pass); }
void fmrai_session_serve(fmrai::Session* session, const fmrai_clean* clean) { session->serve(clean->pass); }

char* fmrai_undo_new(fmrai::Undo** undo) {
  return guarded([&] { *undo = new fmrai::Undo(); });
}

void fmrai_undo_free(fmrai::Undo* undo) { delete undo; }

char* fmrai_undo_begin(fmrai::Undo* undo) {
  return guarded([&] { fmrai::begin(*undo); });
}

char* fmrai_undo_end(fmrai::Undo* undo) {
  return guarded([&] { fmrai::end(*undo); });
}

char* fmrai_undo_exchange(fmrai::Undo* undo) {
  return guarded([&] { undo->exchange(); });
}

bool fmrai_undo_wrote(const fmrai::Undo* undo, const at::Tensor* tensor) { return undo->wrote(*tensor); }

char* fmrai_undo_lasts(const fmrai::Undo* undo, const at::Tensor* const* except, size_t count, bool* lasts) {
  return guarded([&] { *lasts = undo->lasts({except, except + count}); });
}

char* fmrai_tensor_plain(at::Tensor* tensor, at::Tensor** plain) {
  return guarded([&] {
    // Our own work, not the model's: a session that is watching this thread has no business with it.
    c10::impl::ExcludeDispatchKeyGuard unseen(fmrai::KEY);
    std::unique_ptr<at::Tensor> owned(tensor);
    at::Tensor t = std::move(*owned);
    TORCH_CHECK(!t.is_nested() && !t.is_meta(), "a tensor without plain elements");
    auto sole = [](const at::Tensor& x) {
      return x.use_count() == 1 && x.has_storage() && x.storage().use_count() == 1;
    };
    const bool ready = t.device().is_cpu() && t.layout() == at::kStrided && is_plain(t.scalar_type()) &&
        t.is_contiguous() && !t.is_conj() && !t.is_neg() && sole(t) && (t.numel() == 0 || t.data_ptr() != nullptr);
    if (!ready) {
      at::NoGradGuard no_grad;
      t = t.detach().to(at::kCPU).resolve_conj().resolve_neg();
      if (t.layout() != at::kStrided) t = t.to_dense();
      const auto type = t.scalar_type();
      if (type == at::kHalf || type == at::kBFloat16) t = t.to(at::kFloat);
      if (type == at::kShort || type == at::kChar) t = t.to(at::kInt);
      t = t.contiguous();
      if (!sole(t)) t = t.clone(at::MemoryFormat::Contiguous);
    }
    *owned = std::move(t);
    *plain = owned.release();
  });
}

char* fmrai_tensors_alone(const at::Tensor* const* tensors, size_t count, bool* alone) {
  return guarded([&] {
    const std::vector<const at::Tensor*> given(tensors, tensors + count);
    const auto found = fmrai::alone(given);
    std::copy(found.begin(), found.end(), alone);
  });
}

size_t fmrai_scope_push(const char* name, size_t length) {
  auto& scopes = fmrai::scopes();
  const size_t depth = scopes.size();
  if (guarded([&] { scopes.emplace_back(name, length); }) != nullptr) std::abort();
  return depth;
}

void fmrai_scope_truncate(size_t depth) {
  auto& scopes = fmrai::scopes();
  if (scopes.size() > depth) scopes.resize(depth);
}

void fmrai_lines(fmrai_tell_line tell) { fmrai::tell_line() = tell; }

void fmrai_keep_freed_pages(void) {
#ifdef __GLIBC__
  // Older versions refuse more than 32 MiB; setting the other threshold alone would make things worse.
  if (!mallopt(M_MMAP_THRESHOLD, 1 << 30) && !mallopt(M_MMAP_THRESHOLD, 32 << 20)) return;
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

}  // extern "C"
