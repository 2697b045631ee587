// The ICH9's root complex registers at RCBA, 16 KiB. Intel ICH9 datasheet, chapter 10. Only what an OS looks
// at on a virtual machine is there: the device interrupt routes, which ACPI's _PRT already tells, and of GCS
// the bit that keeps the watchdog from resetting. Any vCPU thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <nandu/io_handler.h>

#include "base/counter.h"

namespace nandu {

class Rcrb final : public IoHandler {
 public:
  static constexpr uint64_t kBytes = 0x4000;

  std::string_view name() const override { return "rcrb"; }
  uint64_t Read(uint64_t offset, unsigned size) override {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
      value |= ByteAt(offset + i) << (8 * i);
    }
    return value;
  }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    // GCS is a double word; its bits all lie in its first byte or are not there.
    if (offset > kGcs || offset + size <= kGcs) {
      ignored_writes_.Add();
    } else {
      set_no_reboot((value >> (8 * (kGcs - offset)) & kNoReboot) != 0);
    }
    return ExitDone::Done();
  }
  // GCS.NO_REBOOT (10.1.75): a reset's value is the strap's.
  bool no_reboot() const { return no_reboot_.load(std::memory_order_relaxed); }
  void set_no_reboot(bool value) { no_reboot_.store(value, std::memory_order_relaxed); }
  const Counter& ignored_writes() const { return ignored_writes_; }

 private:
  static constexpr uint64_t kGcs = 0x3410;
  static constexpr uint64_t kNoReboot = 0x20;
  // 10.1.46 to 10.1.51: INTA..INTD of devices 31, 29, 28, 27, 26 and 25 to PIRQA..PIRQD.
  uint64_t ByteAt(uint64_t offset) const {
    constexpr std::array<uint64_t, 6> kRoutes = {0x3140, 0x3144, 0x3146, 0x3148, 0x314c, 0x3150};
    constexpr uint64_t kRoute = 0x3210;
    for (const uint64_t at : kRoutes) {
      if (offset == at || offset == at + 1) {
        return kRoute >> (8 * (offset - at)) & 0xff;
      }
    }
    return offset == kGcs && no_reboot() ? kNoReboot : 0;
  }
  std::atomic<bool> no_reboot_{true};
  Counter ignored_writes_;
};

}  // namespace nandu
