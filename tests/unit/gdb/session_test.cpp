#include "gdb/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

#include "base/format.h"
#include "gdb/register_table.h"

namespace nandu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Two CPUs and 64 KiB of memory at 0x1000.
class FakeMachine final : public DebugFacet {
 public:
  bool running = false;
  std::vector<CpuRegisters> cpus = std::vector<CpuRegisters>(2);
  std::vector<std::byte> memory = std::vector<std::byte>(65536);
  std::vector<Breakpoint> breakpoints;
  std::vector<std::vector<CpuAction>> gone;
  bool refuses_to_go = false;
  bool killed = false;
  bool stops_later = false;
  UniqueFunction<void(const DebugStop&)> observer;

  unsigned cpu_count() const override { return 2; }
  bool stopped() const override { return !running; }
  Result<CpuRegisters> ReadRegisters(unsigned cpu) override { return cpus.at(cpu); }
  Result<> WriteRegisters(unsigned cpu, const CpuRegisters& registers) override {
    cpus.at(cpu) = registers;
    return {};
  }
  size_t ReadMemory(unsigned, MemoryView, uint64_t address, std::span<std::byte> out) override {
    size_t count = 0;
    for (; count < out.size() && Has(address + count); ++count) {
      out[count] = memory[address + count - 0x1000];
    }
    return count;
  }
  size_t WriteMemory(unsigned, MemoryView, uint64_t address, std::span<const std::byte> bytes) override {
    size_t count = 0;
    for (; count < bytes.size() && Has(address + count); ++count) {
      memory[address + count - 0x1000] = bytes[count];
    }
    return count;
  }
  Result<> AddBreakpoint(unsigned, const Breakpoint& breakpoint) override {
    breakpoints.push_back(breakpoint);
    return {};
  }
  Result<> RemoveBreakpoint(const Breakpoint& breakpoint) override {
    return std::erase(breakpoints, breakpoint) != 0 ? Result<>() : Fail(Errc::kNotFound, "none");
  }
  void RemoveAllBreakpoints() override { breakpoints.clear(); }
  void Interrupt() override {
    if (!stops_later) {
      StopFor({});
    }
  }
  void Go(std::vector<CpuAction> actions, UniqueFunction<void(Result<>)> done) override {
    gone.push_back(std::move(actions));
    running = !refuses_to_go;
    done(refuses_to_go ? Fail(Errc::kInvalidArgument, "needs a reset") : Result<>());
  }
  void Kill() override { killed = true; }
  void SetStopObserver(UniqueFunction<void(const DebugStop&)> to) override { observer = std::move(to); }
  void StopFor(const DebugStop& stop) {
    if (running) {
      running = false;
      observer(stop);
    }
  }

 private:
  bool Has(uint64_t address) const { return address >= 0x1000 && address - 0x1000 < memory.size(); }
};

class Gdb : public testing::Test {
 protected:
  Gdb() {
    machine_.observer = [this](const DebugStop& stop) { session_.OnStopped(stop); };
    session_.Opened();
  }
  // What comes back for one packet, without its frame.
  std::string Ask(std::string_view packet) {
    Feed(GdbPacket(packet));
    return Take();
  }
  void Feed(std::string_view bytes) { session_.Receive(std::as_bytes(std::span(bytes))); }
  // The last packet that was sent since.
  std::string Take() {
    GdbReader reader;
    std::string last;
    for (const GdbReader::Piece& piece : reader.Feed(std::as_bytes(std::span(sent_)))) {
      last = piece.kind == GdbReader::Kind::kPacket ? piece.data : last;
    }
    sent_.clear();
    return last;
  }
  FakeMachine machine_;
  std::string sent_;
  GdbSession session_{machine_, [this](std::string_view bytes) { sent_ += bytes; }};
};

