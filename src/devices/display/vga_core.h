// A VGA card's registers and memory behind one leaf mutex: what its ports, its window and its MMIO registers
// share. Any thread.
//
// The guest writes most of its memory through a mapping, without telling; what goes through the window one
// access at a time is written here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include <nandu/display.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/display/vga_memory.h"
#include "devices/display/vga_render.h"
#include "devices/display/vga_state.h"
#include "memory/ram_block.h"

namespace nandu {

class VgaCore {
 public:
  struct Counters {
    Counter ignored_ports;   // written where nothing is
    Counter ignored_vbe;     // registers or values that the extension does not have
    Counter ignored_window;  // written where the window shows nothing, or with every plane masked
  };
  explicit VgaCore(std::shared_ptr<RamBlock> memory, bool big_endian = false);

  // Called, with no lock held, on the thread of the access that changed direct_window(). Before the first
  // access.
  void SetWindowWatcher(std::function<void()> watcher) { window_changed_ = std::move(watcher); }
  VgaDirectWindow direct_window() const;

  uint8_t ReadPort(unsigned port);  // 0x3b0 to 0x3df
  void WritePort(unsigned port, uint8_t value);
  uint16_t vbe_index() const;
  void SetVbeIndex(uint16_t index);
  uint16_t ReadVbeRegister(unsigned index) const;
  void WriteVbeRegister(unsigned index, uint16_t value);
  uint16_t ReadVbeData() const { return ReadVbeRegister(vbe_index()); }
  void WriteVbeData(uint16_t value) { WriteVbeRegister(vbe_index(), value); }
  uint64_t ReadWindow(uint64_t offset, unsigned size);  // bytes from 0xa0000
  void WriteWindow(uint64_t offset, unsigned size, uint64_t value);
  bool big_endian() const;
  void SetBigEndian(bool big_endian);

  // Not on the control loop: reads what the guest writes.
  void Draw(BlinkPhase blink, Picture* out) const;

  void Reset();
  VgaState state() const;
  void SetState(const VgaState& state);  // a valid one
  const std::shared_ptr<RamBlock>& memory() const { return memory_; }
  const Counters& counters() const { return counters_; }

 private:
  std::span<uint8_t> bytes() const { return {reinterpret_cast<uint8_t*>(memory_->host()), memory_->size()}; }
  bool UpdateWindowLocked() NANDU_TA(requires_capability(mutex_));  // true: it changed
  void TellWindow(bool changed) const;

  const std::shared_ptr<RamBlock> memory_;
  const bool initially_big_endian_;
  std::function<void()> window_changed_;
  Counters counters_;
  mutable Mutex mutex_;
  VgaState state_ NANDU_TA(guarded_by(mutex_));
  VgaDirectWindow window_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu
