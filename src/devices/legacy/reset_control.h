// The reset control register at port 0xcf9. Intel ICH9 datasheet, section 13.7.5. Any vCPU thread.
//
// It lies inside the configuration address port of PCI (0xcf8, a double word): only a byte access to 0xcf9 is
// meant for it. So it is mapped over all of 0xcf8..0xcff and hands everything else to the host bridge's
// handler below.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include <nandu/io_handler.h>

namespace nandu {

class ResetControl final : public IoHandler {
 public:
  static constexpr uint16_t kBase = 0xcf8;
  static constexpr uint64_t kPorts = 8;
  // `config_ports` may be null (no PCI): its ports are then empty. `reset` is called on the vCPU's thread.
  ResetControl(std::shared_ptr<IoHandler> config_ports, std::function<void()> reset)
      : config_ports_(std::move(config_ports)), reset_(std::move(reset)) {}

  std::string_view name() const override { return "reset-control"; }
  uint64_t Read(uint64_t offset, unsigned size) override {
    if (IsRegister(offset, size)) {
      return value_.load(std::memory_order_relaxed);
    }
    return config_ports_ ? config_ports_->Read(offset, size) : ~uint64_t{0};
  }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    if (!IsRegister(offset, size)) {
      return config_ports_ ? config_ports_->Write(offset, size, value) : ExitDone::Done();
    }
    if ((value & kResetCpu) != 0) {
      reset_();
    } else {
      value_.store(static_cast<uint8_t>(value & (kSystemReset | kFullReset)), std::memory_order_relaxed);
    }
    return ExitDone::Done();
  }

  uint8_t value() const { return value_.load(std::memory_order_relaxed); }
  void set_value(uint8_t value) { value_.store(value, std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kSystemReset = 0x02;
  static constexpr uint64_t kResetCpu = 0x04;
  static constexpr uint64_t kFullReset = 0x08;
  static bool IsRegister(uint64_t offset, unsigned size) { return offset == 1 && size == 1; }

  const std::shared_ptr<IoHandler> config_ports_;
  const std::function<void()> reset_;
  std::atomic<uint8_t> value_{0};
};

}  // namespace nandu
