// A guest with one virtqueue, and the recorder of what its device side says: for tests of a virtqueue and of
// data halves.
//
//   FakeDriver driver({.size = 8, .packed = true});
//   Virtqueue queue = driver.TakeQueue();
//   const SentChain sent = driver.Chain().Readable("header").Writable(16).Send();
//   ... the device serves it ...
//   EXPECT_EQ(driver.NextUsed(), (Used{sent.id, 16}));
//   EXPECT_EQ(driver.BytesOf(sent), std::string(16, '\xff'));
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <sys/eventfd.h>
#include <vector>

#include "base/unique_fd.h"
#include "devices/virtio/doorbell.h"
#include "devices/virtio/virtqueue.h"
#include "support/driver_ring.h"
#include "support/fake_guest.h"

namespace nandu {

class FakeNotifier final : public QueueNotifier {
 public:
  void NotifyQueue(unsigned /*index*/) override { ++notifications_; }
  void QueueBroken(unsigned /*index*/, const char* why) override {
    const std::lock_guard lock(mutex_);
    why_ = why;
  }
  unsigned notifications() const { return notifications_; }
  std::string why_broken() const {
    const std::lock_guard lock(mutex_);
    return why_;
  }

 private:
  std::atomic<unsigned> notifications_{0};
  mutable std::mutex mutex_;
  std::string why_;
};

class FakeDriver {
 public:
  explicit FakeDriver(const DriverRing::Options& options, uint64_t memory_bytes = uint64_t{16} << 20)
      : guest_(memory_bytes),
        ring_(guest_, options),
        doorbell_(UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))) {}

  // The device's side; again after a save, with where it stood.
  Virtqueue TakeQueue(const QueuePosition& position = {}) {
    return Virtqueue(0, guest_.dma(), ring_.config(), ring_.features(), position, notifier_, counters_);
  }

  FakeGuest& guest() { return guest_; }
  DriverRing& ring() { return ring_; }
  DriverRing::Request Chain() {
    return ring_.Chain();
  }
  std::optional<Used> NextUsed() { return ring_.NextUsed(); }
  std::string BytesOf(const SentChain& sent) const { return ring_.BytesOf(sent); }

  Doorbell* doorbell() { return &doorbell_; }
  void Kick() { doorbell_.Ring(); }

  unsigned notifications() const { return notifier_.notifications(); }
  std::string why_broken() const { return notifier_.why_broken(); }
  const QueueCounters& counters() const { return counters_; }

 private:
  FakeGuest guest_;
  DriverRing ring_;
  FakeNotifier notifier_;
  QueueCounters counters_;
  Doorbell doorbell_;
};

}  // namespace nandu
