// A guest that drives a flash chip as it likes: four bytes a step. Afterwards what it saves must load again.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "devices/legacy/cfi_flash.h"

using namespace nandu;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::byte> bytes(4 * CfiFlash::kBlockBytes, std::byte{0xff});
  CfiFlash chip(bytes, CfiFlash::Writes::kStay);
  for (; size >= 4; data += 4, size -= 4) {
    const unsigned width = 1U << (data[0] >> 1 & 3);
    const uint64_t offset = (uint64_t{data[1]} << 8 | data[2]) % (bytes.size() - width + 1);
    if ((data[0] & 1) != 0) {
      static_cast<void>(chip.Read(offset, width));
      continue;
    }
    const CfiFlash::Outcome outcome = chip.Write(offset, width, data[3] | uint64_t{data[0]} << 8);
    if (outcome.changed && (outcome.changed->offset > bytes.size() ||
                            outcome.changed->bytes > bytes.size() - outcome.changed->offset)) {
      std::abort();
    }
  }
  const CfiFlashState saved = chip.state();
  CfiFlash other(bytes, CfiFlash::Writes::kStay);
  if (!other.Load(saved)) {
    std::abort();
  }
  return 0;
}
