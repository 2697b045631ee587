#include "devices/legacy/i8254.h"

#include <algorithm>

#include "devices/legacy/byte_ports.h"
#include "state/state.h"

namespace nandu {

BOOST_DESCRIBE_STRUCT(I8254ChannelState, (),
                      (mode, access, bcd, gate, counting, count, loaded_ns, held_ns, triggered, low_byte,
                       read_high, latched_count, latched_high, latched_status))
BOOST_DESCRIBE_STRUCT(I8254State, (), (channels, speaker_data, disconnected, edge_ns))

namespace {

constexpr uint16_t kPort = 0x40;
constexpr uint16_t kSpeakerPort = 0x61;
constexpr unsigned kControl = 3;
constexpr unsigned kSpeakerChannel = 2;
constexpr uint8_t kReadBack = 3;
constexpr uint8_t kNoCount = 1 << 5, kNoStatus = 1 << 4;  // read-back: active low
// Port 0x61.
constexpr uint8_t kGate = 1 << 0, kData = 1 << 1, kRefresh = 1 << 4, kOutput = 1 << 5;
constexpr unsigned kRefreshShift = 14;  // toggles about every 15 us
// A guest may ask for a period of two ticks. The timer fires on the control loop, which serves everybody else
// too.
constexpr int64_t kShortestNs = 20'000;

bool GateAfterReset(unsigned channel) { return channel != kSpeakerChannel; }

}  // namespace

Result<> Validate(const I8254State& state) {
  constexpr int64_t kFarthestNs = int64_t{1} << 62;
  if (state.edge_ns && (*state.edge_ns < 1 || *state.edge_ns > kFarthestNs)) {
    return Fail(Errc::kCorrupt, "edge-ns lies outside any machine's life");
  }
  return {};
}

Result<std::unique_ptr<I8254>> I8254::Create(DeviceHost& host, std::unique_ptr<IrqLine> irq) {
  std::unique_ptr<I8254> device(new I8254(host, std::move(irq)));
  TRY(device->MapAll(host));
  return device;
}

I8254::I8254(DeviceHost& host, std::unique_ptr<IrqLine> irq)
    : LegacyDevice("i8254", "isa-pit", "/machine/isa/i8254"),
      clock_(host.clock()),
      irq_(std::move(irq)),
      timer_(host.clock().CreateTimer([this] { OnTimer(); })) {
  const MutexLock lock(mutex_);
  channels_[kSpeakerChannel].Reset(false);
}

I8254::~I8254() = default;

Result<> I8254::MapAll(DeviceHost& host) {
  const AddressSpace::Transaction transaction(host.io_space());
  auto timer = std::make_shared<BytePorts>(
      "8254", [this](unsigned port) { return Read(port); },
      [this](unsigned port, uint8_t value) { Write(port, value); });
  ports_ = TRY(host.io_space().Map(kPort, Region::Io(std::move(timer), 4)));
  auto speaker = std::make_shared<BytePorts>(
      "speaker", [this](unsigned) { return ReadSpeaker(); },
      [this](unsigned, uint8_t value) { WriteSpeaker(value); });
  speaker_ = TRY(host.io_space().Map(kSpeakerPort, Region::Io(std::move(speaker), 1)));
  return {};
}

uint8_t I8254::Read(unsigned port) {
  const MutexLock lock(mutex_);
  if (port == kControl) {
    counters_.ignored.Add();  // the control word cannot be read
    return 0;
  }
  return channels_[port].ReadByte(clock_.VmNs());
}

void I8254::Write(unsigned port, uint8_t value) {
  const MutexLock lock(mutex_);
  const int64_t now_ns = clock_.VmNs();
  bool restart = port == 0;
  if (port == kControl) {
    restart = ControlLocked(value, now_ns);
  } else {
    channels_[port].WriteByte(value, now_ns);
  }
  // Only then: an edge that is due but was not delivered yet must survive a read of the counters.
  if (restart) {
    RestartLocked(now_ns);
  }
}

bool I8254::ControlLocked(uint8_t value, int64_t now_ns) {
  const auto select = static_cast<uint8_t>(value >> 6);
  const auto access = static_cast<uint8_t>(value >> 4 & 3);
  if (select == kReadBack) {
    ReadBackLocked(value, now_ns);
    return false;
  }
  if (access == 0) {
    channels_[select].LatchCount(now_ns);
    return false;
  }
  const auto mode = static_cast<uint8_t>(value >> 1 & 7);
  channels_[select].Control(mode > 5 ? mode & 3 : mode, access, (value & 1) != 0);  // 6 and 7 are 2 and 3
  return select == 0;
}

void I8254::ReadBackLocked(uint8_t value, int64_t now_ns) {
  for (unsigned i = 0; i < channels_.size(); i++) {
    if ((value >> (i + 1) & 1) == 0) {
      continue;
    }
    if ((value & kNoCount) == 0) {
      channels_[i].LatchCount(now_ns);
    }
    if ((value & kNoStatus) == 0) {
      channels_[i].LatchStatus(now_ns);
    }
  }
}

uint8_t I8254::ReadSpeaker() {
  const MutexLock lock(mutex_);
  const int64_t now_ns = clock_.VmNs();
  const I8254Channel& channel = channels_[kSpeakerChannel];
  return static_cast<uint8_t>((channel.state().gate ? kGate : 0) | (speaker_data_ ? kData : 0) |
                              ((now_ns >> kRefreshShift & 1) != 0 ? kRefresh : 0) |
                              (channel.Output(now_ns) ? kOutput : 0));
}

void I8254::WriteSpeaker(uint8_t value) {
  const MutexLock lock(mutex_);
  speaker_data_ = (value & kData) != 0;
  channels_[kSpeakerChannel].SetGate((value & kGate) != 0, clock_.VmNs());
}

void I8254::RestartLocked(int64_t now_ns) {
  irq_->Set(!disconnected_ && channels_[0].Output(now_ns));
  edge_ns_ = disconnected_ ? std::nullopt : channels_[0].NextEdgeNs(now_ns);
  ArmLocked(0);
}

void I8254::ArmLocked(int64_t earliest_ns) {
  if (edge_ns_) {
    timer_->Arm(std::max(*edge_ns_, earliest_ns));
  } else {
    timer_->Cancel();
  }
}

// Whether the edge that is due is a square wave's falling one, and no rising one passed unseen since.
bool I8254::FallsLocked(int64_t now_ns, int64_t late_ns) const {
  const I8254Channel& channel = channels_[0];
  const int64_t half_ns = channel.PeriodNs() / 2;
  return channel.state().mode == 3 && !channel.Output(now_ns) && half_ns >= kShortestNs && late_ns < half_ns;
}

void I8254::OnTimer() {
  const MutexLock lock(mutex_);
  const int64_t now_ns = clock_.VmNs();
  if (!edge_ns_ || *edge_ns_ > now_ns) {
    return;  // it was programmed anew while this firing was on its way; its own follows
  }
  const I8254Channel& channel = channels_[0];
  const int64_t late_ns = now_ns - *edge_ns_;
  if (channel.periodic()) {
    counters_.merged_periods.Add(static_cast<uint64_t>(late_ns / std::max<int64_t>(channel.PeriodNs(), 1)));
  }
  irq_->Set(false);
  if (!FallsLocked(now_ns, late_ns)) {
    irq_->Set(true);  // an edge, also where the output has gone down again since
    irq_->Set(channel.Output(now_ns));
  }
  edge_ns_ = channel.NextEdgeNs(now_ns);
  ArmLocked(now_ns + kShortestNs);
}

void I8254::SetDisconnected(bool on) {
  const MutexLock lock(mutex_);
  if (disconnected_ != on) {
    disconnected_ = on;
    RestartLocked(clock_.VmNs());
  }
}

void I8254::Reset() {
  const MutexLock lock(mutex_);
  for (unsigned i = 0; i < channels_.size(); i++) {
    channels_[i].Reset(GateAfterReset(i));
  }
  speaker_data_ = false;
  disconnected_ = false;
  RestartLocked(clock_.VmNs());
}

void I8254::Resume() {
  const MutexLock lock(mutex_);
  // An edge that is due is the timer's to make.
  const int64_t now_ns = clock_.VmNs();
  const bool due = edge_ns_ && *edge_ns_ <= now_ns;
  irq_->Set(!disconnected_ && channels_[0].Output(due ? *edge_ns_ - 1 : now_ns));
  ArmLocked(0);
}

void I8254::Save(const StateWriter& writer) const {
  const MutexLock lock(mutex_);
  I8254State state;
  for (unsigned i = 0; i < channels_.size(); i++) {
    state.channels[i] = channels_[i].state();
  }
  state.speaker_data = speaker_data_;
  state.disconnected = disconnected_;
  state.edge_ns = edge_ns_;
  writer.Put(state);
}

Result<> I8254::Load(const StateReader& reader) {
  const I8254State state = TRY(reader.Get<I8254State>());
  const MutexLock lock(mutex_);
  for (unsigned i = 0; i < channels_.size(); i++) {
    channels_[i].Load(state.channels[i]);
  }
  speaker_data_ = state.speaker_data;
  disconnected_ = state.disconnected;
  edge_ns_ = state.edge_ns;
  return {};
}

}  // namespace nandu
