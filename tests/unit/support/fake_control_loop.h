// A control loop whose work runs when the test says so.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "loop/control_loop.h"

namespace nandu {

class FakeControlLoop final : public ControlLoop {
 public:
  void Post(UniqueFunction<void()> work) override {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  bool OnThread() const override { return true; }
  void RunReady() override {
    while (!posted_.empty()) {
      std::vector<UniqueFunction<void()>> work;
      {
        const std::lock_guard lock(mutex_);
        work.swap(posted_);
      }
      for (const auto& each : work) {
        each();
      }
    }
  }
  void Run() override { RunReady(); }
  void Stop() override {}
  size_t posted() const {
    const std::lock_guard lock(mutex_);
    return posted_.size();
  }

  void RunBlocking(UniqueFunction<void()> work, UniqueFunction<void()> done) override {
    Post([work = std::move(work), done = std::move(done)] {
      work();
      done();
    });
  }
  std::unique_ptr<FdWatch> WatchFd(int /*fd*/) override {
    NANDU_CHECK(false, "a device under test watches no descriptor");
    return nullptr;
  }
  std::unique_ptr<HostTimer> CreateHostTimer(UniqueFunction<void()> /*fire*/) override {
    NANDU_CHECK(false, "a device under test uses the guest's clock");
    return nullptr;
  }
  void OnSignals(std::span<const int> /*signals*/, UniqueFunction<void(int)> /*handler*/) override {}

 private:
  mutable std::mutex mutex_;
  std::vector<UniqueFunction<void()>> posted_;
};

}  // namespace nandu
