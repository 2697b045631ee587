// What needs no virtual machine: opening /dev/kvm where there is none, lines, and the controllers' state as
// data.
#include "kvm/kvm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

#include "kvm/irq_line.h"
#include "kvm/irqchip_state.h"

namespace nandu {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Kvm, MissingDeviceIsASentenceThatSaysWhatToDo) {
  const Result<std::unique_ptr<Kvm>> kvm = Kvm::Open("/nonexistent/kvm");
  ASSERT_FALSE(kvm);
  EXPECT_EQ(kvm.error().code, Errc::kNotFound);
  EXPECT_THAT(kvm.error().message, HasSubstr("load the kvm_intel or kvm_amd module"));
}

TEST(Kvm, AnotherDeviceIsToldApart) {
  const Result<std::unique_ptr<Kvm>> kvm = Kvm::Open("/dev/null");
  ASSERT_FALSE(kvm);
  EXPECT_EQ(kvm.error().message, "/dev/null is not KVM");
}

class RecordingLine final : public IrqLine {
 public:
  void Set(bool level) override { levels.push_back(level); }
  std::vector<bool> levels;
};

TEST(SharedIrqLine, IsHighWhileAnySourceIs) {
  RecordingLine line;
  SharedIrqLine shared(line);
  const std::unique_ptr<IrqLine> first = shared.AddSource();
  const std::unique_ptr<IrqLine> second = shared.AddSource();
  first->Set(true);
  second->Set(true);
  first->Set(false);
  second->Set(false);
  EXPECT_THAT(line.levels, ElementsAre(true, true, true, false));
}

TEST(SharedIrqLine, SettingALevelAgainIsFree) {
  RecordingLine line;
  SharedIrqLine shared(line);
  const std::unique_ptr<IrqLine> source = shared.AddSource();
  source->Set(true);
  source->Set(true);
  EXPECT_THAT(line.levels, ElementsAre(true));
}

TEST(SharedIrqLine, SourceThatGoesAwayIsLow) {
  RecordingLine line;
  SharedIrqLine shared(line);
  std::unique_ptr<IrqLine> source = shared.AddSource();
  source->Set(true);
  source.reset();
  EXPECT_THAT(line.levels, ElementsAre(true, false));
}

TEST(IrqchipState, ResetMasksEveryPin) {
  const IrqchipState state = ResetIrqchip(false);
  for (const uint64_t entry : state.ioapic.redirection) {
    EXPECT_EQ(entry, uint64_t{1} << 16);
  }
  EXPECT_FALSE(state.pit.has_value());
}

}  // namespace
}  // namespace nandu
