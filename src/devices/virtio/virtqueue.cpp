#include "devices/virtio/virtqueue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "devices/virtio/ring.h"

namespace nandu {

class Virtqueue::Impl {
 public:
  Impl(unsigned index, DmaSpace& dma, const QueueConfig& config, const QueueFeatures& features,
       const QueuePosition& position, QueueNotifier& notifier, QueueCounters& counters)
      : index_(index),
        dma_(dma),
        notifier_(notifier),
        counters_(counters),
        features_(features),
        ring_(CreateRing(config, position)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    NANDU_CHECK(held_ == 0, "a queue is destroyed after its chains");
    Unpin(pin_);
  }

  void MoveTo(const QueuePosition& position) {
    NANDU_CHECK(held_ == 0 && ring_->unpublished() == 0, "a queue moves with nothing held");
    ring_ = CreateRing(ring_->config(), position);
    generation_ = 0;  // not mapped
  }

  unsigned index() const { return index_; }
  const Ring& ring() const { return *ring_; }
  unsigned held() const { return held_; }
  bool broken() const { return ring_->position().broken; }

  std::unique_ptr<ChainBody> Pop() {
    bool available = false;
    if (!Ready() || !Look(&available) || !available) {
      return nullptr;
    }
    return Fill([this](ChainBody& body) { return ring_->Take(body); });
  }

  bool HasAvailable() {
    bool available = false;
    return Ready() && (!Look(&available) || available);
  }

  std::unique_ptr<ChainBody> Unpark(const ParkedChain& parked) {
    if (!Ready()) {
      return nullptr;
    }
    return Fill([this, &parked](ChainBody& body) { return ring_->Retake(parked, body); });
  }

  void Put(std::unique_ptr<ChainBody> body, uint32_t written) {
    body->MarkDirty(written);
    // A completion goes to where the ring is now; where DMA was switched off meanwhile, to where it was: the
    // transfer began before.
    if (ReadyToComplete()) {
      ring_->Put(*body, written);
      counters_.completed.Add();
    }
    Release(std::move(body));
  }

  void Flush() {
    if (ring_->unpublished() == 0) {
      return;
    }
    ring_->Publish();
    if (ring_->WantsInterrupt()) {
      NotifyAlways();
    } else {
      counters_.suppressed_interrupts.Add();
    }
  }

  void Unpop(std::unique_ptr<ChainBody> body) {
    ring_->Return(*body);
    Release(std::move(body));
  }

  ParkedChain Park(std::unique_ptr<ChainBody> body) {
    ParkedChain parked{body->id, body->descriptors};
    body->MarkDirty(0);
    Release(std::move(body));
    return parked;
  }

  void DisableKicks() {
    if (Ready()) {
      ring_->DisableKicks();
    }
  }

  bool EnableKicks() {
    bool available = false;
    if (!Ready()) {
      return false;
    }
    ring_->EnableKicks();
    return Look(&available) && available;
  }

  void NotifyAlways() {
    if (!broken()) {
      counters_.interrupts.Add();
      notifier_.NotifyQueue(index_);
    }
  }

 private:
  std::unique_ptr<Ring> CreateRing(const QueueConfig& config, const QueuePosition& position) const {
    return features_.packed ? CreatePackedRing(config, features_, position)
                            : CreateSplitRing(config, features_, position);
  }

  // Whether the ring may be read and written now: not broken, DMA enabled, translations fresh.
  bool Ready() {
    if (broken()) {
      return false;
    }
    if (dma_.generation() == generation_) [[likely]] {
      return enabled_;
    }
    return Refresh();
  }

  bool ReadyToComplete() {
    if (broken()) {
      return false;
    }
    if (dma_.generation() != generation_ && ring_->unpublished() == 0) [[unlikely]] {
      Refresh();
    }
    return !broken() && pin_ != nullptr;
  }

  bool Refresh() {
    std::shared_ptr<const GuestMemory> memory;
    do {  // what was read belongs together when nothing changed meanwhile
      generation_ = dma_.generation();
      enabled_ = dma_.enabled();
      memory = dma_.Current();
    } while (dma_.generation() != generation_);
    if (!enabled_) {
      return false;
    }
    if (const RingFault fault = ring_->CheckLayout(); fault != RingFault::kNone) {
      Break(fault);
      return false;
    }
    Unpin(pin_);
    pin_ = new MemoryPin{std::move(memory), 1};
    if (const RingFault fault = ring_->Map(*pin_->memory); fault != RingFault::kNone) {
      Break(fault);
      return false;
    }
    return true;
  }

