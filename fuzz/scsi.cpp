// A guest that sends a disk and a CD-ROM drive any commands, with any buffers, over SCSI and behind ATAPI.
// Afterwards what each saves must load again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "devices/storage/scsi_cd.h"
#include "devices/storage/scsi_disk.h"
#include "support/fake_control_loop.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace {

using namespace nandu;

struct Units {
  Units() {
    disks = {Front(disk_node), Front(cd_node), Front(nullptr), Front(cd_node)};
    units.push_back(std::make_unique<ScsiDisk>(disks[0], ScsiDiskConfig{}));
    units.push_back(std::make_unique<ScsiCd>(disks[1], ScsiCdConfig{}));
    units.push_back(std::make_unique<ScsiCd>(disks[2], ScsiCdConfig{}));
    ScsiCdConfig atapi;
    atapi.atapi = true;
    units.push_back(std::make_unique<ScsiCd>(disks[3], std::move(atapi)));
  }
  ~Units() {
    units.clear();
    for (std::shared_ptr<DiskFront>& disk : disks) {
      DiskFront::Close(std::move(disk));
    }
    loop.RunUntilIdle();
  }
  std::shared_ptr<DiskFront> Front(std::shared_ptr<BlockNode> node) {
    return DiskFront::Create(control, loop, {}, std::move(node)).value();
  }
  ManualLoop loop;
  FakeControlLoop control;
  std::shared_ptr<MemoryBlockNode> disk_node = std::make_shared<MemoryBlockNode>(256 * 1024);
  std::shared_ptr<MemoryBlockNode> cd_node = std::make_shared<MemoryBlockNode>(256 * 1024);
  std::vector<std::shared_ptr<DiskFront>> disks;
  std::vector<std::unique_ptr<ScsiUnit>> units;
};

}  // namespace

// Each command: which unit, bytes of room, bytes sent (both in units of 16), the CDB's 16 bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kRecord = 19;
  Units bench;
  for (size_t at = 0; size - at >= kRecord; at += kRecord) {
    const uint8_t* const record = data + at;
    ScsiUnit& unit = *bench.units[record[0] % bench.units.size()];
    std::vector<uint8_t> room(size_t{record[1]} * 16);
    std::vector<uint8_t> sent(data, data + std::min(size, size_t{record[2]} * 16));
    iovec in{room.data(), room.size()};
    iovec out{sent.data(), sent.size()};
    bool done = false;
    ScsiCommand command;
    std::copy_n(record + 3, 16, command.cdb.begin());
    command.in = std::span(&in, room.empty() ? 0 : 1);
    command.out = std::span(&out, sent.empty() ? 0 : 1);
    command.owner = &done;
    command.done = [](ScsiCommand* ended) {
      bool& once = *static_cast<bool*>(ended->owner);
      if (once || ended->moved > std::max(ended->in.empty() ? 0 : ended->in[0].iov_len,
                                          ended->out.empty() ? 0 : ended->out[0].iov_len)) {
        std::abort();
      }
      once = true;
    };
    unit.Execute(&command);
    bench.loop.RunUntilIdle();
    if (!done) {
      std::abort();
    }
    if ((record[0] & 0x80) != 0) {
      unit.Reset();
    }
  }
  for (const auto& unit : bench.units) {
    const ScsiUnitState state = unit->Save();
    if (!Validate(state) || !unit->Load(state) || !Equal(unit->Save(), state)) {
      std::abort();
    }
  }
  return 0;
}
