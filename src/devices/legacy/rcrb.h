// The ICH9's root complex registers at RCBA, 16 KiB. Intel ICH9 datasheet, chapter 10. Only what an OS looks
// at on a virtual machine is there: the device interrupt routes, which ACPI's _PRT already tells, and the
// straps of GCS. Any vCPU thread.
#pragma once

#include <array>
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
  ExitDone Write(uint64_t /*offset*/, unsigned /*size*/, uint64_t /*value*/) override {
    ignored_writes_.Add();
    return ExitDone::Done();
  }
  const Counter& ignored_writes() const { return ignored_writes_; }

 private:
  // 10.1.46 to 10.1.51: INTA..INTD of devices 31, 29, 28, 27, 26 and 25 to PIRQA..PIRQD. 10.1.75: GCS,
  // NO_REBOOT strapped.
  static uint64_t ByteAt(uint64_t offset) {
    constexpr std::array<uint64_t, 6> kRoutes = {0x3140, 0x3144, 0x3146, 0x3148, 0x314c, 0x3150};
    constexpr uint64_t kRoute = 0x3210;
    constexpr uint64_t kGcs = 0x3410;
    constexpr uint64_t kNoReboot = 0x20;
    for (const uint64_t at : kRoutes) {
      if (offset == at || offset == at + 1) {
        return kRoute >> (8 * (offset - at)) & 0xff;
      }
    }
    return offset == kGcs ? kNoReboot : 0;
  }
  Counter ignored_writes_;
};

}  // namespace nandu
