// Interrupts a test can look at: a line that remembers its level, vectors that count their notifications.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <nandu/irq.h>

namespace nandu {

class FakeIrqLine final : public IrqLine {
 public:
  void Set(bool level) override {
    const std::lock_guard lock(mutex_);
    set_ = level;
    Settle();
  }
  void Pull(bool up) {
    const std::lock_guard lock(mutex_);
    pulls_ += up ? 1U : ~0U;
    Settle();
  }
  bool level() const { return level_; }
  unsigned rises() const { return rises_; }

 private:
  void Settle() {
    const bool level = set_ || pulls_ != 0;
    if (level_.exchange(level) != level && level) {
      rises_.fetch_add(1);
    }
  }
  std::mutex mutex_;
  bool set_ = false;
  unsigned pulls_ = 0;  // shares that are high
  std::atomic<bool> level_{false};
  std::atomic<unsigned> rises_{0};
};

// What a device claims of a line: its own share.
class FakeIrqShare final : public IrqLine {
 public:
  explicit FakeIrqShare(FakeIrqLine& line) : line_(line) {}
  ~FakeIrqShare() override { Set(false); }
  void Set(bool level) override {
    const std::lock_guard lock(mutex_);
    if (level_ != level) {
      level_ = level;
      line_.Pull(level);
    }
  }

 private:
  FakeIrqLine& line_;
  std::mutex mutex_;
  bool level_ = false;
};

// What a vector did; outlives the vector, so that a test can look after the device is gone.
struct FakeMsiRecord {
  mutable std::mutex mutex;
  MsiMessage message;
  std::vector<MsiMessage> sent;  // one per Notify, with the message it had
  bool freed = false;
  std::atomic<int> fd{-1};  // an eventfd that delivers it; -1: none

  size_t count() const {
    const std::lock_guard lock(mutex);
    return sent.size();
  }
};

class FakeMsiVector final : public MsiVector {
 public:
  explicit FakeMsiVector(std::shared_ptr<FakeMsiRecord> record) : record_(std::move(record)) {}
  ~FakeMsiVector() override {
    const std::lock_guard lock(record_->mutex);
    record_->freed = true;
  }
  void SetMessage(const MsiMessage& message) override {
    const std::lock_guard lock(record_->mutex);
    record_->message = message;
  }
  void Notify() override {
    const std::lock_guard lock(record_->mutex);
    record_->sent.push_back(record_->message);
  }
  int fd() const override { return record_->fd; }

 private:
  std::shared_ptr<FakeMsiRecord> record_;
};

// Vectors in the order they were allocated: vector(0) is a device's vector 0 when the device is the first to
// allocate.
class FakeMsiAllocator final : public MsiAllocator {
 public:
  Result<std::unique_ptr<MsiVector>> Allocate() override {
    if (records_.size() == limit_) {
      return Fail(Errc::kBusy, "the host has no interrupt route left");
    }
    records_.push_back(std::make_shared<FakeMsiRecord>());
    return std::make_unique<FakeMsiVector>(records_.back());
  }
  size_t allocated() const { return records_.size(); }
  const FakeMsiRecord& vector(size_t i) const { return *records_.at(i); }
  size_t notifications() const {
    size_t sum = 0;
    for (const std::shared_ptr<FakeMsiRecord>& record : records_) {
      sum += record->count();
    }
    return sum;
  }
  void SetFd(size_t i, int fd) { records_.at(i)->fd = fd; }
  void set_limit(size_t limit) { limit_ = limit; }

 private:
  size_t limit_ = ~size_t{0};
  std::vector<std::shared_ptr<FakeMsiRecord>> records_;
};

}  // namespace nandu
