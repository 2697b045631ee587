// What a guest finds in configuration space before it talks to the device: byte for byte what QEMU 7.2 shows,
// where a guest can tell.
#include <array>
#include <gtest/gtest.h>

#include "devices/pci/pci_caps.h"
#include "devices/virtio/fake_virtio_device.h"
#include "memory/flat_view.h"
#include "support/fake_virtio_guest.h"

namespace nandu {
namespace {

using ConfigDwords = std::array<uint32_t, 64>;

ConfigDwords Dump(PciFunction& function) {
  ConfigDwords dwords{};
  for (uint16_t i = 0; i < dwords.size(); ++i) {
    dwords[i] = function.ReadConfig(static_cast<uint16_t>(4 * i), 4);
  }
  return dwords;
}

// qemu-system-x86_64 7.2 -M q35 -nodefaults -device virtio-rng-pci
TEST(VirtioPciIdentity, TransitionalOnTheRootBus) {
  FakeVirtioGuest guest(std::make_unique<FakeVirtioDevice>(), {}, 2);
  ConfigDwords expected{};
  expected = {0x10051af4, 0x00100000, 0x00ff0000, 0x00000000, 0x00000001, 0x00000000, 0x00000000,
              0x00000000, 0x0000000c, 0x00000000, 0x00000000, 0x00041af4, 0x00000000, 0x00000098,
              0x00000000, 0x00000100, 0x01100009, 0x00000004, 0x00000000, 0x00001000, 0x03104009,
              0x00000004, 0x00001000, 0x00001000, 0x04105009, 0x00000004, 0x00002000, 0x00001000,
              0x02146009, 0x00000004, 0x00003000, 0x00001000, 0x00000004, 0x05147009, 0x00000000,
              0x00000000, 0x00000000, 0x00000000, 0x00018411, 0x00000001, 0x00000801};
  EXPECT_EQ(Dump(guest.function()), expected);
}

// -device virtio-rng-pci,disable-legacy=on
TEST(VirtioPciIdentity, ModernOnTheRootBus) {
  VirtioPciOptions options;
  options.disable_legacy = OnOffAuto::kOn;
  FakeVirtioGuest guest(std::make_unique<FakeVirtioDevice>(), options, 2);
  const ConfigDwords dump = Dump(guest.function());
  EXPECT_EQ(dump[0], 0x10441af4U);
  EXPECT_EQ(dump[2], 0x00ff0001U);
  EXPECT_EQ(dump[4], 0U);  // no I/O BAR
  EXPECT_EQ(dump[11], 0x11001af4U);
  EXPECT_EQ(dump[13], 0x98U);
}

// -device pcie-root-port,id=rp -device virtio-rng-pci,bus=rp
TEST(VirtioPciIdentity, ModernExpressEndpointBehindAPort) {
  FakePciBoard board;
  FakeBridge port("rp", board.root, 8);
  auto device = VirtioPciDevice::Attach(port.bus, board.msi,
                                        {.id = "rng0", .driver = "virtio-rng-pci", .default_vectors = 2}, {},
                                        std::make_unique<FakeVirtioDevice>())
                    .value();
  ConfigDwords expected{};
  expected = {0x10441af4, 0x00100000, 0x00ff0001, 0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000000,
              0x0000000c, 0x00000000, 0x00000000, 0x11001af4, 0x00000000, 0x000000dc, 0x00000000, 0x00000100,
              0x00020010, 0x10008000, 0x00000000, 0x00000411, 0x00110000, 0x00000000, 0x00000000, 0x00000000,
              0x00000000, 0x00300000, 0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00034001,
              0x00000000, 0x01107c09, 0x00000004, 0x00000000, 0x00001000, 0x03108409, 0x00000004, 0x00001000,
              0x00001000, 0x04109409, 0x00000004, 0x00002000, 0x00001000, 0x0214a409, 0x00000004, 0x00003000,
              0x00001000, 0x00000004, 0x0514b409, 0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x0001c811,
              0x00000001, 0x00000801};
  EXPECT_EQ(Dump(*device->pci()), expected);
  EXPECT_EQ(device->StatePath(), port.bus.StatePath() + "/00.0");
}

TEST(VirtioPciIdentity, LegacyMayBeAskedForBehindAPort) {
  FakePciBoard board;
  FakeBridge port("rp", board.root, 8);
  VirtioPciOptions options;
  options.disable_legacy = OnOffAuto::kOff;
  auto device = VirtioPciDevice::Attach(port.bus, board.msi, {.id = "rng0", .driver = "virtio-rng-pci"},
                                        options, std::make_unique<FakeVirtioDevice>())
                    .value();
  EXPECT_EQ(device->pci()->ReadConfig(0, 4), 0x10051af4U);
  EXPECT_EQ(device->pci()->ReadConfig(0x10, 4), 1U);
}

TEST(VirtioPciIdentity, DoorbellsAreIoEvents) {
  FakeVirtioGuest guest(std::make_unique<FakeVirtioDevice>());
  guest.MapBars();
  const auto memory = guest.board().memory.view();
  const auto io = guest.board().io.view();
  ASSERT_EQ(memory->events().size(), 2U);
  EXPECT_EQ(memory->events()[1].address, FakeVirtioGuest::kModernBase + 0x3004);
  EXPECT_EQ(memory->events()[1].size, 0U);
  EXPECT_EQ(memory->events()[1].match, std::nullopt);
  ASSERT_EQ(io->events().size(), 2U);
  EXPECT_EQ(io->events()[1].address, FakeVirtioGuest::kLegacyBase + 16);
  EXPECT_EQ(io->events()[1].size, 2U);
  EXPECT_EQ(io->events()[1].match, 1U);
  EXPECT_EQ(io->events()[1].fd, memory->events()[1].fd);
}

TEST(VirtioPciIdentity, IoeventfdOffMakesDoorbellsExits) {
  VirtioPciOptions options;
  options.ioeventfd = false;
  FakeVirtioGuest guest(std::make_unique<FakeVirtioDevice>(), options);
  guest.MapBars();
  EXPECT_TRUE(guest.board().memory.view()->events().empty());
}

TEST(VirtioPciIdentity, NoVectorsIsNoMsix) {
  VirtioPciOptions options;
  options.vectors = 0;
  FakeVirtioGuest guest(std::make_unique<FakeVirtioDevice>(), options);
  EXPECT_EQ(guest.function().FindCapability(pci::kCapMsix), 0);
  EXPECT_EQ(guest.function().msix_vectors(), 0U);
}

struct Refusal {
  VirtioPciOptions options;
  std::string_view says;
};
TEST(VirtioPciOptions, WhatIsNotServedIsRefused) {
  std::vector<Refusal> refusals(5);
  refusals[0] = {{}, "iommu_platform=on cannot be served"};
  refusals[0].options.iommu_platform = true;
  refusals[1] = {{}, "page-per-vq=on cannot be served"};
  refusals[1].options.page_per_vq = true;
  refusals[2] = {{}, "leave no interface"};
  refusals[2].options.disable_modern = true;
  refusals[2].options.disable_legacy = OnOffAuto::kOn;
  refusals[3] = {{}, "packed=on needs the modern interface"};
  refusals[3].options.disable_modern = refusals[3].options.packed = true;
  refusals[4] = {{}, "vectors=4096 is too many"};
  refusals[4].options.vectors = 4096;
  for (const Refusal& refusal : refusals) {
    const Result<> result = Validate(refusal.options);
    ASSERT_FALSE(result.has_value()) << refusal.says;
    EXPECT_NE(result.error().message.find(refusal.says), std::string::npos) << result.error().message;
  }
}

}  // namespace
}  // namespace nandu
