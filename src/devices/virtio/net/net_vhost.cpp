#include "devices/virtio/net/net_vhost.h"

#include <cerrno>
#include <sys/eventfd.h>

#include "base/log.h"
#include "devices/virtio/ring_wire.h"

namespace nandu {
namespace {

// What a device may write to and read from; read-only memory is left out, as QEMU does.
std::vector<VhostRegion> RegionsOf(const GuestMemory& memory) {
  std::vector<VhostRegion> regions;
  for (const RamRange& range : memory.ranges()) {
    if (!range.readonly) {
      regions.push_back({range.base, range.size, range.block->host() + range.block_offset});
    }
  }
  return regions;
}

Result<> Locate(const GuestMemory& memory, const QueueConfig& config, VhostRing* at) {
  const auto find = [&memory](uint64_t address, uint64_t bytes) {
    return memory.HostPointer(Gpa{address}, bytes, Access::kWrite);
  };
  at->size = config.size;
  at->descriptors = find(config.descriptors, SplitDescBytes(config.size));
  at->available = find(config.driver, SplitAvailBytes(config.size));
  at->used = find(config.device, SplitUsedBytes(config.size));
  if (at->descriptors == nullptr || at->available == nullptr || at->used == nullptr) {
    return Fail(Errc::kInvalidArgument, "a ring does not lie in one piece of memory");
  }
  return {};
}

}  // namespace

NetVhost::NetVhost(EventLoop& loop, std::vector<std::shared_ptr<VhostPair>> pairs,
                   std::shared_ptr<TransportSlot> transport)
    : loop_(loop), pairs_(std::move(pairs)), transport_(std::move(transport)) {}

Result<> NetVhost::SetFeatures(uint64_t accepted) {
  for (const std::shared_ptr<VhostPair>& pair : pairs_) {
    if (pair) {
      TRY(pair->SetFeatures(accepted));
    }
  }
  return {};
}

int NetVhost::CallFd(const Running& ring) const {
  const VirtioTransport* const transport = transport_->pointer;
  const int direct = transport != nullptr ? transport->QueueIrqFd(ring.index) : -1;
  return direct >= 0 ? direct : ring.call.get();
}

Result<> NetVhost::ShareMemory(VhostPair& pair) { return pair.SetMemory(RegionsOf(*memory_)); }

Result<> NetVhost::HandOver(Running& ring, const ActiveQueue& queue, DmaSpace& dma) {
  if (running_.empty()) {
    memory_ = dma.Current();
  }
  ring.at.next_avail = queue.queue.position().next_avail;
  ring.at.kick_fd = queue.doorbell->fd();
  ring.at.call_fd = CallFd(ring);
  TRY(Locate(*memory_, queue.queue.config(), &ring.at));
  VhostPair& pair = PairOf(queue.index);
  TRY(ShareMemory(pair));
  return pair.StartRing(queue.index % 2, ring.at);
}

Result<> NetVhost::Start(ActiveQueue& queue, DmaSpace& dma) {
  Running ring;
  ring.index = queue.index;
  ring.call = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!ring.call) {
    return FailErrno(errno, "an eventfd");
  }
  if (queue.doorbell->fd() < 0) {
    return Fail(Errc::kBusy, "its doorbell has no eventfd, since this process may open no more files");
  }
  if (queue.queue.broken()) {
    return Fail(Errc::kInvalidArgument, "the ring is malformed");
  }
  ring.watch = loop_.Watch(ring.call.get(), [&queue] { queue.queue.NotifyAlways(); });
  {
    const MutexLock lock(mutex_);
    if (Result<> handed = HandOver(ring, queue, dma); !handed) {
      memory_ = running_.empty() ? nullptr : memory_;
      return handed;
    }
    running_.emplace(queue.index, std::move(ring));
    dma_ = &dma;
  }
  dma.SetListener([self = weak_from_this()] {
    if (const std::shared_ptr<NetVhost> vhost = self.lock()) {
      vhost->MemoryChanged();
    }
  });
  MemoryChanged();  // between the two
  return {};
}

void NetVhost::Stop(ActiveQueue& queue) {
  Running ring;
  Result<uint16_t> next_avail{uint16_t{0}};
  uint16_t used = 0;
  bool last = false;
  DmaSpace* dma = nullptr;
  {
    const MutexLock lock(mutex_);
    const auto at = running_.find(queue.index);
    ring = std::move(at->second);
    running_.erase(at);
    last = running_.empty();
    next_avail = PairOf(queue.index).StopRing(queue.index % 2);
    // The kernel keeps its place in the used ring where the driver sees it, and only there.
    used = static_cast<const SplitUsedWire*>(ring.at.used)->index;
    dma = dma_;
    if (last) {
      dma_ = nullptr;
      memory_ = nullptr;
    }
  }
  if (last) {
    dma->SetListener(nullptr);
  }
  if (!next_avail) {
    Log(LogLevel::kWarning, "virtio-net: queue {}: {}; it goes on where the guest saw it last", queue.index,
        next_avail.error().message);
  }
  QueuePosition position = queue.queue.position();
  position.next_avail = next_avail.value_or(used);
  position.next_used = used;
  queue.queue.MoveTo(position);
  ring.watch.reset();
  // What the kernel wrote last may not have been seen by the loop.
  eventfd_t written = 0;
  if (::eventfd_read(ring.call.get(), &written) == 0) {
    queue.queue.NotifyAlways();
  }
}

void NetVhost::InterruptsChanged() {
  const MutexLock lock(mutex_);
  for (auto& [index, ring] : running_) {
    const int call_fd = CallFd(ring);
    if (call_fd == ring.at.call_fd) {
      continue;
    }
    if (const Result<> set = PairOf(index).SetCall(index % 2, call_fd); !set) {
      Log(LogLevel::kError, "virtio-net: queue {}: {}; its interrupts may be lost", index,
          set.error().message);
      continue;
    }
    ring.at.call_fd = call_fd;
  }
}

void NetVhost::MemoryChanged() {
  const MutexLock lock(mutex_);
  std::shared_ptr<const GuestMemory> now = dma_ != nullptr ? dma_->Current() : nullptr;
  if (now == nullptr || now == memory_ || now->ranges().empty()) {
    return;  // without Bus Master Enable there is none: the rings are being stopped
  }
  std::swap(memory_, now);  // the old one stays until the kernel has let go of it
  for (auto& [index, ring] : running_) {
    if (const Result<> shared = ShareMemory(PairOf(index)); !shared) {
      Log(LogLevel::kError, "virtio-net: queue {}: {}; it sees memory as it was", index,
          shared.error().message);
    }
  }
}

}  // namespace nandu