TEST_F(Gdb, PacketsAreAcknowledgedUntilToldOtherwise) {
  Feed("$?#3f");
  EXPECT_EQ(sent_, "+$T02thread:1;#d4");
  sent_.clear();
  EXPECT_EQ(Ask("QStartNoAckMode"), "OK");
  Feed("$?#3f");
  EXPECT_EQ(sent_, "$T02thread:1;#d4");
}

TEST_F(Gdb, BadChecksumIsSentAgain) {
  Feed("$?#00");
  EXPECT_EQ(sent_, "-");
  sent_.clear();
  EXPECT_EQ(Ask("qC"), "QC1");
  Feed("-");
  EXPECT_EQ(Take(), "QC1");
}

TEST_F(Gdb, RegistersAreInGdbsOrder) {
  machine_.cpus[0].gpr[CpuRegisters::kRbx] = 0x1122334455667788;
  machine_.cpus[0].rip = 0xffffffff81000000;
  EXPECT_EQ(Ask("p1"), "8877665544332211");
  EXPECT_EQ(Ask("p10"), "00000081ffffffff");
  EXPECT_THAT(Ask("g"), StartsWith("00000000000000008877665544332211"));
  EXPECT_EQ(Ask("p7f"), "E16");
}

TEST_F(Gdb, DescriptionAgreesWithTheTable) {
  std::string xml;
  for (std::string piece = "m"; piece[0] == 'm'; xml += piece.substr(1)) {
    piece = Ask(Format("qXfer:features:read:target.xml:{:x},400", xml.size()));
  }
  size_t regs = 0;
  for (size_t at = xml.find("<reg "); at != std::string::npos; at = xml.find("<reg ", at + 1)) {
    ++regs;
  }
  EXPECT_EQ(regs, GdbRegisters().size());
  size_t bytes = 0;
  for (const GdbRegister& reg : GdbRegisters()) {
    bytes += reg.bytes;
  }
  EXPECT_EQ(Ask("g").size(), 2 * bytes);
  EXPECT_EQ(GdbRegisters()[16].name, "rip");
}

TEST_F(Gdb, RegistersAreWritten) {
  EXPECT_EQ(Ask("P0=0100000000000080"), "OK");
  EXPECT_EQ(machine_.cpus[0].gpr[CpuRegisters::kRax], 0x8000000000000001U);
  EXPECT_EQ(Ask("P0=01"), "E16");
  std::string all = Ask("g");
  all[0] = 'f';
  EXPECT_EQ(Ask("G" + all), "OK");
  EXPECT_EQ(machine_.cpus[0].gpr[CpuRegisters::kRax], 0x80000000000000f1U);
}

TEST_F(Gdb, MemoryIsReadUpToWhereItEnds) {
  machine_.memory[0] = std::byte{0xab};
  EXPECT_EQ(Ask("m1000,2"), "ab00");
  EXPECT_EQ(Ask("m10fff,4"), "00");
  EXPECT_EQ(Ask("m20000,4"), "E0e");
  EXPECT_EQ(Ask("m1000,ffffff"), "E16");
}

TEST_F(Gdb, MemoryIsWrittenInBothForms) {
  EXPECT_EQ(Ask("M1000,2:0102"), "OK");
  EXPECT_EQ(Ask(std::string("X1002,3:\x03}#", 11)), "OK");
  EXPECT_EQ(Ask("m1000,5"), "0102037d23");
  EXPECT_EQ(Ask("M1000,3:0102"), "E16");
  EXPECT_EQ(Ask("M20000,1:00"), "E0e");
}

TEST_F(Gdb, BreakpointStopsWithItsThread) {
  EXPECT_EQ(Ask("Z0,1234,1"), "OK");
  EXPECT_EQ(Ask("vCont;c"), "");
  ASSERT_TRUE(machine_.running);
  machine_.StopFor({DebugStop::Why::kBreakpoint, 1, machine_.breakpoints.at(0)});
  EXPECT_EQ(Take(), "T05thread:2;swbreak:;");
  EXPECT_EQ(Ask("qC"), "QC2");
  EXPECT_EQ(Ask("z0,1234,1"), "OK");
  EXPECT_EQ(Ask("z0,1234,1"), "E16");
}

