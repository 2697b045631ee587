#include "kvm/msi.h"

#include <atomic>
#include <errno.h>
#include <optional>
#include <tuple>

#include "base/log.h"
#include "base/spare_eventfd.h"
#include "base/trace.h"

namespace nandu {
namespace {

class KvmMsiVector final : public MsiVector {
 public:
  KvmMsiVector(KvmIrqRouter& router, MsiCounters& counters, UniqueFd fd, std::optional<uint32_t> gsi)
      : router_(router), counters_(counters), fd_(std::move(fd)), gsi_(gsi) {}
  KvmMsiVector(const KvmMsiVector&) = delete;
  KvmMsiVector& operator=(const KvmMsiVector&) = delete;
  ~KvmMsiVector() override {
    if (!gsi_) {
      return;
    }
    if (connected_.load(std::memory_order_relaxed)) {
      std::ignore = router_.SetIrqFd(*gsi_, fd_.get(), false);
    }
    router_.ReleaseMsi(*gsi_);
  }

  void SetMessage(const MsiMessage& message) override {
    const MutexLock lock(mutex_);
    message_ = message;
    if (!gsi_ || !fd_) {
      return;
    }
    bool routed = router_.SetMsi(*gsi_, message);
    if (routed && !connected_.load(std::memory_order_relaxed)) {
      const Result<> connected = router_.SetIrqFd(*gsi_, fd_.get(), true);
      if (!connected) {
        counters_.NoteWithoutIrqFd(connected.error().message);
      }
      routed = connected.has_value();
    } else if (!routed && connected_.load(std::memory_order_relaxed)) {
      // The old route would deliver the old message.
      std::ignore = router_.SetIrqFd(*gsi_, fd_.get(), false);
    }
    connected_.store(routed, std::memory_order_release);
    refused_.store(!routed, std::memory_order_release);
  }

  void Notify() override {
    if (connected_.load(std::memory_order_acquire)) {
      const uint64_t one = 1;
      if (write(fd_.get(), &one, sizeof(one)) == static_cast<ssize_t>(sizeof(one))) {
        return;
      }
    }
    Signal();
  }

  // Written before the first message it keeps the notification: KVM looks at it when it is connected.
  int fd() const override { return refused_.load(std::memory_order_acquire) ? -1 : fd_.get(); }

 private:
  void Signal() {
    MsiMessage message;
    {
      const MutexLock lock(mutex_);
      if (!message_) {
        counters_.unset.Add();
        return;
      }
      message = *message_;
    }
    counters_.signalled.Add();
    Trace(TraceEvent::kKvmMsiSignalled, "address {:#x} data {:#x}", message.address, message.data);
    if (!router_.Signal(message)) {
      counters_.failed.Add();
    }
  }

  KvmIrqRouter& router_;
  MsiCounters& counters_;
  const UniqueFd fd_;
  const std::optional<uint32_t> gsi_;
  std::atomic<bool> connected_{false};
  std::atomic<bool> refused_{false};
  Mutex mutex_;
  std::optional<MsiMessage> message_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace

void MsiCounters::NoteWithoutIrqFd(std::string_view why) {
  if (without_irqfd.value() == 0) {
    Log(LogLevel::kWarning, "interrupts of some devices are signalled one by one, which is slower: {}", why);
  }
  without_irqfd.Add();
}

Result<std::unique_ptr<MsiVector>> KvmMsiAllocator::Allocate() {
  std::optional<uint32_t> gsi;
  UniqueFd fd;
  std::string why = "this kernel's KVM has no irqfds";
  if (router_.vm().has(KVM_CAP_IRQFD)) {
    fd = TakeSpareEventFd();
    why = fd ? "" : "this process may open no more files; raise its limit (ulimit -n)";
  }
  if (fd) {
    if (const Result<uint32_t> reserved = router_.ReserveMsi(); reserved) {
      gsi = *reserved;
    } else {
      fd.Reset();
      why = reserved.error().message;
    }
  }
  if (!gsi && !router_.vm().has(KVM_CAP_SIGNAL_MSI)) {
    return Fail(Errc::kBusy, "this VM has no interrupt route left; use fewer queues or devices");
  }
  if (!gsi) {
    counters_.NoteWithoutIrqFd(why);
  }
  return std::make_unique<KvmMsiVector>(router_, counters_, std::move(fd), gsi);
}

}  // namespace nandu
