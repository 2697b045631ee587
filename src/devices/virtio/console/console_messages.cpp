// The control queues of a virtio-serial bus. virtio 1.2, 5.3.6.2.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "devices/virtio/console/console_data.h"

namespace nandu {
namespace {

// A buffer, or the next kick tells that there is one.
std::optional<DescChain> PopOrArm(Virtqueue& queue) {
  if (std::optional<DescChain> chain = queue.Pop()) {
    return chain;
  }
  if (!queue.EnableKicks()) {
    return std::nullopt;
  }
  return queue.Pop();
}

}  // namespace

void ConsoleData::SetConnected(uint32_t number, bool connected) {
  const MutexLock lock(mutex_);
  Port* port = FindPort(number);
  if (port == nullptr) {
    return;
  }
  port->connected = connected;
  if (active_ && port->state.ready && port->state.open_told != port->open()) {
    port->state.pending_open = true;
    SendMessages();
  }
}

// ---- from the driver ----
void ConsoleData::ServeControl() {
  Virtqueue* queue = FindQueue(console::kControlTransmitQueue);
  if (queue == nullptr) {
    return;
  }
  for (unsigned served = 0;; ++served) {
    if (served == queue->size()) {
      Again(console::kControlTransmitQueue);
      break;
    }
    std::optional<DescChain> chain = queue->Pop();
    if (!chain) {
      if (queue->EnableKicks()) {
        continue;
      }
      break;
    }
    counters_.control_messages.Add();
    console::ControlMessage message{};
    if (chain->ReadHeader(&message, sizeof(message))) {
      Handle(message);
    } else {
      counters_.bad_control_messages.Add();
    }
    queue->CompleteBatch(std::move(*chain), 0);
  }
  queue->Flush();
  SendMessages();
}

void ConsoleData::Handle(const console::ControlMessage& message) {
  const auto event = static_cast<console::Event>(message.event);
  if (event == console::Event::kDeviceReady) {
    if (message.value == 0) {
      counters_.bad_control_messages.Add();  // the driver could not set the device up
      return;
    }
    driver_ready_ = true;
    for (auto& [number, port] : ports_) {
      port.state.pending_add = true;
    }
    return;
  }
  Port* port = FindPort(message.port);
  if (port == nullptr) {
    counters_.bad_control_messages.Add();
    return;
  }
  switch (event) {
    case console::Event::kPortReady:
      if (message.value == 0) {
        counters_.bad_control_messages.Add();  // the driver could not set the port up
        return;
      }
      port->state.ready = true;
      port->state.pending_console = port->config.kind == PortKind::kConsole;
      port->state.pending_name = !port->config.name.empty();
      port->state.pending_open = port->open();
      break;
    case console::Event::kPortOpen:
      port->state.guest_open = message.value != 0;
      if (!port->state.guest_open) {
        port->pipe->ClearForGuest();  // was for the process that closed it
      }
      UpdateReading(*port);
      break;
    default: counters_.bad_control_messages.Add(); break;
  }
}

// ---- to the driver ----
void ConsoleData::SendMessages() {
  Virtqueue* queue = FindQueue(console::kControlReceiveQueue);
  if (queue == nullptr || !multiport()) {
    return;
  }
  Outcome outcome = Outcome::kDone;
  while (outcome == Outcome::kDone && !removed_.empty()) {
    outcome = Send(*removed_.begin(), console::Event::kPortRemove, 1, {});
    if (outcome == Outcome::kDone) {
      removed_.erase(removed_.begin());
    }
  }
  for (auto it = ports_.begin(); outcome == Outcome::kDone && it != ports_.end(); ++it) {
    outcome = SendTo(it->second);
  }
  queue->Flush();
}

// Everything that is pending for one port, in the order a driver expects it.
ConsoleData::Outcome ConsoleData::SendTo(Port& port) {
  ConsolePortState& state = port.state;
  const uint32_t number = port.config.number;
  const auto send = [&](bool* pending, console::Event event, uint16_t value, std::string_view text)
                        NANDU_TA(requires_capability(mutex_)) {
                          if (*pending && Send(number, event, value, text) == Outcome::kNoBuffer) {
                            return false;
                          }
                          *pending = false;
                          return true;
                        };
  const bool open = port.open();
  const bool tells_open = state.pending_open;
  const bool all = send(&state.pending_add, console::Event::kPortAdd, 1, {}) &&
                   send(&state.pending_console, console::Event::kConsolePort, 1, {}) &&
                   send(&state.pending_name, console::Event::kPortName, 1, port.config.name) &&
                   send(&state.pending_open, console::Event::kPortOpen, open ? 1 : 0, {});
  if (all && tells_open) {
    state.open_told = open;
  }
  return all ? Outcome::kDone : Outcome::kNoBuffer;
}

ConsoleData::Outcome ConsoleData::Send(uint32_t number, console::Event event, uint16_t value,
                                       std::string_view text) {
  Virtqueue* queue = FindQueue(console::kControlReceiveQueue);
  std::optional<DescChain> chain = PopOrArm(*queue);
  if (!chain) {
    return Outcome::kNoBuffer;
  }
  const console::ControlMessage message{number, static_cast<uint16_t>(event), value};
  std::vector<std::byte> bytes(sizeof(message) + text.size());
  std::memcpy(bytes.data(), &message, sizeof(message));
  std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), bytes.begin() + sizeof(message));
  // A buffer that is too short gets the beginning: the driver chose it.
  const size_t length = std::min<uint64_t>(bytes.size(), chain->writable_bytes());
  counters_.truncated_messages.Add(length < bytes.size() ? 1 : 0);
  const bool written = chain->Write(0, bytes.data(), length);
  NANDU_CHECK(written, "a buffer takes the bytes it was measured for");
  queue->CompleteBatch(std::move(*chain), static_cast<uint32_t>(length));
  return Outcome::kDone;
}

}  // namespace nandu
