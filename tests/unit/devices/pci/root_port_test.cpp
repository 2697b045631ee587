#include "devices/pci/root_port.h"

#include <boost/json/object.hpp>
#include <gtest/gtest.h>

#include "devices/pci/pci_caps.h"
#include "state/document.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

struct RootPortTest : testing::Test {
  FakePciBoard board;

  std::unique_ptr<PcieRootPort> Make(const std::string& id, const std::string& addr, uint8_t chassis = 1) {
    PcieRootPortOptions options;
    options.addr = addr;
    options.chassis = chassis;
    options.slot = 3;
    options.port = 0x10;
    options.multifunction = true;
    return PcieRootPort::Create(id, options, board.root, board.msi).value();
  }
};

// As QEMU 7.2 shows a port with hotplug=off, but for Slot Capabilities: buttons, indicators and power control
// are not there.
TEST_F(RootPortTest, RegistersAfterResetAreQemus) {
  const std::unique_ptr<PcieRootPort> port = Make("pci.1", "1.0");
  const std::vector<std::pair<uint16_t, uint32_t>> expected = {
      {0x00, 0x000c1b36},  {0x04, 0x00100000},  {0x08, 0x06040000},  {0x0c, 0x00810000},
      {0x10, 0},           {0x18, 0},           {0x1c, 0x000000f0},  {0x20, 0x0000fff0},
      {0x24, 0x0001fff1},  {0x34, 0x00000054},  {0x3c, 0x00000100},  {0x40, 0x0000000d},
      {0x44, 0x00001b36},  {0x48, 0x00004011},  {0x4c, 0},           {0x50, 0x00000800},
      {0x54, 0x01424810},  {0x58, 0x00008000},  {0x5c, 0},           {0x60, 0x10300604},
      {0x64, 0x02040000},  {0x68, 0x00180000},  {0x6c, 0},           {0x70, 0},
      {0x74, 0},           {0x78, 0x00300020},  {0x7c, 0},           {0x80, 0x0000001e},
      {0x84, 0x00000004},  {0x100, 0x14820001}, {0x10c, 0x00462030}, {0x114, 0x0000e000},
      {0x118, 0x000002a0}, {0x148, 0x0001000d}, {0x14c, 0x0000005f}};
  for (const auto& [reg, value] : expected) {
    EXPECT_EQ(port->pci()->ReadConfig(reg, 4), value) << "register " << reg;
  }
}

TEST_F(RootPortTest, WritableBitsAreQemus) {
  const std::unique_ptr<PcieRootPort> port = Make("pci.1", "1.0");
  const std::vector<std::pair<uint16_t, uint32_t>> expected = {
      {0x04, 0x00100507},  {0x0c, 0x008100ff},  {0x10, 0xfffff000},  {0x18, 0xffffffff}, {0x1c, 0x0000f0f0},
      {0x20, 0xfff0fff0},  {0x24, 0xfff1fff1},  {0x28, 0xffffffff},  {0x2c, 0xffffffff}, {0x3c, 0x005f01ff},
      {0x48, 0xc0004011},  {0x5c, 0x0000000f},  {0x70, 0x00000007},  {0x7c, 0x00008020}, {0x10c, 0x03fff030},
      {0x114, 0x0000f1c1}, {0x118, 0x000007e0}, {0x12c, 0x00000007}, {0x14c, 0x005f005f}};
  for (const auto& [reg, value] : expected) {
    (void)port->pci()->WriteConfig(reg, 4, 0xffffffff);
    EXPECT_EQ(port->pci()->ReadConfig(reg, 4), value) << "register " << reg;
  }
}

TEST_F(RootPortTest, LinkAndSlotShowWhatIsBelow) {
  const std::unique_ptr<PcieRootPort> port = Make("pci.1", "1.0");
  {
    PciFunction nic("nic0", TestIdentity(), true);
    ASSERT_TRUE(AddExpressEndpoint(nic).has_value());
    port->bus()->Attach(nic, -1).value();
    EXPECT_EQ(port->pci()->ReadConfig(0x66, 2), 0x2011U);
    EXPECT_EQ(port->pci()->ReadConfig(0x6e, 2), 0x0040U);
    port->Reset();
    EXPECT_EQ(port->pci()->ReadConfig(0x66, 2), 0x2011U);
  }
  EXPECT_EQ(port->pci()->ReadConfig(0x66, 2), 0x0204U);
  EXPECT_EQ(port->pci()->ReadConfig(0x6e, 2), 0U);
}

