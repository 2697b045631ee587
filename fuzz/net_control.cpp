// Fuzzes virtio-net's control commands and receive filter: whatever a driver sends, the state stays one that
// could be saved and loaded.
#include "devices/virtio/net/net_control.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "devices/virtio/net/net_filter.h"
#include "devices/virtio/net/net_wire.h"
#include "devices/virtio/virtqueue.h"
#include "support/driver_ring.h"
#include "support/fake_guest.h"

namespace {

using namespace nandu;  // NOLINT: a fuzz target is one file

constexpr unsigned kPairs = 4;
constexpr uint64_t kOffered = net::kGuestOffloads | net::kFeatureMq | net::kFeatureCtrlVq |
                              net::kFeatureCtrlRx | net::kFeatureCtrlVlan | net::kFeatureCtrlRxExtra |
                              net::kFeatureCtrlMacAddr | net::kFeatureCtrlGuestOffloads |
                              net::kFeatureGuestAnnounce;

class Silent final : public QueueNotifier {
 public:
  void NotifyQueue(unsigned /*index*/) override {}
  void QueueBroken(unsigned /*index*/, const char* /*why*/) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4 || size > 16 * 1024) {
    return 0;
  }
  std::string_view input(reinterpret_cast<const char*>(data), size);
  FakeGuest guest(uint64_t{1} << 20);
  DriverRing ring(guest, {.size = 8});
  Silent notifier;
  QueueCounters counters;
  Virtqueue queue(0, guest.dma(), ring.config(), ring.features(), {}, notifier, counters);
  NetState state;
  state.features = kOffered & ~(uint64_t{data[0]} << 17);
  state.announce = (data[1] & 1) != 0;
  input.remove_prefix(2);
  while (input.size() > 2) {
    // Up to 64 KiB of one command, cut in two pieces somewhere.
    const size_t length = std::min<size_t>(1 + static_cast<uint8_t>(input[0]) * 8U, input.size() - 2);
    const size_t cut = std::min<size_t>(static_cast<uint8_t>(input[1]), length - 1);
    const std::string_view command = input.substr(2, length);
    input.remove_prefix(2 + length);
    DriverRing::Request request = ring.Chain();
    if (cut > 0) {
      request.Readable(command.substr(0, cut));
    }
    request.Readable(command.substr(cut)).Send();
    std::optional<DescChain> chain = queue.Pop();
    NANDU_CHECK(chain.has_value(), "a well-formed chain is popped");
    const NetState before = state;
    const NetControlResult result = HandleNetControl(*chain, kPairs, &state);
    NANDU_CHECK(result.ack == net::kControlOk || Equal(before, state), "a refused command changes nothing");
    NANDU_CHECK(CheckNetState(state, kOffered, kPairs).has_value(),
                "what a driver can set can be saved and loaded");
    queue.Complete(std::move(*chain), 0);
    ring.NextUsed();
    if (command.size() >= net::kEthernetBytes) {
      const std::string_view frame = command.substr(0, kFilterBytes);
      (void)FrameIsWanted(state, {reinterpret_cast<const uint8_t*>(frame.data()), frame.size()});
    }
  }
  return 0;
}
