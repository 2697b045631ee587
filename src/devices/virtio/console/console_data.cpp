// Ports and their queues on the I/O loop: bytes. The control messages are in console_messages.cpp.
#include "devices/virtio/console/console_data.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace nandu {
namespace {

constexpr size_t kPieceBytes = 4096;

}  // namespace

ConsoleData::ConsoleData(EventLoop& loop) : loop_(loop) {}

ConsoleData::~ConsoleData() { NANDU_CHECK(slots_.empty(), "a virtio-serial bus is quiesced before it goes"); }

ConsoleData::Port* ConsoleData::FindPort(uint32_t number) {
  const auto found = ports_.find(number);
  return found == ports_.end() ? nullptr : &found->second;
}

Virtqueue* ConsoleData::FindQueue(unsigned index) {
  const auto found = slots_.find(index);
  return found == slots_.end() ? nullptr : &found->second.queue.queue;
}

// ---- coming and going ----
void ConsoleData::AddPort(const ConsolePortConfig& config, std::shared_ptr<ConsolePipe> pipe) {
  const MutexLock lock(mutex_);
  Port port;
  port.config = config;
  port.pipe = std::move(pipe);
  port.state.number = config.number;
  port.state.pending_add = driver_ready_;
  removed_.erase(config.number);
  UpdateReading(ports_.insert_or_assign(config.number, std::move(port)).first->second);
  Again(console::kControlReceiveQueue);
  Again(console::ReceiveQueueOf(config.number) + 1);  // what the guest sent to the empty place
}

void ConsoleData::RemovePort(uint32_t number) {
  const MutexLock lock(mutex_);
  ports_.erase(number);
  if (driver_ready_) {
    removed_.insert(number);
  }
  Again(console::kControlReceiveQueue);
}

void ConsoleData::Activate(std::vector<ActiveQueue> queues, uint64_t features) {
  const MutexLock lock(mutex_);
  NANDU_CHECK(!active_, "a virtio-serial bus is activated once between two quiesces");
  active_ = true;
  features_ = features;
  for (ActiveQueue& queue : queues) {
    PlaceQueue(std::move(queue));
  }
  for (auto& [number, port] : ports_) {
    port.pipe->SetFrozen(ConsolePipe::Freeze::kNo);
    UpdateReading(port);
    // The chardev may not be what it was when the guest was last told: another host, another client.
    if (port.state.ready && port.state.open_told != port.open()) {
      port.state.pending_open = true;
    }
  }
}

void ConsoleData::ActivateQueue(ActiveQueue queue) {
  const MutexLock lock(mutex_);
  PlaceQueue(std::move(queue));
}

void ConsoleData::PlaceQueue(ActiveQueue queue) {
  const unsigned index = queue.index;
  const bool known = index < 2 || multiport();
  counters_.ignored_queues.Add(known ? 0 : 1);
  Doorbell& doorbell = *queue.doorbell;
  Slot& slot = slots_.insert_or_assign(index, Slot{std::move(queue), nullptr}).first->second;
  if (known) {
    slot.watch = doorbell.Watch(loop_, [this, index] { OnKick(index); });
  }
  for (auto& [number, port] : ports_) {
    if (console::ReceiveQueueOf(number) == index) {
      UpdateReading(port);
    }
  }
}

std::vector<QueueAtRest> ConsoleData::Quiesce() {
  const MutexLock lock(mutex_);
  std::vector<QueueAtRest> queues;
  for (auto& [index, slot] : slots_) {
    slot.watch.reset();
    queues.push_back({index, std::move(slot.queue.queue), {}});
  }
  slots_.clear();
  for (auto& [number, port] : ports_) {
    port.pipe->SetGuestReading(false);
    if (active_) {
      port.pipe->SetFrozen(ConsolePipe::Freeze::kYes);
    }
  }
  active_ = false;
  return queues;
}

std::optional<QueueAtRest> ConsoleData::QuiesceQueue(unsigned index) {
  const MutexLock lock(mutex_);
  const auto found = slots_.find(index);
  if (found == slots_.end()) {
    return std::nullopt;
  }
  found->second.watch.reset();
  QueueAtRest released{index, std::move(found->second.queue.queue), {}};
  slots_.erase(found);
  for (auto& [number, port] : ports_) {
    if (console::ReceiveQueueOf(number) == index) {
      UpdateReading(port);
    } else if (console::ReceiveQueueOf(number) + 1 == index) {
      port.state.transmitted = 0;  // the buffer it counted is the driver's again
    }
  }
  return released;
}

// ---- events ----
void ConsoleData::OnKick(unsigned index) {
  const MutexLock lock(mutex_);
  OnKickLocked(index);
}

void ConsoleData::OnKickLocked(unsigned index) {
  if (index == console::kControlReceiveQueue) {
    SendMessages();
  } else if (index == console::kControlTransmitQueue) {
    ServeControl();
  } else if (Port* port = FindPort(index < 2 ? 0 : (index - 2) / 2)) {
    if (index % 2 == 0) {
      ServeReceive(*port);
    } else {
      ServeTransmit(*port);
    }
  }
}

