// Fuzzes the virtqueue: a driver that writes whatever it likes into a small guest memory, while the device
// pops, completes, parks and unpops. What may come out is a broken queue, never a crash, a lost chain or an
// address outside the guest's memory.
#include "devices/virtio/virtqueue.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "base/check.h"
#include "input.h"
#include "memory/dma_space.h"
#include "memory/guest_memory.h"

namespace {

using namespace nandu;  // NOLINT: a fuzz target is one file

constexpr uint64_t kMemoryBytes = 16 * 1024;
constexpr uint64_t kHole = 12 * 1024;  // a second piece of RAM begins here, elsewhere on the host

class Silent final : public QueueNotifier {
 public:
  void NotifyQueue(unsigned /*index*/) override {}
  void QueueBroken(unsigned /*index*/, const char* /*why*/) override {}
};

std::shared_ptr<const GuestMemory> MakeMemory() {
  RamBlock::Options options;
  options.huge_pages = options.mergeable = false;
  static const auto low = RamBlock::CreateAnonymous("low", kHole, options).value();
  static const auto high = RamBlock::CreateAnonymous("high", kMemoryBytes - kHole, options).value();
  std::memset(low->host(), 0, low->size());
  std::memset(high->host(), 0, high->size());
  return std::make_shared<const GuestMemory>(
      std::vector<RamRange>{{0, kHole, low, 0, false}, {kHole, kMemoryBytes - kHole, high, 0, false}});
}

// Every byte a chain names must be the guest's.
void Touch(const DescChain& chain) {
  uint64_t budget = 64 * 1024;
  for (const iovec& vec : chain.readable()) {
    const size_t bytes = vec.iov_len < budget ? vec.iov_len : budget;
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; ++i) {
      sum = static_cast<uint8_t>(sum + static_cast<const volatile uint8_t*>(vec.iov_base)[i]);
    }
    budget -= bytes;
  }
}

void Serve(Virtqueue& queue, Input& input, std::deque<DescChain>& held, std::deque<ParkedChain>& parked) {
  switch (input.Byte() % 10) {
    case 0:
    case 1:
    case 2:
      if (std::optional<DescChain> chain = queue.Pop()) {
        Touch(*chain);
        held.push_back(std::move(*chain));
      }
      break;
    case 3:
      if (!held.empty()) {
        uint8_t header[24];
        (void)held.front().ReadHeader(header, input.Byte() % sizeof(header));
        (void)held.front().Write(input.Byte(), header, input.Byte() % sizeof(header));
        (void)held.front().TakeLastByte();
        queue.Complete(std::move(held.front()), input.Word());
        held.pop_front();
      }
      break;
    case 4:
      if (!held.empty()) {
        (void)held.back().TakeTrailer(input.Byte());
        queue.CompleteBatch(std::move(held.back()), input.Word());
        held.pop_back();
      }
      break;
    case 5:
      if (!held.empty()) {
        parked.push_back(queue.Park(std::move(held.front())));
        held.pop_front();
      }
      break;
    case 6:
      if (!parked.empty()) {
        if (std::optional<DescChain> chain = queue.Unpark(parked.front())) {
          held.push_front(std::move(*chain));
        }
        parked.pop_front();
      }
      break;
    case 7:
      queue.Flush();
      queue.DisableKicks();
      break;
    case 8:
      queue.Flush();
      (void)queue.EnableKicks();
      break;
    default: (void)queue.HasAvailable(); break;
  }
  NANDU_CHECK(queue.held() == held.size(), "every chain is accounted for");
  NANDU_CHECK(held.size() + parked.size() <= queue.size() || queue.broken(),
              "a ring holds no more than its size");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const std::shared_ptr<const GuestMemory> memory = MakeMemory();
  DmaSpace dma(memory);
  Silent notifier;
  QueueCounters counters;
  const uint8_t flags = input.Byte();
  QueueConfig config{.size = static_cast<uint16_t>((flags & 0x80) != 0 ? input.Word() : 8)};
  config.descriptors = (flags & 0x40) != 0 ? uint64_t{input.Word()} << 4 : 0;
  config.driver = (flags & 0x20) != 0 ? input.Word() : 0x400;
  config.device = (flags & 0x20) != 0 ? input.Word() : 0x800;
  const QueueFeatures features{.packed = (flags & 1) != 0,
                               .event_index = (flags & 2) != 0,
                               .indirect = (flags & 4) != 0,
                               .notify_on_empty = (flags & 8) != 0};
  Virtqueue queue(0, dma, config, features, {}, notifier, counters);
  std::deque<DescChain> held;
  std::deque<ParkedChain> parked;
  while (!input.empty()) {
    const uint8_t op = input.Byte();
    if (op % 2 == 0) {  // the driver writes: up to 16 bytes anywhere, the rings more often than the rest
      const uint64_t at = (op & 2) != 0 ? input.Word() % kMemoryBytes : input.Word() % 0xc00;
      for (unsigned i = 0, bytes = 1 + input.Byte() % 16; i < bytes && at + i < kMemoryBytes; ++i) {
        *memory->HostPointer(Gpa{at + i}, 1, Access::kWrite) = static_cast<std::byte>(input.Byte());
      }
    } else {
      Serve(queue, input, held, parked);
    }
  }
  for (DescChain& chain : held) {
    queue.CompleteBatch(std::move(chain), 1);
  }
  queue.Flush();
  return 0;
}
