#include "devices/legacy/vm_generation_id.h"

#include <boost/json/object.hpp>
#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"
#include "memory/address_space.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr const char* kUuid = "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87";
constexpr uint64_t kAddress = 0xf028;

struct Host {
  FakeHost host;
  Mapping ram = host.memory.Map(0, Region::Ram(TestRam(1 << 16), 0, 1 << 16)).value();
  Uuid Memory() {
    Uuid bytes = {};
    EXPECT_TRUE(host.memory.view()->memory()->Read(Gpa{kAddress}, bytes.data(), bytes.size()));
    return bytes;
  }
};

TEST(VmGenerationId, UuidLiesInMemoryAsAGuid) {
  FakeHost host;
  const auto device = VmGenerationIdFactory().create(host, "g", {{"guid", kUuid}}).value();
  EXPECT_EQ(
      dynamic_cast<VmGenerationId&>(*device).guid(),
      (Uuid{0xaf, 0x6e, 0x4e, 0x32, 0xd1, 0xd1, 0xf6, 0x4b, 0xbf, 0x41, 0xb9, 0xbb, 0x6c, 0x91, 0xfb, 0x87}));
}

TEST(VmGenerationId, AutomaticOnesDiffer) {
  FakeHost host;
  const auto guid = [&host] {
    const auto device = VmGenerationIdFactory().create(host, "g", {}).value();
    return dynamic_cast<VmGenerationId&>(*device).guid();
  };
  const Uuid one = guid();
  EXPECT_NE(one, guid());
  EXPECT_EQ(one[7] & 0xf0, 0x40) << "version 4";
  EXPECT_EQ(one[8] & 0xc0, 0x80);
}

TEST(VmGenerationId, WhatIsNoUuidIsASentence) {
  FakeHost host;
  EXPECT_EQ(VmGenerationIdFactory().create(host, "g", {{"guid", "1234"}}).error().message,
            "guid=1234: write xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, or auto for a random one");
}

TEST(VmGenerationId, GuestThatIsLoadedFindsTheNewOneAndIsTold) {
  FakeHost source;
  VmGenerationId before(source, "g", Uuid{});
  before.SetAddress(kAddress);
  const auto bytes = Saved(before);

  Host here;
  VmGenerationId after(here.host, "g", ParseUuid(kUuid).value());
  ASSERT_TRUE(LoadInto(after, bytes));
  EXPECT_EQ(here.Memory(), after.guid());
  EXPECT_EQ(Saved(after), bytes);
  EXPECT_TRUE(here.host.asked.empty()) << "devices are told once all are loaded";
  after.Resume();
  after.Resume();
  EXPECT_EQ(here.host.asked, (std::vector<std::string>{"gpe 5"}));
}

TEST(VmGenerationId, GuestWithoutItIsToldNothing) {
  Host here;
  VmGenerationId device(here.host, "g", ParseUuid(kUuid).value());
  ASSERT_TRUE(LoadInto(device, Saved(device)));
  device.Resume();
  EXPECT_TRUE(here.host.asked.empty());
}

TEST(VmGenerationId, HostileStateIsRefused) {
  Host here;
  VmGenerationId device(here.host, "g", Uuid{});
  EXPECT_NE(LoadError(device, R"({"address": 4294967296})"), "");
  EXPECT_NE(LoadError(device, R"({"address": 65535})"), "") << "past the end of memory";
}

}  // namespace
}  // namespace nandu
