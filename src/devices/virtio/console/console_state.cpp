// Bounds of a loaded state.
#include "devices/virtio/console/console_state.h"

namespace nandu {

Result<> CheckConsoleState(const ConsoleState& state, const std::vector<uint32_t>& numbers) {
  if (state.ports.size() != numbers.size()) {
    return Fail(Errc::kCorrupt, "ports: {} were saved, {} are here; give both sides the same ports",
                state.ports.size(), numbers.size());
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    const ConsolePortState& port = state.ports[i];
    if (port.number != numbers[i]) {
      return Fail(Errc::kCorrupt,
                  "ports[{}].number: {} was saved, {} is here; give both sides the same ports", i,
                  port.number, numbers[i]);
    }
    if (port.to_host.size() > ConsolePipe::kCapacity || port.for_guest.size() > ConsolePipe::kCapacity) {
      return Fail(Errc::kCorrupt, "ports[{}]: more than {} bytes wait", i, ConsolePipe::kCapacity);
    }
  }
  return {};
}

}  // namespace nandu
