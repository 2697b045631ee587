// The data half of a virtio-serial bus: every port's queues and the control queues. Lives on one I/O loop;
// between it and the chardevs stand the ports' pipes. Nothing is in flight between two calls, so quiescing is
// immediate.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"
#include "devices/virtio/console/console_counters.h"
#include "devices/virtio/console/console_pipe.h"
#include "devices/virtio/console/console_state.h"
#include "devices/virtio/console/console_wire.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"

namespace nandu {

enum class PortKind : uint8_t { kConsole, kSerial };

struct ConsolePortConfig {
  uint32_t number = 0;
  PortKind kind = PortKind::kSerial;
  std::string name;  // "org.qemu.guest_agent.0"; empty: none
};

class ConsoleData : public std::enable_shared_from_this<ConsoleData> {
 public:
  explicit ConsoleData(EventLoop& loop);
  ~ConsoleData();  // on the loop, quiesced
  ConsoleData(const ConsoleData&) = delete;
  ConsoleData& operator=(const ConsoleData&) = delete;

  // ---- control thread; the guest is told from the loop ----
  void AddPort(const ConsolePortConfig& config, std::shared_ptr<ConsolePipe> pipe);
  void RemovePort(uint32_t number);

  // ---- on the loop ----
  void Activate(std::vector<ActiveQueue> queues, uint64_t features);
  void ActivateQueue(ActiveQueue queue);
  std::vector<QueueAtRest> Quiesce();
  std::optional<QueueAtRest> QuiesceQueue(unsigned index);
  void SetConnected(uint32_t number, bool connected);  // of the chardev
  void Serve(uint32_t number);                         // its pipe has bytes or room

  // ---- while quiesced, any thread ----
  ConsoleState Save() const;
  void Load(const ConsoleState& state);  // checked
  void Reset();

  ConsoleCounters& counters() { return counters_; }  // any thread

 private:
  struct Port {
    ConsolePortConfig config;
    std::shared_ptr<ConsolePipe> pipe;
    ConsolePortState state;  // without the bytes, which are the pipe's
    bool connected = false;  // somebody is at the chardev's other end
    bool open() const { return config.kind == PortKind::kConsole || connected; }
  };
  struct Slot {
    ActiveQueue queue;
    std::unique_ptr<EventWatch> watch;
  };
  enum class Outcome : uint8_t { kDone, kNoBuffer };

  void OnKick(unsigned index);
  void OnKickLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  void PlaceQueue(ActiveQueue queue) NANDU_TA(requires_capability(mutex_));
  bool multiport() const NANDU_TA(requires_capability(mutex_)) {
    return (features_ & console::kFeatureMultiport) != 0;
  }
  Virtqueue* FindQueue(unsigned index) NANDU_TA(requires_capability(mutex_));
  Port* FindPort(uint32_t number) NANDU_TA(requires_capability(mutex_));
  void ServeReceive(Port& port) NANDU_TA(requires_capability(mutex_));
  void ServeTransmit(Port& port) NANDU_TA(requires_capability(mutex_));
  bool Forward(Port& port, const DescChain& chain) NANDU_TA(requires_capability(mutex_));
  void ServeControl() NANDU_TA(requires_capability(mutex_));
  void Handle(const console::ControlMessage& message) NANDU_TA(requires_capability(mutex_));
  void SendMessages() NANDU_TA(requires_capability(mutex_));
  Outcome SendTo(Port& port) NANDU_TA(requires_capability(mutex_));
  Outcome Send(uint32_t number, console::Event event, uint16_t value, std::string_view text)
      NANDU_TA(requires_capability(mutex_));
  void Again(unsigned index);  // the rest of a flooded queue, after the others' turn
  void UpdateReading(Port& port) NANDU_TA(requires_capability(mutex_));

  EventLoop& loop_;
  ConsoleCounters counters_;
  mutable Mutex mutex_;  // the loop against a save, load or reset
  std::map<uint32_t, Port> ports_ NANDU_TA(guarded_by(mutex_));
  std::map<unsigned, Slot> slots_ NANDU_TA(guarded_by(mutex_));  // queues by index
  std::set<uint32_t> removed_ NANDU_TA(guarded_by(mutex_));      // ports the guest has to be told are gone
  bool driver_ready_ NANDU_TA(guarded_by(mutex_)) = false;
  uint64_t features_ NANDU_TA(guarded_by(mutex_)) = 0;
  bool active_ NANDU_TA(guarded_by(mutex_)) = false;
};

}  // namespace nandu
