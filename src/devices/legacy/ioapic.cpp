#include "devices/legacy/ioapic.h"

#include "state/state.h"

namespace nandu {

BOOST_DESCRIBE_STRUCT(IoApicRegisters, (), (select, id, lines, requests, redirection))

namespace {

constexpr uint64_t kBase = 0xfec00000;
constexpr uint64_t kBytes = 0x1000;
constexpr uint32_t kVersion = 0x20;
// Of the address (82093AA, 3.1; ICH9, 13.5.1).
constexpr uint64_t kRegisterSelect = 0x00, kWindow = 0x10, kEoi = 0x40;
// Behind the window (3.2).
constexpr uint8_t kId = 0, kVersionRegister = 1, kArbitration = 2, kFirstEntry = 0x10;
constexpr unsigned kIdShift = 24;
constexpr uint8_t kIdMask = 0xf;
// Redirection table entries (3.2.4).
constexpr uint64_t kVectorMask = 0xff;
constexpr unsigned kDeliveryShift = 8;
constexpr uint64_t kDeliveryMask = 7;
constexpr uint64_t kLogical = 1 << 11, kSendPending = 1 << 12, kRemoteIrr = 1 << 14, kLevel = 1 << 15;
constexpr uint64_t kMasked = 1 << 16;
constexpr uint64_t kReadOnly = kSendPending | kRemoteIrr;
constexpr unsigned kDestinationShift = 48;
// The message (Intel SDM volume 3, 11.11): an entry's upper 16 bits are the address's bits 19:4, so that
// KVM's extended destination in bits 55:49 arrives in the address's bits 11:5.
constexpr uint64_t kMessageBase = 0xfee00000;
constexpr unsigned kMessageDestinationShift = 4;
constexpr uint64_t kMessageLogical = 1 << 2;
constexpr uint32_t kPinMask = (1U << IoApic::kPins) - 1;
// A guest that ends a level-triggered interrupt without serving its device would do nothing else, for ever.
// On hardware the next one takes its time.
constexpr unsigned kStormLength = 10'000;
constexpr int64_t kStormPauseNs = 10'000'000;

bool IsLevel(uint64_t entry) { return (entry & kLevel) != 0; }
bool IsMasked(uint64_t entry) { return (entry & kMasked) != 0; }
bool IsAwaited(uint64_t entry) { return (entry & kRemoteIrr) != 0; }

bool Deliverable(uint64_t entry) {
  switch (entry >> kDeliveryShift & kDeliveryMask) {
    case 0:                 // fixed
    case 1:                 // lowest priority
    case 2:                 // SMI
    case 4:                 // NMI
    case 5: return true;    // INIT
    default: return false;  // ExtINT: the 8259s reach the processor without us, as where KVM has both
  }
}

MsiMessage MessageOf(uint64_t entry) {
  constexpr uint64_t kDataMask = kVectorMask | kDeliveryMask << kDeliveryShift | kLevel;
  MsiMessage message;
  message.address = kMessageBase | entry >> kDestinationShift << kMessageDestinationShift |
                    ((entry & kLogical) != 0 ? kMessageLogical : 0);
  message.data = static_cast<uint32_t>(entry & kDataMask);
  return message;
}

}  // namespace

Result<> Validate(const IoApicRegisters& state) {
  if ((state.lines & ~kPinMask) != 0 || (state.requests & ~kPinMask) != 0 || state.id > kIdMask) {
    return Fail(Errc::kCorrupt, "lines {:#x}, requests {:#x} and id {} are none of an IOAPIC of {} pins",
                state.lines, state.requests, state.id, IoApic::kPins);
  }
  for (const uint64_t entry : state.redirection) {
    if ((entry & kSendPending) != 0 || (IsAwaited(entry) && !IsLevel(entry))) {
      return Fail(Errc::kCorrupt, "redirection entry {:#x} has bits that none has at rest", entry);
    }
  }
  return {};
}

Result<std::unique_ptr<IoApic>> IoApic::Create(DeviceHost& host, IoApicOutput& output) {
  std::unique_ptr<IoApic> device(new IoApic(host, output));
  device->mapping_ =
      TRY(host.memory_space().Map(kBase, Region::Io(std::make_shared<Registers>(*device), kBytes), 1));
  return device;
}

IoApic::IoApic(DeviceHost& host, IoApicOutput& output)
    : LegacyDevice("ioapic", "ioapic", "/machine/ioapic"),
      clock_(host.clock()),
      output_(output),
      storm_timer_(host.clock().CreateTimer([this] { OnStormOver(); })) {
  const MutexLock lock(mutex_);
  state_.redirection.fill(kMasked);
}

IoApic::~IoApic() = default;

void IoApic::SetPin(unsigned pin, bool high) {
  const MutexLock lock(mutex_);
  if (pin >= kPins) {
    return;
  }
  const uint32_t bit = 1U << pin;
  const bool rises = high && (state_.lines & bit) == 0;
  state_.lines = high ? state_.lines | bit : state_.lines & ~bit;
  const uint64_t entry = state_.redirection[pin];
  if (IsLevel(entry)) {
    state_.requests = high ? state_.requests | bit : state_.requests & ~bit;
  } else if (rises && IsMasked(entry)) {
    counters_.ignored_edges.Add();
  } else if (rises) {
    state_.requests |= bit;
  }
  ServePinLocked(pin);
}

// Sends what the pin has to send, if it may.
void IoApic::ServePinLocked(unsigned pin) {
  const uint32_t bit = 1U << pin;
  uint64_t& entry = state_.redirection[pin];
  if ((state_.requests & bit) == 0 || IsMasked(entry) || IsAwaited(entry)) {
    return;
  }
  if (IsLevel(entry)) {
    entry |= kRemoteIrr;  // the request stays as long as the line is high
  } else {
    state_.requests &= ~bit;
  }
  if (!Deliverable(entry)) {
    entry &= ~kRemoteIrr;  // nobody will end it
    counters_.undeliverable.Add();
    return;
  }
  output_.Send(MessageOf(entry));
}

// The output knows a pin while it may send, and until the last interrupt it sent has ended.
void IoApic::RouteLocked(unsigned pin) {
  const uint64_t entry = state_.redirection[pin];
  std::optional<MsiMessage> message;
  if (Deliverable(entry) && (!IsMasked(entry) || IsAwaited(entry))) {
    message = MessageOf(entry);
  }
  if (message != routes_[pin]) {
    routes_[pin] = message;
    output_.SetRoute(pin, message);
  }
}

void IoApic::WriteEntryLocked(unsigned pin, uint64_t entry) {
  const uint32_t bit = 1U << pin;
  uint64_t& now = state_.redirection[pin];
  const bool was_level = IsLevel(now);
  entry = (entry & ~kReadOnly) | (now & kReadOnly);
  if (!IsLevel(entry)) {
    entry &= ~kRemoteIrr;  // how drivers of IOAPICs without an EOI register end an interrupt by hand
  }
  now = entry;
  resent_[pin] = 0;
  if (IsLevel(entry)) {
    state_.requests = (state_.requests & ~bit) | (state_.lines & bit);
  } else if (was_level) {
    state_.requests &= ~bit;  // a level is no edge
  }
  RouteLocked(pin);
  ServePinLocked(pin);
}

void IoApic::EndPinLocked(unsigned pin) {
  uint64_t& entry = state_.redirection[pin];
  entry &= ~kRemoteIrr;
  RouteLocked(pin);
  if ((state_.requests >> pin & 1) == 0 || IsMasked(entry)) {
    resent_[pin] = 0;
    return;
  }
  if (++resent_[pin] >= kStormLength) {
    counters_.storms.Add();
    storm_timer_->Arm(clock_.VmNs() + kStormPauseNs);
    return;
  }
  ServePinLocked(pin);
}

void IoApic::EndOfInterrupt(uint8_t vector) {
  const MutexLock lock(mutex_);
  for (unsigned pin = 0; pin < kPins; pin++) {
    const uint64_t entry = state_.redirection[pin];
    if (IsAwaited(entry) && (entry & kVectorMask) == vector) {
      EndPinLocked(pin);
    }
  }
}

void IoApic::OnStormOver() {
  const MutexLock lock(mutex_);
  for (unsigned pin = 0; pin < kPins; pin++) {
    if (resent_[pin] >= kStormLength) {
      resent_[pin] = 0;
      ServePinLocked(pin);
    }
  }
}

// A processor that was stopped between the end of an interrupt and its report, and saved, reports it no more:
// an interrupt that no local APIC knows has ended.
void IoApic::EndUnseenLocked() {
  for (uint64_t& entry : state_.redirection) {
    if (IsAwaited(entry) && !output_.IsHeld(static_cast<uint8_t>(entry & kVectorMask))) {
      entry &= ~kRemoteIrr;
      counters_.unseen_ends.Add();
    }
  }
}

uint32_t IoApic::ReadWindowLocked() {
  switch (state_.select) {
    case kId:
    case kArbitration: return uint32_t{state_.id} << kIdShift;
    case kVersionRegister: return kVersion | (kPins - 1) << 16;
    default: break;
  }
  const unsigned index = state_.select - unsigned{kFirstEntry};
  if (state_.select < kFirstEntry || index >= 2 * kPins) {
    counters_.ignored_accesses.Add();
    return 0;
  }
  const uint64_t entry = state_.redirection[index / 2];
  return static_cast<uint32_t>(index % 2 == 0 ? entry : entry >> 32);
}

void IoApic::WriteWindowLocked(uint32_t value) {
  if (state_.select == kId) {
    state_.id = static_cast<uint8_t>(value >> kIdShift & kIdMask);
    return;
  }
  const unsigned index = state_.select - unsigned{kFirstEntry};
  if (state_.select < kFirstEntry || index >= 2 * kPins) {
    counters_.ignored_accesses.Add();
    return;
  }
  const uint64_t entry = state_.redirection[index / 2];
  constexpr uint64_t kLow = 0xffffffff;
  WriteEntryLocked(index / 2,
                   index % 2 == 0 ? (entry & ~kLow) | value : (entry & kLow) | uint64_t{value} << 32);
}

// 3.1: the window is accessed as 32 bits. The select register takes any width, of which eight bits count.
uint64_t IoApic::Read(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  if (offset == kRegisterSelect) {
    return state_.select;
  }
  if (offset == kWindow && size == 4) {
    return ReadWindowLocked();
  }
  counters_.ignored_accesses.Add();
  return 0;
}

void IoApic::Write(uint64_t offset, unsigned size, uint64_t value) {
  if (offset == kEoi && size == 4) {
    EndOfInterrupt(static_cast<uint8_t>(value));
    return;
  }
  const MutexLock lock(mutex_);
  if (offset == kRegisterSelect) {
    state_.select = static_cast<uint8_t>(value);
  } else if (offset == kWindow && size == 4) {
    WriteWindowLocked(static_cast<uint32_t>(value));
  } else {
    counters_.ignored_accesses.Add();
  }
}

void IoApic::Reset() {
  const MutexLock lock(mutex_);
  const uint32_t lines = state_.lines;
  state_ = IoApicRegisters{};
  state_.lines = lines;
  state_.redirection.fill(kMasked);
  resent_ = {};
  storm_timer_->Cancel();
  for (unsigned pin = 0; pin < kPins; pin++) {
    RouteLocked(pin);
  }
}

void IoApic::Resume() {
  const MutexLock lock(mutex_);
  EndUnseenLocked();
  for (unsigned pin = 0; pin < kPins; pin++) {
    RouteLocked(pin);
    ServePinLocked(pin);
  }
}

void IoApic::Save(const StateWriter& writer) const {
  const MutexLock lock(mutex_);
  writer.Put(state_);
}

Result<> IoApic::Load(const StateReader& reader) {
  const IoApicRegisters state = TRY(reader.Get<IoApicRegisters>());
  const MutexLock lock(mutex_);
  state_ = state;
  resent_ = {};
  for (unsigned pin = 0; pin < kPins; pin++) {
    RouteLocked(pin);
  }
  return {};
}

}  // namespace nandu
