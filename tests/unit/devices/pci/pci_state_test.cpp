// Save and load of a function, and what a hostile stream may not do.
#include <gtest/gtest.h>

#include "devices/pci/pci_function_state.h"
#include "state/document.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

constexpr const char* kId = "/machine/pcie.0/02.0";

// A function with a BAR and two vectors, on a board of its own.
struct Board {
  FakePciBoard board;
  PciFunction function{"disk0", TestIdentity(), false};
  std::shared_ptr<FakeIoHandler> registers = std::make_shared<FakeIoHandler>();

  Board() {
    EXPECT_TRUE(function.AddBar(0, BarKind::kIo, Region::Io(registers, 0x20)).has_value());
    EXPECT_TRUE(function.EnableMsix(2, 1, board.msi).has_value());
    board.root.Attach(function, pci::DevFn(2, 0)).value();
  }
  PciFunctionState Saved() {
    StateDocument document;
    function.Save(StateWriter(document, kId));
    return StateReader(document, kId).Child("pci").Get<PciFunctionState>().value();
  }
  Result<> Load(const PciFunctionState& state) {
    StateDocument document;
    StateWriter(document, kId).Child("pci").Put(state);
    return function.Load(StateReader(document, kId));
  }
};

struct PciStateTest : testing::Test {
  Board source;
  Board target;

  void Program() {
    (void)source.function.WriteConfig(0x10, 4, 0xc100);
    (void)source.function.WriteConfig(0x14, 4, 0xfeb00000);
    (void)source.function.WriteConfig(0x04, 2, 7);
    const uint16_t control =
        static_cast<uint16_t>(source.function.FindCapability(pci::kCapMsix) + pci::kMsixControl);
    (void)source.function.WriteConfig(control, 2, pci::kMsixControlEnable);
    (void)source.board.memory.Write(0xfeb00000, 8, 0xfee00000);
    (void)source.board.memory.Write(0xfeb00008, 4, 0x33);
    (void)source.board.memory.Write(0xfeb0000c, 4, 0);
    source.function.NotifyMsix(1);
    source.function.SetIntx(true);
  }
};

TEST_F(PciStateTest, AnEqualFunctionGoesOnWhereItStopped) {
  Program();
  ASSERT_TRUE(target.Load(source.Saved()).has_value());
  EXPECT_EQ(target.board.io.Read(0xc110, 1), 0x10U);
  EXPECT_TRUE(target.function.dma().enabled());
  EXPECT_TRUE(target.function.msix_enabled());
  EXPECT_TRUE(target.board.lines[2].level());
  EXPECT_EQ(target.board.memory.Read(0xfeb00800, 4), 2U);
  target.function.NotifyMsix(0);
  EXPECT_EQ(target.board.msi.vector(0).sent, (std::vector<MsiMessage>{{0xfee00000, 0x33}}));
}

TEST_F(PciStateTest, SaveLoadSaveIsEqual) {
  Program();
  ASSERT_TRUE(target.Load(source.Saved()).has_value());
  EXPECT_TRUE(Equal(source.Saved(), target.Saved()));
}

TEST_F(PciStateTest, AnotherDeviceIsRefusedAndNothingChanges) {
  Program();
  PciFunctionState state = source.Saved();
  state.config.at(2) = std::byte{0x42};
  const Result<> loaded = target.Load(state);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().message,
            "disk0: configuration byte 0x002 is 0x42, here 0x01: the device is not the one that was saved");
  EXPECT_FALSE(target.function.dma().enabled());
  EXPECT_EQ(target.board.memory.view()->ranges().size(), 0U);
}

TEST_F(PciStateTest, WrongSizesAreRefused) {
  PciFunctionState fewer = source.Saved();
  fewer.msix.pop_back();
  EXPECT_FALSE(target.Load(fewer).has_value());
  PciFunctionState longer = source.Saved();
  longer.config.resize(4096);
  EXPECT_FALSE(target.Load(longer).has_value());
}

TEST_F(PciStateTest, AnImpossibleMessageIsRefused) {
  PciFunctionState state = source.Saved();
  state.msix.at(0).address = 0xfee00001;
  EXPECT_FALSE(target.Load(state).has_value());
}

TEST_F(PciStateTest, AnInterruptWithoutAPinIsRefused) {
  PciIdentity identity = TestIdentity();
  identity.interrupt_pin = 0;
  PciFunction pinless("pinless", identity, false);
  PciFunctionState state;
  state.config.resize(256);
  state.intx = true;
  StateDocument document;
  StateWriter(document, kId).Child("pci").Put(state);
  const Result<> loaded = pinless.Load(StateReader(document, kId));
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().message, "pinless: an interrupt is requested, but it has no interrupt pin");
}

TEST_F(PciStateTest, AMissingSectionIsAnError) {
  StateDocument document;
  EXPECT_FALSE(target.function.Load(StateReader(document, kId)).has_value());
}

}  // namespace
}  // namespace nandu
