// The terminal nandu was started on: raw while a guest has it, and given back as it was at exit, on a fatal
// signal, and (again raw) after a stop and continue. One per process.
#pragma once

#include "base/result.h"

namespace nandu {

class TerminalGuard {
 public:
  enum class Signals : uint8_t { kInterruptUs, kPassToGuest };
  // Raw mode on descriptor `fd` when it is a terminal; does nothing otherwise. At most one guard at a time.
  static Result<> Enter(int fd, Signals signals);
  static void Restore();  // async-signal-safe; again is harmless
};

}  // namespace nandu
