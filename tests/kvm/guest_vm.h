// A VM for hand-written guests: 16 MiB of RAM, a 64 KiB ROM below 4 GiB, the in-kernel interrupt controllers,
// and ports a test can watch. The test's thread drives it; handlers run on vCPU threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <nandu/io_handler.h>

#include "base/check.h"
#include "kvm/ioevent_listener.h"
#include "kvm/irq_line.h"
#include "kvm/irq_router.h"
#include "kvm/irqchip_state.h"
#include "kvm/kvm.h"
#include "kvm/kvm_vm.h"
#include "kvm/memory_listener.h"
#include "kvm/msi.h"
#include "memory/address_space.h"
#include "memory/ram_block.h"
#include "vcpu/vcpu_set.h"

// Machine code as GNU as reads it, in the test's own image: GUEST_CODE(hello, 64, "mov $1, %al\n out %al,
// $0x80\n"). Position-independent: jumps are relative, data stands at addresses the test chose.
#define GUEST_CODE(name, bits, text)                                                                     \
  asm(".pushsection .rodata\n"                                                                           \
      ".code" #bits "\n.globl " #name "_begin\n" #name "_begin:\n" text "\n.globl " #name "_end\n" #name \
      "_end:\n.code64\n.popsection\n");                                                                  \
  extern "C" const char name##_begin[];                                                                  \
  extern "C" const char name##_end[];
#define GUEST_BYTES(name) std::span<const char>(name##_begin, static_cast<size_t>(name##_end - name##_begin))

namespace nandu {

template <class T>
T Must(Result<T> result) {
  NANDU_CHECK(result.has_value(), result ? "" : result.error().message.c_str());
  return std::move(result).value();
}
inline void Must(const Result<>& result) {
  NANDU_CHECK(result.has_value(), result ? "" : result.error().message.c_str());
}

// A flag one thread waits for: no sleeps, and a hang is a failure with a name.
class Signal {
 public:
  void Set() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool is_set() const {
    const std::lock_guard lock(mutex_);
    return count_ != 0;
  }
  // True once Set ran `times` times in all.
  bool Wait(unsigned times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return count_ >= times; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  unsigned count_ = 0;
};

struct IoAccess {
  bool write = false;
  uint64_t offset = 0;
  unsigned size = 0;
  uint64_t value = 0;
  bool operator==(const IoAccess&) const = default;
};
void PrintTo(const IoAccess& access, std::ostream* out);  // for GoogleTest's messages

// Registers that remember every access, in order. `on_write` may answer a parked exit; `on_read` gives the
// value.
class Recorder final : public IoHandler {
 public:
  std::string_view name() const override { return "recorder"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;
  std::vector<IoAccess> accesses() const;
  // Waits until there are `count` of them.
  bool WaitFor(size_t count, std::chrono::milliseconds limit = std::chrono::seconds(30));

  std::function<ExitDone(const IoAccess&)> on_write;
  std::function<uint64_t(const IoAccess&)> on_read;

 private:
  void Add(const IoAccess& access);
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<IoAccess> accesses_;
};

class GuestVm final : public VcpuObserver {
 public:
  static constexpr uint64_t kRamBytes = 16U << 20;
  static constexpr uint64_t kCode = 0x10000;     // where Boot* puts the code
  static constexpr uint64_t kStack = 0x9000;     // top of it
  static constexpr uint16_t kPorts = 0x500;      // 256 ports of `ports`
  static constexpr uint64_t kMmio = 0x10000000;  // 64 KiB of `mmio`

  explicit GuestVm(unsigned vcpus = 1, std::string cpu = "host",
                   KvmVm::Options::Irqchip irqchip = KvmVm::Options::Irqchip::kKernel);
  ~GuestVm() override;

  void Write(uint64_t address, std::span<const char> bytes);
  template <class T>
  void Store(uint64_t address, const T& value) {
    Write(address, {reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  template <class T>
  T Load(uint64_t address) const {
    T value{};
    std::memcpy(&value, ram->host() + address, sizeof(value));
    return value;
  }

  // Code in the ROM's last 64 KiB begins at its first byte, in real mode, after the reset vector's jump.
  void BootRom(std::span<const char> code);
  void BootProtected(std::span<const char> code);
  // Identity-mapped 4 GiB, flat segments, an IDT whose vectors can be set.
  void BootLong(std::span<const char> code);
  // Interrupts of `vector` run the code at `address` (long mode).
  void SetVector(unsigned vector, uint64_t address);
  void Resume() { vcpus->ResumeAll(); }
  bool Pause();

  struct Snapshot {
    std::vector<VcpuState> vcpus;
    std::optional<IrqchipState> irqchip;  // where it is the kernel's
    uint64_t clock_ns = 0;
    std::vector<std::byte> ram;
  };
  Snapshot Save();
  void Restore(const Snapshot& snapshot, LoadKind kind = LoadKind::kFresh);

  void OnTripleFault(unsigned index) override;
  void OnInternalError(unsigned index, std::string_view why) override;
  void OnSystemEvent(unsigned index, SystemEvent event) override;
  bool TakeDebugExit(unsigned index, const DebugExit& exit) override;
  void OnDebugStop(unsigned /*index*/) override { debug_stop.Set(); }
  bool TakePoison(unsigned index, const PoisonedMemory& poison) override {
    return vcpus->ReportPoison(index, poison);
  }

  bool split = false;  // the interrupt controllers are the test's, which starts the vCPUs once they are there
  std::unique_ptr<Kvm> kvm;
  HostCpu host;
  std::unique_ptr<KvmVm> vm;
  std::unique_ptr<KvmIrqRouter> router;
  std::unique_ptr<KvmMsiAllocator> msi;
  AddressSpace memory_space{"memory", ~uint64_t{0}};
  AddressSpace io_space{"I/O", 0x10000};
  std::unique_ptr<KvmMemoryListener> slots;
  std::unique_ptr<KvmIoEventListener> memory_events;
  std::unique_ptr<KvmIoEventListener> port_events;
  std::shared_ptr<RamBlock> ram;
  std::shared_ptr<RamBlock> rom;
  std::function<bool(const DebugExit&)> debug_exit;  // whether the vCPU stops; none: never
  std::shared_ptr<Recorder> ports = std::make_shared<Recorder>();
  std::shared_ptr<Recorder> mmio = std::make_shared<Recorder>();
  Mapping ram_mapping, rom_mapping, ports_mapping, mmio_mapping;
  CpuModel model;
  std::unique_ptr<VcpuSet> vcpus;
  Signal triple_fault;
  Signal internal_error;
  Signal debug_stop;

 private:
};

class KvmGuest : public ::testing::Test {
 protected:
  // The one reason to skip: this host gives tests no KVM at all.
  void SetUp() override {
    if (const Result<std::unique_ptr<Kvm>> kvm = Kvm::Open(); !kvm) {
      GTEST_SKIP() << kvm.error().message;
    }
  }
};

}  // namespace nandu
