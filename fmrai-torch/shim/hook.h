// The dispatcher hook: sees every operation of the threads that have a session.
#pragma once

#include <string>
#include <vector>

#include "session.h"

namespace fmrai {

class Undo;

// A key that nothing else uses.
constexpr auto KEY = c10::DispatchKey::TESTING_ONLY_GenericMode;

// Installs the hook in the dispatcher. Once in a process, on first use: a static initializer would run again in
// every library that links this file, and the dispatcher aborts on the second fallback of a key.
void register_hook();

// Watches this thread until `end`. Sessions nest: all of them see what runs. Operations that the pass hands to other threads,
// as far as libtorch tells of it, are counted: see `Session::elsewhere`.
void begin(Session& session);
void end(Session& session);

// While it lives, something acts on a pass of this thread: no session ends or goes.
class Acting {
 public:
  Acting();
  ~Acting();
  Acting(const Acting&) = delete;
  Acting& operator=(const Acting&) = delete;
};
// Ends and frees a session, at once or, from within what acts on a pass, when the operation that it acts on is over.
void abandon(Session* session);
void begin(Undo& undo);
void end(Undo& undo);

// While it lives, sessions and undos of this thread see nothing; ones that begin meanwhile do.
class Unseen {
 public:
  Unseen();
  ~Unseen();
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

 private:
  Session* session_;
  Undo* undo_;
};

// Module path of what runs on this thread now.
std::vector<std::string>& scopes();

// Hands `sink` the line of source from which this thread calls libtorch now; null where nobody wants to know.
using TellLine = void (*)(void (*sink)(void*, const uint8_t*, size_t), void* context);
TellLine& tell_line();

}  // namespace fmrai
