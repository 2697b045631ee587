// Debug console, debug exit, pvpanic and the shared line.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

#include "devices/legacy/debug_exit.h"
#include "devices/legacy/debugcon.h"
#include "devices/legacy/legacy_ports.h"
#include "devices/legacy/pvpanic.h"

namespace nandu {
namespace {

TEST(DebugConsole, BytesReachTheChardevAndReadsAnswerE9) {
  FakeHost host;
  const auto file = host.AddChardev("log");
  const auto device = IsaDebugconFactory().create(host, "d", {{"chardev", "log"}}).value();
  Out(host, 0xe9, 'o');
  Out(host, 0xe9, 'k');
  host.loop.RunReady();
  EXPECT_EQ(file->written(), "ok");
  EXPECT_EQ(In(host, 0xe9), 0xe9);
}

TEST(DebugConsole, PortIsAnOption) {
  FakeHost host;
  const auto file = host.AddChardev("log");
  const auto device =
      IsaDebugconFactory().create(host, "d", {{"chardev", "log"}, {"iobase", "0x402"}}).value();
  Out(host, 0x402, 'x');
  host.loop.RunReady();
  EXPECT_EQ(file->written(), "x");
}

TEST(DebugConsole, StuckBackendCostsBytesNotTime) {
  FakeHost host;
  const auto file = host.AddChardev("log");
  file->SetWriteRoom(0);
  const auto device = DebugConsole::Create(host, {.id = "d", .chardev = file}).value();
  for (size_t i = 0; i < DebugConsole::kQueueBytes + 5; i++) {
    Out(host, 0xe9, 'x');
  }
  EXPECT_EQ(device->dropped().value(), 5u);
}

TEST(DebugConsole, QueuedBytesAreSaved) {
  FakeHost host;
  const auto device = DebugConsole::Create(host, {.id = "d", .chardev = host.AddChardev("log")}).value();
  device->Quiesce([] {});
  Out(host, 0xe9, 'q');
  const auto bytes = Saved(*device);
  FakeHost other;
  const auto file = other.AddChardev("log");
  const auto copy = DebugConsole::Create(other, {.id = "d", .chardev = file}).value();
  copy->Quiesce([] {});
  ASSERT_TRUE(LoadInto(*copy, bytes));
  copy->Resume();
  other.loop.RunReady();
  EXPECT_EQ(file->written(), "q");
}

TEST(DebugConsole, WithoutChardevIsASentence) {
  FakeHost host;
  EXPECT_EQ(IsaDebugconFactory().create(host, "d", {}).error().message,
            "isa-debugcon needs chardev=ID; make one with -chardev");
}

TEST(DebugExit, StatusIsTheValueTwicePlusOne) {
  FakeHost host;
  const auto device = IsaDebugExitFactory().create(host, "e", {}).value();
  Out(host, 0x501, 0);
  Out(host, 0x501, 0x2a, 2);
  Out(host, 0x502, 0xff);
  EXPECT_EQ(host.asked, (std::vector<std::string>{"exit 1", "exit 85", "exit 255"}));
}

TEST(DebugExit, PortAndWidthAreOptions) {
  FakeHost host;
  const auto device =
      IsaDebugExitFactory().create(host, "e", {{"iobase", "0xf4"}, {"iosize", "0x04"}}).value();
  Out(host, 0xf4, 0x10, 4);
  EXPECT_EQ(host.asked, (std::vector<std::string>{"exit 33"}));
  EXPECT_EQ(host.io.Read(0xf4, 1), 0u);
}

TEST(DebugExit, NoPortsAreASentence) {
  FakeHost host;
  EXPECT_EQ(IsaDebugExitFactory().create(host, "e", {{"iosize", 0}}).error().message,
            "iosize=0 leaves no port to write to");
}

TEST(PvPanic, TellsTheMachineWhy) {
  FakeHost host;
  const auto device = PvPanicFactory().create(host, "p", {}).value();
  EXPECT_EQ(In(host, 0x505), 3);
  Out(host, 0x505, 1);
  Out(host, 0x505, 2);
  EXPECT_EQ(host.asked, (std::vector<std::string>{"panic guest-panicked", "crash loaded"}));
}

TEST(PvPanic, EventsThatAreNotOfferedAreCounted) {
  FakeHost host;
  const auto device = PvPanic::Create(host, {.id = "p", .events = 1}).value();
  Out(host, 0x505, 2);
  EXPECT_TRUE(host.asked.empty());
  EXPECT_EQ(device->ignored().value(), 1u);
}

}  // namespace
}  // namespace nandu
