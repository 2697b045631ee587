// A guest that talks to fw_cfg as it likes, with descriptors wherever it likes. Afterwards what it saves must
// load again.
#include "devices/legacy/fw_cfg.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "state/document.h"
#include "state/state.h"
#include "support/fake_host.h"
#include "support/fake_memory.h"

using namespace nandu;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kRamBytes = 0x10000;
  FakeHost host;
  const Mapping ram = host.memory.Map(0, Region::Ram(TestRam(kRamBytes), 0, kRamBytes)).value();
  const std::unique_ptr<FwCfg> device = FwCfg::Create(host).value();
  device->SetItem(0, {.bytes = {'Q', 'E', 'M', 'U'}});
  FwCfg::Content large;
  large.size = 3000;
  large.read = [](uint64_t offset, void* out, uint64_t bytes) {
    if (offset > 3000 || bytes > 3000 - offset) {
      std::abort();  // asked for what is not there
    }
    std::fill_n(static_cast<uint8_t*>(out), bytes, uint8_t{1});
    return bytes % 7 != 0;
  };
  device->SetItem(0x11, std::move(large));
  static_cast<void>(device->AddFile("etc/read", {.bytes = {1, 2, 3}}));
  FwCfg::Content written{.bytes = {1, 2, 3, 4, 5, 6, 7, 8}, .writable = true};
  written.written = [](const std::vector<uint8_t>& now) {
    if (now.size() != 8) {
      std::abort();
    }
  };
  static_cast<void>(device->AddFile("etc/written", std::move(written)));

  // Six bytes a step: a port access, or two bytes put into memory, where descriptors are.
  while (size >= 6) {
    const uint64_t value = data[2] | uint64_t{data[3]} << 8 | uint64_t{data[4]} << 16 | uint64_t{data[5]} << 24;
    const unsigned width = 1U << (data[1] % 3);
    const uint16_t port = static_cast<uint16_t>(FwCfg::kBase + data[1] / 4 % 12);
    switch (data[0] % 4) {
      case 0: static_cast<void>(host.io.Write(port, width, value)); break;
      case 1: static_cast<void>(host.io.Read(port, width)); break;
      default: static_cast<void>(host.memory.Write(value & 0xffff, 2, data[1] | uint64_t{data[0]} << 8));
    }
    data += 6;
    size -= 6;
  }

  StateDocument saved;
  device->Save(StateWriter(saved, "/d"));
  if (!device->Load(StateReader(saved, "/d"))) {
    std::abort();
  }
  return 0;
}
