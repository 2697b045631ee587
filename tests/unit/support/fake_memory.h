// Guest RAM and registers without a machine.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nandu/io_handler.h>

#include "memory/guest_memory.h"
#include "memory/ram_block.h"

namespace nandu {

inline std::shared_ptr<RamBlock> TestRam(uint64_t size, const std::string& name = "test.ram") {
  return RamBlock::CreateAnonymous(name, size, RamBlock::Options{}).value();
}

// One piece of RAM from guest-physical `base` on.
inline std::shared_ptr<const GuestMemory> TestMemory(uint64_t size, uint64_t base = 0) {
  return std::make_shared<const GuestMemory>(
      std::vector<RamRange>{RamRange{base, size, TestRam(size), 0, false}});
}

// Registers that remember what was done to them; a byte that was never written reads as its offset's low
// byte.
class FakeIoHandler final : public IoHandler {
 public:
  struct Done {
    uint64_t offset;
    unsigned size;
    uint64_t value;
    bool operator==(const Done&) const = default;
  };

  std::string_view name() const override { return "fake"; }
  uint64_t Read(uint64_t offset, unsigned size) override {
    reads.push_back(Done{offset, size, 0});
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
      const auto found = bytes.find(offset + i);
      value |= (found == bytes.end() ? (offset + i) & 0xff : found->second) << (8 * i);
    }
    return value;
  }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    writes.push_back(Done{offset, size, value});
    for (unsigned i = 0; i < size; i++) {
      bytes[offset + i] = value >> (8 * i) & 0xff;
    }
    return park ? ExitDone::Park(park) : ExitDone::Done();
  }

  std::vector<Done> reads;
  std::vector<Done> writes;
  std::map<uint64_t, uint64_t> bytes;
  std::shared_ptr<ParkedExit> park;  // what writes answer; null: done
};

}  // namespace nandu
