#include "devices/legacy/ahci_port.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "base/time.h"
#include "devices/legacy/ahci_registers.h"
#include "devices/storage/ata_wire.h"
#include "devices/storage/bytes.h"

namespace nandu {
namespace {

constexpr int64_t kStuckAfterNs = 1'000'000'000;
constexpr uint8_t kSoftReset = 0x04;  // SRST in the control byte

bool IsQueued(uint8_t command) {
  return ata::Op{command} == ata::Op::kReadFpdma || ata::Op{command} == ata::Op::kWriteFpdma;
}

}  // namespace

AhciPort::AhciPort(EventLoop& loop, AhciHba& hba, unsigned index, DmaSpace& dma,
                   std::shared_ptr<AtaDrive> drive)
    : loop_(loop), hba_(hba), index_(index), dma_(dma), drive_(std::move(drive)) {
  for (unsigned number = 0; number < slots_.size(); ++number) {
    slots_[number].port = this;
    slots_[number].number = number;
    slots_[number].ata.owner = &slots_[number];
    slots_[number].ata.done = OnDone;
  }
}

AhciPort::~AhciPort() { NANDU_CHECK(running_ == 0, "a port is quiesced before it is destroyed"); }

void AhciPort::Kick() {
  if (!kicked_.exchange(true, std::memory_order_acq_rel)) {
    loop_.Post([self = shared_from_this()] {
      self->kicked_.store(false, std::memory_order_release);
      self->Serve();
    });
  }
}

void AhciPort::Serve() {
  if (paused_ || held_) {
    StartWaiting();
    return;
  }
  AhciHba::Work work = hba_.Take(index_);
  if (work.reset) {
    ResetDrive();
    hba_.ResetDone(index_);
    work = hba_.Take(index_);
  }
  for (uint32_t left = work.slots; left != 0; left &= left - 1) {
    Slot& slot = slots_[static_cast<unsigned>(std::countr_zero(left))];
    slot.generation = work.generation;
    slot.list_base = work.list_base;
  }
  waiting_ |= work.slots;
  StartWaiting();
}

void AhciPort::ResetDrive() {
  soft_reset_ = false;
  drive_->Reset();
}

void AhciPort::StartWaiting() {
  if (starting_) {
    return;  // a command ended within its start
  }
  starting_ = true;
  while (waiting_ != 0 && !held_) {
    const auto ahead = static_cast<unsigned>(std::countr_zero(std::rotr(waiting_, static_cast<int>(next_))));
    const unsigned number = (next_ + ahead) % 32;
    if (!Start(slots_[number])) {
      break;
    }
    next_ = (number + 1) % 32;
  }
  starting_ = false;
  if (held_) {  // what did not begin stays issued
    for (; waiting_ != 0; waiting_ &= waiting_ - 1) {
      Answer(slots_[static_cast<unsigned>(std::countr_zero(waiting_))], AhciHba::Answer::Kind::kParked);
    }
  }
  if (running_ == 0 && waiting_ == 0 && !drained_.empty()) {
    for (const UniqueFunction<void()>& each : std::exchange(drained_, {})) {
      each();
    }
  }
}

bool AhciPort::Start(Slot& slot) {
  if (alone_) {
    return false;
  }
  const uint32_t bit = 1u << slot.number;
  slot.memory = dma_.Current();
  slot.pieces.clear();
  slot.segments.clear();
  std::array<uint8_t, ahci::kHeaderBytes> header{};
  std::array<uint8_t, 0x50> table{};
  const auto fault = [&] {
    waiting_ &= ~bit;
    counters_.bus_faults.Add();
    Answer(slot, AhciHba::Answer::Kind::kBusFault);
    return true;
  };
  // 4.2.2: what may be changed by the guest at any time is copied once.
  if (!slot.memory->Read(Gpa{slot.list_base + ahci::kHeaderBytes * slot.number}, header.data(),
                         header.size())) {
    return fault();
  }
  const uint32_t flags = Le32(header.data());
  const uint64_t table_at = Le64(&header[8]) & ~uint64_t{0x7f};
  if (!slot.memory->Read(Gpa{table_at}, table.data(), table.size())) {
    return fault();
  }
  const bool command = table[0] == ahci::kFisHostToDevice && (table[1] & 0x80) != 0;
  const bool queued = command && IsQueued(table[2]);
  if (!queued && running_ != 0) {
    return false;  // it waits for the queue to empty
  }
  waiting_ &= ~bit;
  // A stop, a reset or a command that failed may have overtaken it.
  if (!hba_.Begin(index_, slot.number, slot.generation, command, queued)) {
    Answer(slot, AhciHba::Answer::Kind::kParked);
    return true;
  }
  if (table[0] != ahci::kFisHostToDevice) {
    counters_.bad_fises.Add();
    Answer(slot, AhciHba::Answer::Kind::kBusFault);
    return true;
  }
  if (!command) {
    Control(slot, table[15]);
    return true;
  }
  if (!ReadRegions(slot, table_at, flags >> 16)) {
    return fault();
  }
  counters_.commands.Add();
  AtaRegisters& in = slot.ata.in;
  in.command = table[2];
  in.device = table[7];
  in.feature = static_cast<uint16_t>(table[3] | table[11] << 8);
  in.count = static_cast<uint16_t>(table[12] | table[13] << 8);
  in.lba = (Le32(&table[4]) & 0xffffff) | uint64_t{Le32(&table[8]) & 0xffffff} << 24;
  std::copy_n(&table[ahci::kTablePacket], slot.ata.cdb.size(), slot.ata.cdb.begin());
  slot.ata.data = slot.pieces;
  running_ |= bit;
  alone_ = !queued;
  drive_->Execute(&slot.ata);
  return true;
}

// 4.2.3.3.
bool AhciPort::ReadRegions(Slot& slot, uint64_t table, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    std::array<uint8_t, ahci::kRegionBytes> region{};
    if (!slot.memory->Read(Gpa{table + ahci::kTableRegions + i * ahci::kRegionBytes}, region.data(),
                           region.size())) {
      return false;
    }
    const uint64_t address = Le64(region.data());
    const uint64_t bytes = (Le32(&region[12]) & 0x3fffff) + 1;
    // Read-only memory fails here for what only is read from it, too: no guest keeps its disk buffers there.
    if (!slot.memory->ToIovecs(Gpa{address}, bytes, Access::kWrite, &slot.pieces)) {
      return false;
    }
    slot.segments.push_back({address, bytes});
  }
  return true;
}