void ConsoleData::Serve(uint32_t number) {
  const MutexLock lock(mutex_);
  if (Port* port = FindPort(number); port != nullptr && active_) {
    ServeTransmit(*port);
    ServeReceive(*port);
  }
}

void ConsoleData::Again(unsigned index) {
  loop_.Post([weak = weak_from_this(), index] {
    if (const std::shared_ptr<ConsoleData> data = weak.lock()) {
      data->OnKick(index);
    }
  });
}

// Input is taken from the chardev only while somebody in the guest reads it; without multiport that is
// always.
void ConsoleData::UpdateReading(Port& port) {
  const bool has_queue = FindQueue(console::ReceiveQueueOf(port.config.number)) != nullptr;
  port.pipe->SetGuestReading(active_ && has_queue && (port.state.guest_open || !multiport()));
}

// ---- bytes ----
void ConsoleData::ServeReceive(Port& port) {
  const unsigned index = console::ReceiveQueueOf(port.config.number);
  Virtqueue* queue = FindQueue(index);
  if (queue == nullptr || (multiport() && !port.state.guest_open)) {
    return;
  }
  std::array<std::byte, kPieceBytes> piece;
  for (unsigned served = 0; port.pipe->WaitingForGuest() > 0;) {
    if (served == queue->size()) {
      Again(index);
      break;
    }
    std::optional<DescChain> chain = queue->Pop();
    if (!chain) {
      if (queue->EnableKicks()) {
        continue;
      }
      counters_.guest_has_no_buffers.Add();
      break;
    }
    ++served;
    const uint64_t room = chain->writable_bytes();
    uint64_t filled = 0;
    while (filled < room) {
      const size_t got =
          port.pipe->TakeForGuest(std::span(piece).first(std::min<uint64_t>(piece.size(), room - filled)));
      if (got == 0) {
        break;
      }
      const bool written = chain->Write(filled, piece.data(), got);
      NANDU_CHECK(written, "a buffer takes the bytes it was measured for");
      filled += got;
    }
    counters_.empty_buffers.Add(room == 0 ? 1 : 0);
    counters_.bytes_to_guest.Add(filled);
    queue->CompleteBatch(std::move(*chain), static_cast<uint32_t>(filled));  // at most what a pipe holds
  }
  queue->Flush();
}

void ConsoleData::ServeTransmit(Port& port) {
  const unsigned index = console::ReceiveQueueOf(port.config.number) + 1;
  Virtqueue* queue = FindQueue(index);
  if (queue == nullptr) {
    return;
  }
  queue->DisableKicks();
  for (unsigned served = 0;; ++served) {
    if (served == queue->size()) {
      Again(index);
      break;
    }
    std::optional<DescChain> chain = queue->Pop();
    if (!chain) {
      if (queue->EnableKicks()) {
        continue;
      }
      break;
    }
    if (!Forward(port, *chain)) {
      counters_.host_is_full.Add();
      queue->Unpop(
          std::move(*chain));  // the pipe calls when there is room; state.transmitted says where to go on
      break;
    }
    port.state.transmitted = 0;
    queue->CompleteBatch(std::move(*chain), 0);
  }
  queue->Flush();
}

// The rest of a transmit buffer into the pipe; false when that is full.
bool ConsoleData::Forward(Port& port, const DescChain& chain) {
  uint64_t skip = port.state.transmitted;
  for (const iovec& part : chain.readable()) {
    if (skip >= part.iov_len) {
      skip -= part.iov_len;
      continue;
    }
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(part.iov_base) + skip,
                                           part.iov_len - skip);
    skip = 0;
    const size_t taken = port.pipe->PushToHost(bytes);
    counters_.bytes_to_host.Add(taken);
    port.state.transmitted += taken;
    if (taken < bytes.size()) {
      return false;
    }
  }
  return true;
}

// ---- state ----
ConsoleState ConsoleData::Save() const {
  const MutexLock lock(mutex_);
  ConsoleState state;
  state.driver_ready = driver_ready_;
  for (const auto& [number, port] : ports_) {
    ConsolePortState saved = port.state;
    saved.to_host = port.pipe->SaveToHost();
    saved.for_guest = port.pipe->SaveForGuest();
    state.ports.push_back(std::move(saved));
  }
  return state;
}

void ConsoleData::Load(const ConsoleState& state) {
  const MutexLock lock(mutex_);
  driver_ready_ = state.driver_ready;
  removed_.clear();
  for (const ConsolePortState& loaded : state.ports) {
    Port* port = FindPort(loaded.number);
    NANDU_CHECK(port != nullptr, "a loaded state was checked");
    port->pipe->Load(loaded.to_host, loaded.for_guest);
    port->state = loaded;
    port->state.to_host.clear();
    port->state.for_guest.clear();
  }
}

void ConsoleData::Reset() {
  const MutexLock lock(mutex_);
  driver_ready_ = false;
  removed_.clear();
  for (auto& [number, port] : ports_) {
    port.state = ConsolePortState{};
    port.state.number = number;
    port.pipe->ClearForGuest();
    port.pipe->SetFrozen(ConsolePipe::Freeze::kNo);  // what the guest wrote before it reset still goes out
  }
}

}  // namespace nandu
