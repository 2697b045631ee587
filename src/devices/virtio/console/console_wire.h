// virtio-console on the wire: feature bits, configuration and control messages. virtio 1.2, section 5.3.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nandu::console {

// 5.3.3
inline constexpr uint64_t kFeatureMultiport = 1ULL << 1;
inline constexpr uint64_t kFeatureEmergencyWrite = 1ULL << 2;

// 5.3.4
struct Config {
  uint16_t columns;
  uint16_t rows;
  uint32_t max_ports;
  uint32_t emergency_write;
} __attribute__((packed));
static_assert(sizeof(Config) == 12);

// 5.3.6.2. A PORT_NAME's text follows.
struct ControlMessage {
  uint32_t port;
  uint16_t event;
  uint16_t value;
};
static_assert(sizeof(ControlMessage) == 8);

enum class Event : uint16_t {
  kDeviceReady = 0,
  kPortAdd = 1,
  kPortRemove = 2,
  kPortReady = 3,
  kConsolePort = 4,
  kResize = 5,
  kPortOpen = 6,
  kPortName = 7,
};

// 5.3.2: port 0 has queues 0 and 1, control 2 and 3, port n 2n+2 and 2n+3; the even ones fill the guest's
// buffers.
inline constexpr unsigned kControlReceiveQueue = 2;
inline constexpr unsigned kControlTransmitQueue = 3;
inline constexpr unsigned kMaxPorts = 511;  // as QEMU; their queues and the control queues make 1024
constexpr unsigned ReceiveQueueOf(unsigned port) { return port == 0 ? 0 : 2 * port + 2; }

}  // namespace nandu::console