// 10.4.1, and ATA8-ACS's software reset.
void AhciPort::Control(Slot& slot, uint8_t control) {
  if ((control & kSoftReset) != 0) {
    soft_reset_ = true;
    Answer(slot, AhciHba::Answer::Kind::kSoftReset);
    return;
  }
  const bool ends = std::exchange(soft_reset_, false);
  if (ends) {
    drive_->Reset();
  }
  Answer(slot, ends ? AhciHba::Answer::Kind::kSignature : AhciHba::Answer::Kind::kSoftReset);
}

void AhciPort::Answer(Slot& slot, AhciHba::Answer::Kind kind) {
  AhciHba::Answer answer;
  answer.kind = kind;
  answer.slot = slot.number;
  answer.generation = slot.generation;
  answer.protocol = slot.ata.protocol;
  answer.out = slot.ata.out;
  answer.status = slot.ata.status;
  answer.error = slot.ata.error;
  answer.moved = slot.ata.moved;
  slot.memory.reset();
  hba_.Finish(index_, answer);
}

void AhciPort::OnDone(AtaCommand* command) {
  Slot& slot = *static_cast<Slot*>(command->owner);
  slot.port->Leave(slot);
}

void AhciPort::Leave(Slot& slot) {
  const AtaCommand& command = slot.ata;
  if (command.to_memory) {
    // Of what failed a part may have arrived.
    uint64_t left = command.status == ata::kStatusGood && !command.parked ? command.moved : UINT64_MAX;
    for (const Slot::Segment& segment : slot.segments) {
      const uint64_t here = std::min(left, segment.bytes);
      if (here == 0) {
        break;
      }
      slot.memory->MarkDirty(Gpa{segment.address}, here);
      left -= here;
    }
  }
  running_ &= ~(1u << slot.number);
  alone_ = false;
  if (command.parked) {
    counters_.parked.Add();
    held_ = true;
  }
  Answer(slot, command.parked ? AhciHba::Answer::Kind::kParked : AhciHba::Answer::Kind::kDone);
  if (!starting_) {
    Serve();
  }
}

void AhciPort::Drain(Then then, UniqueFunction<void()> done) {
  paused_ = paused_ || then == Then::kPause;
  drained_.push_back(std::move(done));
  StartWaiting();
}

void AhciPort::Resume() {
  paused_ = held_ = false;
  Serve();
}

std::vector<std::string> AhciPort::Stuck() const {
  std::vector<std::string> stuck;
  drive_->disk().Stuck(MonotonicNs(), kStuckAfterNs, &stuck);
  return stuck;
}

}  // namespace nandu
