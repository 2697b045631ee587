// A page of guest memory that the host has lost (base/lost_memory.h): the VM stops with run state
// internal-error, and says which. One that is broken and that no device has met is the guest's to hear of.
#include <cerrno>
#include <sys/eventfd.h>
#include <utility>

#include "base/log.h"
#include "base/lost_memory.h"
#include "machine/machine_impl.h"

namespace nandu {

Result<> Machine::Impl::WatchLostMemory() {
  lost_memory_event = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!lost_memory_event) {
    return FailErrno(errno, "an eventfd");
  }
  TRY(LostMemory::Install(lost_memory_event.get()));
  TRY(LostMemory::HearEarly());
  losses_told = LostMemory::count();
  lost_memory = loop.WatchFd(lost_memory_event.get());
  lost_memory->WaitReadable([this] { OnLostMemory(); });
  return {};
}

void Machine::Impl::OnLostMemory() {
  eventfd_t pages = 0;
  static_cast<void>(::eventfd_read(lost_memory_event.get(), &pages));
  if (const void* const broken = LostMemory::TakeFound()) {
    board->ReportFoundPoison(broken);
  }
  const uint64_t losses = LostMemory::count();
  pages = losses - std::exchange(losses_told, losses);
  if (pages != 0) {
    const auto* const at = static_cast<const std::byte*>(LostMemory::newest());
    for (const RamRange& range : board->memory().view()->memory()->ranges()) {
      const std::byte* const begin = range.block->host();
      if (at >= begin && at < begin + range.block->size()) {
        Log(LogLevel::kError,
            "the host has lost {} page(s) of guest memory, the last at {:#x} of '{}': its file was "
            "truncated, "
            "huge pages ran out, or the hardware found it broken; the VM stops and can only be reset",
            pages, at - begin, range.block->name());
        break;
      }
    }
    lifecycle->RequestStop(RunState::kInternalError);
  }
  lost_memory->WaitReadable([this] { OnLostMemory(); });
}

}  // namespace nandu
