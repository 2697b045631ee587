#include "devices/display/vga_core.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "devices/display/vga_ports.h"
#include "devices/display/vga_registers.h"

namespace nandu {

VgaCore::VgaCore(std::shared_ptr<RamBlock> memory, bool big_endian)
    : memory_(std::move(memory)), initially_big_endian_(big_endian) {
  const MutexLock lock(mutex_);
  state_.big_endian = big_endian;
}

bool VgaCore::UpdateWindowLocked() {
  const VgaDirectWindow window = DirectWindow(state_, memory_->size());
  return !(std::exchange(window_, window) == window);
}

void VgaCore::TellWindow(bool changed) const {
  if (changed && window_changed_) {
    window_changed_();
  }
}

VgaDirectWindow VgaCore::direct_window() const {
  const MutexLock lock(mutex_);
  return window_;
}

uint8_t VgaCore::ReadPort(unsigned port) {
  const MutexLock lock(mutex_);
  return ReadVgaPort(&state_, port);
}

void VgaCore::WritePort(unsigned port, uint8_t value) {
  bool moved = false;
  {
    const MutexLock lock(mutex_);
    if (!WriteVgaPort(&state_, port, value)) {
      counters_.ignored_ports.Add();
    } else if (port == vga::kSequencerData || port == vga::kGraphicsData) {
      moved = UpdateWindowLocked();
    }
  }
  TellWindow(moved);
}

uint16_t VgaCore::vbe_index() const {
  const MutexLock lock(mutex_);
  return state_.vbe.index;
}

void VgaCore::SetVbeIndex(uint16_t index) {
  const MutexLock lock(mutex_);
  state_.vbe.index = index;
}

uint16_t VgaCore::ReadVbeRegister(unsigned index) const {
  const MutexLock lock(mutex_);
  return ReadVbe(state_.vbe, index, memory_->size());
}

void VgaCore::WriteVbeRegister(unsigned index, uint16_t value) {
  bool moved = false;
  VbeWritten written;
  {
    const MutexLock lock(mutex_);
    written = WriteVbe(&state_.vbe, index, value, memory_->size());
    moved = UpdateWindowLocked();
  }
  if (written.ignored) {
    counters_.ignored_vbe.Add();
  }
  if (written.clear_bytes != 0) {
    std::memset(memory_->host(), 0, written.clear_bytes);
    memory_->MarkDirty(0, written.clear_bytes);
  }
  TellWindow(moved);
}

uint64_t VgaCore::ReadWindow(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value |= uint64_t{ReadVgaWindow(&state_, bytes(), offset + i)} << (8 * i);
  }
  return value;
}

void VgaCore::WriteWindow(uint64_t offset, unsigned size, uint64_t value) {
  const MutexLock lock(mutex_);
  for (unsigned i = 0; i < size; i++) {
    const VgaWindowWritten written =
        WriteVgaWindow(state_, bytes(), offset + i, static_cast<uint8_t>(value >> (8 * i)));
    if (written.bytes == 0) {
      counters_.ignored_window.Add();
    } else {
      memory_->MarkDirty(written.at, written.bytes);
    }
  }
}

bool VgaCore::big_endian() const {
  const MutexLock lock(mutex_);
  return state_.big_endian;
}

void VgaCore::SetBigEndian(bool big_endian) {
  const MutexLock lock(mutex_);
  state_.big_endian = big_endian;
}

void VgaCore::Draw(BlinkPhase blink, Picture* out) const {
  VgaState shown;
  std::vector<uint8_t> copy;
  {
    // What goes through the window is a picture of one moment; a linear framebuffer is the guest's to keep in
    // order.
    const MutexLock lock(mutex_);
    shown = state_;
    const VgaScreen screen = ScreenOf(shown);
    if (screen == VgaScreen::kText || screen == VgaScreen::kGraphics) {
      const std::span<const uint8_t> all = bytes();
      copy.assign(all.begin(),
                  all.begin() + static_cast<ptrdiff_t>(std::min(all.size(), size_t{kVgaShownBytes})));
    }
  }
  RenderVga(shown, copy.empty() ? std::span<const uint8_t>(bytes()) : copy, blink, out);
}

void VgaCore::Reset() {
  bool moved = false;
  {
    const MutexLock lock(mutex_);
    state_ = VgaState{};
    state_.big_endian = initially_big_endian_;
    moved = UpdateWindowLocked();
  }
  TellWindow(moved);
}

VgaState VgaCore::state() const {
  const MutexLock lock(mutex_);
  return state_;
}

void VgaCore::SetState(const VgaState& state) {
  bool moved = false;
  {
    const MutexLock lock(mutex_);
    state_ = state;
    moved = UpdateWindowLocked();
  }
  TellWindow(moved);
}

}  // namespace nandu
