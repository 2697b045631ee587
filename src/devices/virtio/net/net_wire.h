// virtio-net on the wire: feature bits, configuration, frame header and control commands. virtio 1.2,
// section 5.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nandu::net {

// virtio 1.2, 5.1.3
inline constexpr uint64_t kFeatureCsum = 1ULL << 0;
inline constexpr uint64_t kFeatureGuestCsum = 1ULL << 1;
inline constexpr uint64_t kFeatureCtrlGuestOffloads = 1ULL << 2;
inline constexpr uint64_t kFeatureMtu = 1ULL << 3;
inline constexpr uint64_t kFeatureMac = 1ULL << 5;
inline constexpr uint64_t kFeatureGso = 1ULL << 6;  // legacy only (5.1.3.2): all host segmentation at once
inline constexpr uint64_t kFeatureGuestTso4 = 1ULL << 7;
inline constexpr uint64_t kFeatureGuestTso6 = 1ULL << 8;
inline constexpr uint64_t kFeatureGuestEcn = 1ULL << 9;
inline constexpr uint64_t kFeatureGuestUfo = 1ULL << 10;
inline constexpr uint64_t kFeatureHostTso4 = 1ULL << 11;
inline constexpr uint64_t kFeatureHostTso6 = 1ULL << 12;
inline constexpr uint64_t kFeatureHostEcn = 1ULL << 13;
inline constexpr uint64_t kFeatureHostUfo = 1ULL << 14;
inline constexpr uint64_t kFeatureMrgRxbuf = 1ULL << 15;
inline constexpr uint64_t kFeatureStatus = 1ULL << 16;
inline constexpr uint64_t kFeatureCtrlVq = 1ULL << 17;
inline constexpr uint64_t kFeatureCtrlRx = 1ULL << 18;
inline constexpr uint64_t kFeatureCtrlVlan = 1ULL << 19;
inline constexpr uint64_t kFeatureCtrlRxExtra = 1ULL
                                                << 20;  // linux/virtio_net.h; reserved in the specification
inline constexpr uint64_t kFeatureGuestAnnounce = 1ULL << 21;
inline constexpr uint64_t kFeatureMq = 1ULL << 22;
inline constexpr uint64_t kFeatureCtrlMacAddr = 1ULL << 23;
inline constexpr uint64_t kFeatureSpeedDuplex = 1ULL << 63;
inline constexpr uint64_t kFeatureVersion1 = 1ULL << 32;  // the transport's

// What CTRL_GUEST_OFFLOADS may turn on and off (5.1.6.5.6).
inline constexpr uint64_t kGuestOffloads =
    kFeatureGuestCsum | kFeatureGuestTso4 | kFeatureGuestTso6 | kFeatureGuestEcn | kFeatureGuestUfo;

using Mac = std::array<uint8_t, 6>;

// 5.1.4. Little-endian, which is the host's order; a legacy guest of this machine has the same.
struct Config {
  Mac mac;
  uint16_t status;
  uint16_t max_virtqueue_pairs;
  uint16_t mtu;
  uint32_t speed;  // Mbit/s, all ones: unknown
  uint8_t duplex;
} __attribute__((packed));
static_assert(sizeof(Config) == 17);

inline constexpr uint16_t kStatusLinkUp = 1;
inline constexpr uint16_t kStatusAnnounce = 2;
inline constexpr uint8_t kDuplexHalf = 0;
inline constexpr uint8_t kDuplexFull = 1;
inline constexpr uint8_t kDuplexUnknown = 0xff;

// 5.1.6. The kernel's tap fills and checks all but num_buffers.
inline constexpr uint32_t kHeaderBytes = 12;        // with VERSION_1 or MRG_RXBUF
inline constexpr uint32_t kLegacyHeaderBytes = 10;  // without: no num_buffers
inline constexpr uint32_t kNumBuffersOffset = 10;

inline constexpr uint32_t kEthernetBytes = 14;
inline constexpr uint32_t kMaxFrameBytes =
    65536 + 64;  // the longest segmented packet, its link header and tags

// 5.1.6.5
enum class ControlClass : uint8_t { kRx = 0, kMac = 1, kVlan = 2, kAnnounce = 3, kMq = 4, kOffloads = 5 };
enum class RxCommand : uint8_t { kPromisc, kAllMulti, kAllUni, kNoMulti, kNoUni, kNoBcast };
enum class MacCommand : uint8_t { kTableSet, kAddressSet };
enum class VlanCommand : uint8_t { kAdd, kDelete };
enum class AnnounceCommand : uint8_t { kAck };
enum class MqCommand : uint8_t { kPairsSet };
enum class OffloadsCommand : uint8_t { kSet };
inline constexpr uint8_t kControlOk = 0;
inline constexpr uint8_t kControlError = 1;
inline constexpr uint64_t kMaxControlBytes = 64 * 1024;  // of one command; a longer one is refused
inline constexpr size_t kMaxMacTable =
    64;  // addresses of a kind that are kept; more: all of that kind are received
inline constexpr unsigned kVlans = 4096;
inline constexpr unsigned kMaxPairs =
    128;  // 2 * 128 queues and the control queue stay below the transport's 1024

}  // namespace nandu::net