TEST_F(RootPortTest, ItsBusIsNamedAfterItAndTakesOneSlot) {
  const std::unique_ptr<PcieRootPort> port = Make("pci.7", "2.3");
  EXPECT_EQ(port->bus()->id(), "pci.7");
  EXPECT_EQ(port->pci()->devfn(), pci::DevFn(2, 3));
  EXPECT_EQ(port->StatePath(), "/machine/pcie.0/02.3");
  PciFunction nic("nic0", TestIdentity(), true);
  EXPECT_FALSE(port->bus()->Attach(nic, pci::DevFn(1, 0)).has_value());
}

TEST_F(RootPortTest, AChassisAndSlotBelongToOnePort) {
  std::unique_ptr<PcieRootPort> port = Make("pci.1", "1.0");
  PcieRootPortOptions options;
  options.chassis = 1;
  options.slot = 3;
  const auto second = PcieRootPort::Create("pci.2", options, board.root, board.msi);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().message,
            "chassis 1 slot 3 is taken by pci.1; give this port its own chassis= or slot=");
  port.reset();
  EXPECT_TRUE(PcieRootPort::Create("pci.2", options, board.root, board.msi).has_value());
}

TEST_F(RootPortTest, APortBelowAPortIsRefused) {
  const std::unique_ptr<PcieRootPort> port = Make("pci.1", "1.0");
  const auto below = PcieRootPort::Create("pci.2", PcieRootPortOptions{}, *port->bus(), board.msi);
  ASSERT_FALSE(below.has_value());
  EXPECT_EQ(below.error().message, "a pcie-root-port belongs on the root bus, not on pci.1; leave bus= out");
}

TEST_F(RootPortTest, OptionsAreReadAsOnQemusCommandLine) {
  const boost::json::object given = {{"addr", "0x2.0x1"},     {"port", "0x10"},   {"chassis", "1"},
                                     {"multifunction", "on"}, {"hotplug", "off"}, {"slot", 2}};
  const auto options = FromJson<PcieRootPortOptions>(given, {.field_word = "property", .lenient = true});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->port, 0x10);
  EXPECT_TRUE(options->multifunction);
  EXPECT_EQ(ParsePciAddress(options->addr).value(), pci::DevFn(2, 1));
}

TEST_F(RootPortTest, WhatCannotBeServedIsRefused) {
  const auto hot = FromJson<PcieRootPortOptions>(boost::json::object{{"hotplug", true}}, {});
  const auto slot = FromJson<PcieRootPortOptions>(boost::json::object{{"slot", 8192}}, {});
  ASSERT_FALSE(hot.has_value());
  ASSERT_FALSE(slot.has_value());
  EXPECT_NE(hot.error().message.find("hotplug=on cannot be served"), std::string::npos);
  EXPECT_NE(slot.error().message.find("slot=8192 is too large"), std::string::npos);
}

TEST(PciAddress, IsSlotAndFunctionInHexadecimal) {
  EXPECT_EQ(ParsePciAddress("").value(), -1);
  EXPECT_EQ(ParsePciAddress("3").value(), pci::DevFn(3, 0));
  EXPECT_EQ(ParsePciAddress("0x1f.0x7").value(), pci::DevFn(31, 7));
  EXPECT_EQ(ParsePciAddress("1d.2").value(), pci::DevFn(29, 2));
  for (const char* bad : {"20", "1.8", "-1", "1.", ".1", "x", "0x", "1.2.3", "1 "}) {
    EXPECT_FALSE(ParsePciAddress(bad).has_value()) << bad;
  }
}

TEST_F(RootPortTest, StateComesBackToAnEqualPort) {
  const std::unique_ptr<PcieRootPort> port = Make("pci.1", "1.0");
  (void)port->pci()->WriteConfig(pci::kPrimaryBus, 4, 0x00050500);
  StateDocument document;
  port->Save(StateWriter(document, port->StatePath()));
  FakePciBoard elsewhere;
  PcieRootPortOptions options;
  options.addr = "1.0";
  options.slot = 3;
  options.port = 0x10;
  options.multifunction = true;
  const auto other = PcieRootPort::Create("pci.1", options, elsewhere.root, elsewhere.msi).value();
  ASSERT_TRUE(other->Load(StateReader(document, other->StatePath())).has_value());
  EXPECT_EQ(other->pci()->ReadConfig(pci::kPrimaryBus, 4), 0x00050500U);
}

}  // namespace
}  // namespace nandu