  bool Look(bool* available) {
    if (const RingFault fault = ring_->Available(available); fault != RingFault::kNone) {
      Break(fault);
      return false;
    }
    return true;
  }

  template <class Reader>
  std::unique_ptr<ChainBody> Fill(const Reader& read) {
    std::unique_ptr<ChainBody> body = Acquire();
    body->pin = pin_;
    ++pin_->users;
    ++held_;
    if (const RingFault fault = read(*body); fault != RingFault::kNone) {
      Release(std::move(body));
      Break(fault);
      return nullptr;
    }
    counters_.popped.Add();
    return body;
  }

  std::unique_ptr<ChainBody> Acquire() {
    if (free_.empty()) {
      return std::make_unique<ChainBody>();
    }
    std::unique_ptr<ChainBody> body = std::move(free_.back());
    free_.pop_back();
    return body;
  }

  void Release(std::unique_ptr<ChainBody> body) {
    Unpin(body->pin);
    body->Clear();
    free_.push_back(std::move(body));
    --held_;
  }

  static void Unpin(MemoryPin* pin) {
    if (pin != nullptr && --pin->users == 0) {
      delete pin;
    }
  }

  void Break(RingFault fault) {
    ring_->set_broken();
    counters_.malformed.Add();
    counters_.faults[static_cast<size_t>(fault)].Add();
    notifier_.QueueBroken(index_, RingFaultText(fault));
  }

  const unsigned index_;
  DmaSpace& dma_;
  QueueNotifier& notifier_;
  QueueCounters& counters_;
  const QueueFeatures features_;
  std::unique_ptr<Ring> ring_;
  uint64_t generation_ = 0;  // of what is mapped; DmaSpace starts at 1
  bool enabled_ = false;
  MemoryPin* pin_ = nullptr;
  unsigned held_ = 0;
  std::vector<std::unique_ptr<ChainBody>> free_;
};

Virtqueue::Virtqueue(unsigned index, DmaSpace& dma, const QueueConfig& config, const QueueFeatures& features,
                     const QueuePosition& position, QueueNotifier& notifier, QueueCounters& counters)
    : impl_(std::make_unique<Impl>(index, dma, config, features, position, notifier, counters)) {}
Virtqueue::Virtqueue(Virtqueue&&) noexcept = default;
Virtqueue& Virtqueue::operator=(Virtqueue&&) noexcept = default;
Virtqueue::~Virtqueue() = default;

unsigned Virtqueue::index() const { return impl_->index(); }
uint16_t Virtqueue::size() const { return impl_->ring().config().size; }
const QueueConfig& Virtqueue::config() const { return impl_->ring().config(); }
void Virtqueue::MoveTo(const QueuePosition& position) { impl_->MoveTo(position); }
unsigned Virtqueue::held() const { return impl_->held(); }
bool Virtqueue::broken() const { return impl_->broken(); }
bool Virtqueue::HasAvailable() { return impl_->HasAvailable(); }
void Virtqueue::DisableKicks() { impl_->DisableKicks(); }
bool Virtqueue::EnableKicks() { return impl_->EnableKicks(); }
void Virtqueue::NotifyAlways() { impl_->NotifyAlways(); }
void Virtqueue::Flush() { impl_->Flush(); }

std::optional<DescChain> Virtqueue::Pop() {
  if (std::unique_ptr<ChainBody> body = impl_->Pop()) {
    return DescChain(std::move(body));
  }
  return std::nullopt;
}

std::optional<DescChain> Virtqueue::Unpark(const ParkedChain& parked) {
  if (std::unique_ptr<ChainBody> body = impl_->Unpark(parked)) {
    return DescChain(std::move(body));
  }
  return std::nullopt;
}

void Virtqueue::CompleteBatch(DescChain&& chain, uint32_t written) {
  impl_->Put(std::move(chain.body_), written);
}

void Virtqueue::Complete(DescChain&& chain, uint32_t written) {
  CompleteBatch(std::move(chain), written);
  impl_->Flush();
}

void Virtqueue::Unpop(DescChain&& chain) { impl_->Unpop(std::move(chain.body_)); }
ParkedChain Virtqueue::Park(DescChain&& chain) { return impl_->Park(std::move(chain.body_)); }

QueuePosition Virtqueue::position() const {
  NANDU_CHECK(impl_->ring().unpublished() == 0, "completions are flushed before a queue moves");
  return impl_->ring().position();
}

}  // namespace nandu
