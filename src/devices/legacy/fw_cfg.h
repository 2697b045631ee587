// fw_cfg: how firmware and guests read the machine's description, as numbered items and named files. QEMU,
// docs/specs/fw_cfg.rst: selector and data ports 0x510 and 0x511, DMA at 0x514.
//
// Filled on the control thread before the first vCPU runs. Registers: any vCPU thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

struct FwCfgWrittenFile {
  std::string name;
  std::vector<std::byte> bytes;
};
BOOST_DESCRIBE_STRUCT(FwCfgWrittenFile, (), (name, bytes))
struct FwCfgState {
  uint16_t selector = 0;
  uint32_t offset = 0;                    // of the next byte of that item
  uint32_t dma_address = 0;               // upper half, until the lower one is written
  std::vector<FwCfgWrittenFile> written;  // every file a guest may write
};
BOOST_DESCRIBE_STRUCT(FwCfgState, (), (selector, offset, dma_address, written))

class FwCfg final : public LegacyDevice {
 public:
  static constexpr uint16_t kBase = 0x510;
  static constexpr uint16_t kDmaBase = 0x514;
  static constexpr uint16_t kFirstFile = 0x20;
  static constexpr size_t kMostFiles = 0x20;  // as QEMU 7.2 has slots for
  static constexpr size_t kMostNameBytes = 55;
  static constexpr uint16_t kArchitecture = 0x8000;  // items of this architecture

  // What an item or a file holds.
  struct Content {
    std::vector<uint8_t> bytes = {};
    // What the directory says at least; behind the bytes a guest reads zeroes.
    uint64_t size = 0;
    // Instead of bytes, for what is too large to keep twice: `size` bytes, read as the guest asks. On the
    // vCPU's thread; false: they cannot be read, which the guest is told.
    std::function<bool(uint64_t offset, void* out, uint64_t bytes)> read = {};
    // A guest may write to it by DMA; `written` is told what it holds then. On the vCPU's thread, with no
    // lock held. A reset puts back what it held at first.
    bool writable = false;
    std::function<void(const std::vector<uint8_t>& content)> written = {};
    // When a guest selects it: answers the bytes as they are now. On the vCPU's thread, with no lock held.
    std::function<std::vector<uint8_t>()> refresh = {};
  };
  struct Counters {
    Counter ignored;     // accesses of a width that is not there
    Counter dma_errors;  // transfers that failed
  };

  static Result<std::unique_ptr<FwCfg>> Create(DeviceHost& host);
  ~FwCfg() override;

  void SetItem(uint16_t selector, Content content);
  // Files are numbered in the order of their names. Fails when there is one of that name, when the name is
  // too long, or when there are too many.
  Result<> AddFile(const std::string& name, Content content);
  std::vector<std::string> files() const;                       // sorted
  std::vector<uint8_t> FileBytes(std::string_view name) const;  // empty: no such file, or not kept in bytes
  const Counters& counters() const { return counters_; }

  void Reset() override;
  void Resume() override {}
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  class Ports;
  class DmaPorts;
  struct Transfer;
  explicit FwCfg(DeviceHost& host);
  void Select(uint16_t selector);
  Content* CurrentLocked() NANDU_TA(requires_capability(mutex_));
  void NumberFilesLocked() NANDU_TA(requires_capability(mutex_));
  uint8_t ReadByte();
  void RunDma(uint64_t descriptor);
  bool TransferLocked(const GuestMemory& memory, Transfer* transfer) NANDU_TA(requires_capability(mutex_));
  bool ReadLocked(const GuestMemory& memory, const Content& content, const Transfer& transfer, uint64_t bytes)
      NANDU_TA(requires_capability(mutex_));

  DeviceHost& host_;
  Counters counters_;
  mutable Mutex mutex_;
  std::map<uint16_t, Content> items_ NANDU_TA(guarded_by(mutex_));  // by selector, without files
  std::map<std::string, Content> files_ NANDU_TA(guarded_by(mutex_));
  std::map<std::string, std::vector<uint8_t>> initial_ NANDU_TA(guarded_by(mutex_));  // of writable files
  std::vector<Content*> numbered_ NANDU_TA(guarded_by(mutex_));  // files by selector - kFirstFile
  Content directory_ NANDU_TA(guarded_by(mutex_));
  uint16_t selector_ NANDU_TA(guarded_by(mutex_)) = 0;
  uint32_t offset_ NANDU_TA(guarded_by(mutex_)) = 0;
  uint32_t dma_address_ NANDU_TA(guarded_by(mutex_)) = 0;
  Mapping ports_;
  Mapping dma_ports_;
};

}  // namespace nandu
