// A SCSI unit on a table: a disk in memory, a loop turned by hand, one command at a time.
#pragma once

#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "devices/storage/disk_front.h"
#include "devices/storage/scsi_unit.h"
#include "support/fake_control_loop.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {

inline std::string Hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += Format("{:02x}", static_cast<uint8_t>(byte));
  }
  return text;
}

struct UnitBench {
  std::shared_ptr<DiskFront> Front(DiskFront::Config config = {}, bool empty = false) {
    front = DiskFront::Create(control, loop, std::move(config), empty ? nullptr : node).value();
    return front;
  }
  ~UnitBench() {
    if (front != nullptr) {
      node->ReleaseAll();
      loop.RunUntilIdle();
      DiskFront::Close(std::move(front));
      loop.RunUntilIdle();
    }
  }

  // Begins a command; `sent` goes with it, `wanted` bytes of room are there for what comes back.
  void Begin(ScsiUnit& unit, std::vector<uint8_t> cdb, size_t wanted = 0, std::string sent = {}) {
    done = false;
    reply.assign(wanted, '\xcc');
    out = std::move(sent);
    command.cdb.fill(0);
    std::copy(cdb.begin(), cdb.end(), command.cdb.begin());
    in_piece = {reply.data(), reply.size()};
    out_piece = {out.data(), out.size()};
    command.in = std::span(&in_piece, reply.empty() ? 0 : 1);
    command.out = std::span(&out_piece, out.empty() ? 0 : 1);
    command.owner = this;
    command.done = [](ScsiCommand* ended) { static_cast<UnitBench*>(ended->owner)->done = true; };
    unit.Execute(&command);
  }
  // Runs it to its end: "good" and its bytes in hexadecimal, or "sense 05/24/00".
  std::string Run(ScsiUnit& unit, std::vector<uint8_t> cdb, size_t wanted = 0, std::string sent = {}) {
    Begin(unit, std::move(cdb), wanted, std::move(sent));
    loop.RunUntilIdle();
    while (node->in_flight() > 0) {
      node->ReleaseAll();
      loop.RunUntilIdle();
    }
    EXPECT_TRUE(done);
    if (command.parked) {
      return "parked";
    }
    if (command.overrun) {
      return "overrun";
    }
    if (command.status == scsi::Status::kCheckCondition) {
      return Format("sense {:02x}/{:02x}/{:02x}", command.sense.key, command.sense.code, command.sense.qualifier);
    }
    return wanted == 0 ? "good" : Hex(reply.substr(0, command.moved));
  }

  static constexpr uint64_t kDiskBytes = uint64_t{64} << 20;
  ManualLoop loop;
  FakeControlLoop control;
  std::shared_ptr<HangingBlockNode> node = std::make_shared<HangingBlockNode>(kDiskBytes);
  std::shared_ptr<DiskFront> front;
  ScsiCommand command;
  std::string reply, out;
  iovec in_piece{}, out_piece{};
  bool done = false;
};

}  // namespace nandu
