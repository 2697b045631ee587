// A guest that drives AHCI ports with a disk and a CD-ROM drive: registers, command lists and tables as it
// likes. Afterwards what is saved must load again.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "devices/legacy/ich9_ahci.h"
#include "devices/legacy/ide_drive.h"
#include "devices/pci/pci_bus.h"
#include "state/document.h"
#include "support/fake_host.h"
#include "support/fake_memory.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace {

using namespace nandu;

constexpr uint64_t kAbar = 0xfebf0000;
constexpr uint64_t kMemory = 256 * 1024;

struct Board {
  Board() {
    host.io_loops[""] = &loop;
    PciBus::Options options;
    options.id = "pcie.0";
    options.spaces = {&host.memory, &host.io};
    root = std::make_unique<PciBus>(std::move(options));
    root->SetMemory(ram);
    host.nodes["disk"] = std::make_shared<MemoryBlockNode>(128 * 1024, "disk");
    host.nodes["cd"] = std::make_shared<MemoryBlockNode>(128 * 1024, "cd");
    ahci = Ich9Ahci::Create(host, *root).value();
    drives.push_back(IdeHdFactory().create(host, "d", {{"drive", "disk"}, {"bus", "ide.0"}}).value());
    drives.push_back(IdeCdFactory().create(host, "c", {{"drive", "cd"}, {"bus", "ide.1"}}).value());
    static_cast<void>(root->WriteConfig(0, 0xfa, 0x24, 4, static_cast<uint32_t>(kAbar)));
    static_cast<void>(root->WriteConfig(0, 0xfa, 4, 2, 6));
    // Two ports that run, so that what follows is about commands; all of it can be undone.
    for (const uint64_t port : {uint64_t{0x100}, uint64_t{0x180}}) {
      static_cast<void>(host.memory.Write(kAbar + port, 4, port << 4));
      static_cast<void>(host.memory.Write(kAbar + port + 8, 4, 0x3000));
      static_cast<void>(host.memory.Write(kAbar + port + 0x18, 4, 0x11));
    }
  }
  ~Board() {
    Quiesce();
    drives.clear();
    loop.RunUntilIdle();
    ahci.reset();
    loop.RunUntilIdle();
  }
  void Quiesce() {
    bool quiet = false;
    ahci->Quiesce([&quiet] { quiet = true; });
    loop.RunUntilIdle();
    if (!quiet) {
      std::abort();
    }
  }
  std::vector<std::byte> Save() const {
    StateDocument document;
    ahci->Save(StateWriter(document, "/a"));
    drives[0]->Save(StateWriter(document, "/d"));
    drives[1]->Save(StateWriter(document, "/c"));
    return document.Serialize();
  }

  FakeHost host;
  ManualLoop loop;
  std::shared_ptr<const GuestMemory> ram = TestMemory(kMemory);
  std::unique_ptr<PciBus> root;
  std::unique_ptr<Ich9Ahci> ahci;
  std::vector<std::unique_ptr<Device>> drives;
};

// A header, a table and one region for a command in slot 0 or 1: what most of a driver's work is.
void PlaceCommand(Board& board, const uint8_t* bytes) {
  const uint64_t list = ((bytes[0] & 0x40) != 0 ? 0x1800u : 0x1000u) + 32 * (bytes[0] >> 7);
  const uint64_t table = 0x4000;
  uint8_t fis[0x50] = {0x27, 0x80, bytes[1], bytes[2], bytes[3], 0, 0, 0x40};
  fis[12] = bytes[4];
  fis[0x40] = bytes[5];
  fis[0x41] = bytes[6];
  fis[0x44] = fis[0x48] = bytes[7];
  static_cast<void>(board.ram->Write(Gpa{table}, fis, sizeof(fis)));
  const uint64_t region[2] = {0x10000, uint64_t{bytes[7]} << 36 | uint64_t{0xfff} << 32};
  static_cast<void>(board.ram->Write(Gpa{table + 0x80}, region, sizeof(region)));
  const uint64_t header[4] = {5 | 1u << 16, table, 0, 0};
  static_cast<void>(board.ram->Write(Gpa{list}, header, sizeof(header)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kRecord = 8;
  Board board;
  for (size_t at = 0; size - at >= kRecord; at += kRecord) {
    const uint8_t* const bytes = data + at;
    const uint32_t value =
        bytes[4] | uint32_t{bytes[5]} << 8 | uint32_t{bytes[6]} << 16 | uint32_t{bytes[7]} << 24;
    const uint64_t offset = (bytes[1] | uint64_t{bytes[2]} << 8) % 0x300;
    switch (bytes[0] & 7) {
      case 0: static_cast<void>(board.host.memory.Read(kAbar + offset, 4)); break;
      case 1: static_cast<void>(board.host.memory.Write(kAbar + offset, 4, value)); break;
      case 2:
        static_cast<void>(board.ram->Write(Gpa{(bytes[1] | uint64_t{bytes[2]} << 8) << 2}, &value, 4));
        break;
      case 3: PlaceCommand(board, bytes); break;
      case 4:
        static_cast<void>(board.host.memory.Write(kAbar + 0x138 + (bytes[1] & 0x80), 4, value & 3));
        break;
      case 5: static_cast<void>(board.root->WriteConfig(0, 0xfa, 4, 2, bytes[1] & 7)); break;
      case 6:
        board.Quiesce();
        board.ahci->Resume();
        break;
      default: board.loop.RunUntilIdle();
    }
  }
  board.Quiesce();
  static Board copy;  // takes whatever comes, again and again
  copy.Quiesce();
  const std::vector<std::byte> bytes = board.Save();
  const StateDocument document = StateDocument::Parse(bytes).value();
  if (!copy.ahci->Load(StateReader(document, "/a")) || !copy.drives[0]->Load(StateReader(document, "/d")) ||
      !copy.drives[1]->Load(StateReader(document, "/c")) || copy.Save() != bytes) {
    std::abort();
  }
  return 0;
}
