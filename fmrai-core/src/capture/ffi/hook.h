// The dispatcher hook: sees every operation of the threads that have a session.
#pragma once

#include <string>
#include <vector>

#include "session.h"

namespace fmrai {

// A key that nothing else uses.
constexpr auto KEY = c10::DispatchKey::TESTING_ONLY_GenericMode;

// Installs the hook in the dispatcher. Once in a process, on first use: a static initializer would run again in
// every library that links this file, and the dispatcher aborts on the second fallback of a key.
void register_hook();

// Watches this thread until `end`. Sessions nest: all of them see what runs.
void begin(Session& session);
void end(Session& session);

// Module path of what runs on this thread now.
std::vector<std::string>& scopes();

}  // namespace fmrai