TEST_F(Gdb, WatchpointTellsTheAddress) {
  EXPECT_EQ(Ask("Z2,2000,8"), "OK");
  EXPECT_EQ(Ask("Z3,2000,8"), "");
  Ask("c");
  machine_.StopFor({DebugStop::Why::kBreakpoint, 0, {BreakpointKind::kWrite, 0x2000, 8}});
  EXPECT_EQ(Take(), "T05thread:1;watch:2000;");
}

TEST_F(Gdb, OneCpuStepsWhileTheOthersGoOnOrStay) {
  Ask("vCont;s:2;c");
  machine_.StopFor({DebugStop::Why::kStepped, 1, {}});
  EXPECT_EQ(Take(), "T05thread:2;");
  Ask("vCont;s:p1.1");
  EXPECT_THAT(machine_.gone, ElementsAre(ElementsAre(CpuAction::kContinue, CpuAction::kStep),
                                         ElementsAre(CpuAction::kStep, CpuAction::kStay)));
}

TEST_F(Gdb, InterruptByteStopsTheGuest) {
  Ask("c");
  Feed("\x03");
  EXPECT_EQ(Take(), "T02thread:1;");
}

TEST_F(Gdb, GuestThatCannotRunStopsAtOnce) {
  machine_.refuses_to_go = true;
  EXPECT_EQ(Ask("c"), "T02thread:1;");
}

TEST_F(Gdb, NothingButTheInterruptIsServedWhileItRuns) {
  Ask("c");
  EXPECT_EQ(Ask("g"), "E16");
}

TEST_F(Gdb, ThreadsAreTheVcpus) {
  EXPECT_EQ(Ask("qfThreadInfo"), "m1,2");
  EXPECT_EQ(Ask("qsThreadInfo"), "l");
  EXPECT_EQ(Ask("qThreadExtraInfo,2"), "764350552031");  // "vCPU 1"
  EXPECT_EQ(Ask("Hg2"), "OK");
  EXPECT_EQ(Ask("T3"), "E16");
}

TEST_F(Gdb, DetachedGuestRunsWithoutBreakpoints) {
  Ask("Z0,1234,1");
  EXPECT_EQ(Ask("D"), "OK");
  EXPECT_TRUE(machine_.running);
  EXPECT_TRUE(machine_.breakpoints.empty());
  session_.Closed();
  EXPECT_TRUE(machine_.running);
}

TEST_F(Gdb, DebuggerThatDiesLeavesARunningGuestWithoutBreakpoints) {
  Ask("Z0,1234,1");
  Ask("c");
  session_.Closed();
  EXPECT_TRUE(machine_.running);
  EXPECT_TRUE(machine_.breakpoints.empty());
}

TEST_F(Gdb, DebuggerThatComesStopsTheGuest) {
  session_.Closed();
  machine_.running = true;
  session_.Opened();
  EXPECT_FALSE(machine_.running);
  EXPECT_EQ(Ask("?"), "T02thread:1;");
}

TEST_F(Gdb, WhatComesBeforeTheGuestStandsStillWaits) {
  session_.Closed();
  machine_.running = machine_.stops_later = true;
  session_.Opened();
  EXPECT_EQ(Ask("qC"), "");
  machine_.StopFor({DebugStop::Why::kPaused, 0, {}});
  EXPECT_EQ(Take(), "QC1");
}

TEST_F(Gdb, KillEndsTheVm) {
  Feed("$k#6b");
  EXPECT_TRUE(machine_.killed);
}

TEST_F(Gdb, WhatIsNotServedIsAnsweredEmpty) {
  EXPECT_EQ(Ask("vMustReplyEmpty"), "");
  EXPECT_EQ(Ask("qTStatus"), "");
  EXPECT_THAT(Ask("qSupported:multiprocess+"), HasSubstr("qXfer:features:read+"));
}

}  // namespace
}  // namespace nandu
