#include "devices/legacy/i8259.h"

#include "devices/legacy/byte_ports.h"
#include "state/state.h"

namespace nandu {

BOOST_DESCRIBE_STRUCT(I8259ChipState, (),
                      (lines, requests, in_service, masked, level, vector_base, highest, init, single,
                       wants_icw4, read_in_service, poll, special_mask, fully_nested, auto_eoi,
                       rotate_on_auto_eoi))
BOOST_DESCRIBE_STRUCT(I8259State, (), (master, slave))

namespace {

constexpr unsigned kCascade = 2;
constexpr unsigned kPerChip = I8259Chip::kLines;
constexpr std::array<uint16_t, 2> kPorts = {0x20, 0xa0};
constexpr uint16_t kElcr = 0x4d0;
// ICH9, 13.4.10 and 13.4.11: timer, keyboard, cascade, clock and coprocessor are always edges.
constexpr uint8_t kMasterLevels = 0xf8;
constexpr uint8_t kSlaveLevels = 0xde;

}  // namespace

Result<std::unique_ptr<I8259>> I8259::Create(DeviceHost& host, IrqLine& intr) {
  std::unique_ptr<I8259> device(new I8259(intr));
  TRY(device->MapAll(host));
  return device;
}

I8259::I8259(IrqLine& intr)
    : LegacyDevice("i8259", "isa-i8259", "/machine/isa/i8259"),
      intr_(intr),
      master_(I8259Chip::Role::kMaster, kMasterLevels),
      slave_(I8259Chip::Role::kSlave, kSlaveLevels) {}

I8259::~I8259() = default;

Result<> I8259::MapAll(DeviceHost& host) {
  const AddressSpace::Transaction transaction(host.io_space());
  for (unsigned chip = 0; chip < kPorts.size(); chip++) {
    auto ports = std::make_shared<BytePorts>(
        "8259", [this, chip](unsigned port) { return Read(chip, port); },
        [this, chip](unsigned port, uint8_t value) { Write(chip, port, value); });
    mappings_[chip] = TRY(host.io_space().Map(kPorts[chip], Region::Io(std::move(ports), 2)));
  }
  auto elcr = std::make_shared<BytePorts>(
      "elcr",
      [this](unsigned chip) {
        const MutexLock lock(mutex_);
        return ChipLocked(chip).ReadElcr();
      },
      [this](unsigned chip, uint8_t value) {
        const MutexLock lock(mutex_);
        ChipLocked(chip).WriteElcr(value);
        UpdateLocked();
      });
  mappings_[2] = TRY(host.io_space().Map(kElcr, Region::Io(std::move(elcr), 2)));
  return {};
}

I8259Chip& I8259::ChipLocked(unsigned chip) { return chip == 0 ? master_ : slave_; }

void I8259::UpdateLocked() {
  master_.SetLine(kCascade, slave_.Pending().has_value());
  intr_.Set(master_.Pending().has_value());
}

void I8259::SetLine(unsigned line, bool high) {
  const MutexLock lock(mutex_);
  if (line >= kLines || line == kCascade) {
    return;
  }
  ChipLocked(line / kPerChip).SetLine(line % kPerChip, high);
  UpdateLocked();
}

std::optional<uint8_t> I8259::Acknowledge() {
  const MutexLock lock(mutex_);
  const std::optional<unsigned> line = master_.Pending();
  if (!line) {
    return std::nullopt;
  }
  counters_.acknowledged.Add();
  uint8_t vector = master_.VectorOf(*line);
  master_.Acknowledge(*line);
  if (*line == kCascade) {
    const std::optional<unsigned> behind = slave_.Pending();
    if (behind) {
      slave_.Acknowledge(*behind);
    } else {
      counters_.spurious.Add();
    }
    vector = slave_.VectorOf(behind.value_or(I8259Chip::kSpurious));
    // The slave's output falls during the cycle; a further request of its raises it again.
    master_.SetLine(kCascade, false);
  }
  UpdateLocked();
  return vector;
}

bool I8259::InService(uint8_t vector) const {
  const MutexLock lock(mutex_);
  for (const I8259Chip* chip : {&master_, &slave_}) {
    const unsigned line = vector - unsigned{chip->state().vector_base};
    if (line < kPerChip && (chip->state().in_service >> line & 1) != 0) {
      return true;
    }
  }
  return false;
}

uint8_t I8259::Read(unsigned chip, unsigned port) {
  const MutexLock lock(mutex_);
  const uint8_t value = ChipLocked(chip).Read(port);
  UpdateLocked();  // a poll acknowledges
  return value;
}

void I8259::Write(unsigned chip, unsigned port, uint8_t value) {
  const MutexLock lock(mutex_);
  ChipLocked(chip).Write(port, value);
  UpdateLocked();
}

void I8259::Reset() {
  const MutexLock lock(mutex_);
  slave_.Reset();
  master_.Reset();
  UpdateLocked();
}

void I8259::Resume() {
  const MutexLock lock(mutex_);
  UpdateLocked();
}

void I8259::Save(const StateWriter& writer) const {
  const MutexLock lock(mutex_);
  writer.Put(I8259State{master_.state(), slave_.state()});
}

Result<> I8259::Load(const StateReader& reader) {
  const I8259State state = TRY(reader.Get<I8259State>());
  const MutexLock lock(mutex_);
  TRY(Prefix(master_.Check(state.master), "master"));
  TRY(Prefix(slave_.Check(state.slave), "slave"));
  master_.Load(state.master);
  slave_.Load(state.slave);
  return {};
}

}  // namespace nandu
