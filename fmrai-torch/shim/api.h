// What Rust calls. No exception leaves these functions: they return null, or the first line of its message in
// memory that the caller gives back through fmrai_text_free.
#pragma once

#include <cstddef>
#include <cstdint>

namespace at {
class Tensor;
}
namespace fmrai {
class Session;
class Undo;
}
struct fmrai_clean;  // a counted reference

extern "C" {
char* fmrai_register(void);
void fmrai_text_free(char* text);

fmrai::Session* fmrai_session_new(void);
// Ends it if it watches. From within what acts on a pass it is freed after the operation that is acted on.
void fmrai_session_free(fmrai::Session* session);
char* fmrai_session_name(
    fmrai::Session* session, const at::Tensor* tensor, uint8_t kind, const char* name, size_t length);
char* fmrai_session_expect(
    fmrai::Session* session, const uint64_t* hashes, const uint32_t* results, const uint8_t* explicit_attention,
    size_t operations, const uint8_t* wanted, size_t tensors);
// Makes `act` be called with tensors of the pass: results of operations (a flag for each tensor), and scores of fused attention (a flag for
// each operation). It gives a new tensor to go on with in its place, or null to leave it; false makes the pass end soon: at the next operation
// whose caller can be told so.
using fmrai_act = bool (*)(void* context, uint8_t part, uint32_t place, const at::Tensor* value, at::Tensor** other);
char* fmrai_session_act(
    fmrai::Session* session, const uint8_t* results, size_t tensors, const uint8_t* scores, size_t operations,
    fmrai_act act, void* context);
char* fmrai_session_begin(fmrai::Session* session);
char* fmrai_session_end(fmrai::Session* session);

// `sink` is called once with bytes that are valid during the call.
char* fmrai_session_recording(
    const fmrai::Session* session, void (*sink)(void*, const uint8_t*, size_t), void* context);
char* fmrai_session_divergence(
    const fmrai::Session* session, void (*sink)(void*, const uint8_t*, size_t), void* context);

// How many operations of the pass ran on other threads; `sink` is called with the name of the first one.
char* fmrai_session_elsewhere(
    const fmrai::Session* session, uint64_t* count, void (*sink)(void*, const uint8_t*, size_t), void* context);

// The id that a tensor has at this point of the pass; UINT32_MAX for one that it does not know.
char* fmrai_session_id_of(const fmrai::Session* session, const at::Tensor* tensor, uint32_t* id);

size_t fmrai_session_kept(const fmrai::Session* session);
// Takes one kept tensor out: a new tensor that the caller owns, or null in `tensor` if it was overwritten.
char* fmrai_session_take(fmrai::Session* session, size_t index, uint32_t* id, at::Tensor** tensor);

// What a clean pass made, up to `limit` bytes of it.
fmrai_clean* fmrai_clean_new(uint64_t limit);  // null when out of memory
void fmrai_clean_free(fmrai_clean* clean);
uint64_t fmrai_clean_bytes(const fmrai_clean* clean);
uint64_t fmrai_clean_served(const fmrai_clean* clean);
// Said before the session begins.
void fmrai_session_fill(fmrai::Session* session, const fmrai_clean* clean);
void fmrai_session_serve(fmrai::Session* session, const fmrai_clean* clean);

char* fmrai_undo_new(fmrai::Undo** undo);
void fmrai_undo_free(fmrai::Undo* undo);
char* fmrai_undo_begin(fmrai::Undo* undo);
char* fmrai_undo_end(fmrai::Undo* undo);
char* fmrai_undo_exchange(fmrai::Undo* undo);
bool fmrai_undo_wrote(const fmrai::Undo* undo, const at::Tensor* tensor);
// Whether anything but memory of the tensors given is another than before the pass.
char* fmrai_undo_lasts(const fmrai::Undo* undo, const at::Tensor* const* except, size_t count, bool* lasts);

// A tensor with the same elements that is dense, in CPU memory, of a plain type, and shares memory with nobody.
// Consumes `tensor`, which it returns unchanged when it is all that already.
char* fmrai_tensor_plain(at::Tensor* tensor, at::Tensor** plain);
// For each of some tensors, whether these references alone reach its memory, which is strided and of the CPU: then nothing can change it.
char* fmrai_tensors_alone(const at::Tensor* const* tensors, size_t count, bool* alone);

// Whether integers among numbers of any type may be sizes: of the process, for sessions that are made from now on.
void fmrai_integers_may_be_sizes(void);

size_t fmrai_scope_push(const char* name, size_t length);
void fmrai_scope_truncate(size_t depth);

// Who tells in which line of source this thread is, for each operation that the hook sees; null: nobody. It hands its text to the sink.
using fmrai_tell_line = void (*)(void (*sink)(void*, const uint8_t*, size_t), void* context);
void fmrai_lines(fmrai_tell_line tell);
void fmrai_keep_freed_pages(void);
}
