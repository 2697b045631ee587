#include "gdb/session.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "gdb/register_table.h"

namespace nandu {
namespace {

constexpr unsigned kSigInt = 2;
constexpr unsigned kSigTrap = 5;
constexpr unsigned kNoSuchThing = 22;  // EINVAL
constexpr unsigned kFault = 14;        // EFAULT
constexpr size_t kMostMemory = GdbReader::kMostBytes / 2;

// Cuts `prefix` off; false when it is not there.
bool TakePrefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) {
    return false;
  }
  text->remove_prefix(prefix.size());
  return true;
}

std::span<const std::byte> AsBytes(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

// ---- the connection ----

void GdbSession::Opened() {
  reader_ = GdbReader();
  early_.clear();
  connected_ = true;
  acknowledge_ = true;
  running_ = detached_ = clean_up_ = false;
  cpu_ = 0;
  view_ = MemoryView::kVirtual;
  stop_ = DebugStop();
  if (!machine_.stopped()) {
    arriving_ = true;
    machine_.Interrupt();
  }
}

void GdbSession::Closed() {
  connected_ = false;
  arriving_ = false;
  if (detached_) {
    return;
  }
  if (!machine_.stopped()) {
    clean_up_ = true;
    machine_.Interrupt();
  } else {
    machine_.RemoveAllBreakpoints();
  }
}

void GdbSession::OnStopped(const DebugStop& stop) {
  if (clean_up_) {
    clean_up_ = false;
    machine_.RemoveAllBreakpoints();
    Run({});
    return;
  }
  stop_ = stop;
  if (std::exchange(arriving_, false)) {
    const std::vector<std::byte> early = std::exchange(early_, {});
    Receive(early);
    return;
  }
  if (connected_ && running_) {
    running_ = false;
    cpu_ = stop.cpu;
    SendStopReply();
  }
}

void GdbSession::Receive(std::span<const std::byte> bytes) {
  if (arriving_) {
    const size_t room = GdbReader::kMostBytes - std::min(early_.size(), GdbReader::kMostBytes);
    early_.insert(early_.end(), bytes.begin(),
                  bytes.begin() + static_cast<ptrdiff_t>(std::min(room, bytes.size())));
    return;
  }
  for (const GdbReader::Piece& piece : reader_.Feed(bytes)) {
    switch (piece.kind) {
      case GdbReader::Kind::kAck: break;
      case GdbReader::Kind::kNak: send_(last_packet_); break;
      case GdbReader::Kind::kInterrupt: machine_.Interrupt(); break;
      case GdbReader::Kind::kBadPacket:
        if (acknowledge_) {
          send_("-");
        }
        break;
      case GdbReader::Kind::kPacket:
        if (acknowledge_) {
          send_("+");
        }
        // While the guest runs gdb may only interrupt it.
        if (!running_ && machine_.stopped()) {
          Handle(piece.data);
        } else {
          ReplyError(kNoSuchThing);
        }
        break;
    }
  }
}

void GdbSession::Reply(std::string_view data) {
  last_packet_ = GdbPacket(data);
  send_(last_packet_);
}

void GdbSession::ReplyError(unsigned number) { Reply(Format("E{:02x}", number)); }

void GdbSession::ReplyTo(const Result<>& result) {
  if (result) {
    ReplyOk();
  } else {
    Log(LogLevel::kDebug, "gdb: {}", result.error().message);
    ReplyError(kNoSuchThing);
  }
}

// ---- packets ----

void GdbSession::Handle(std::string_view packet) {
  if (packet.empty()) {
    Reply("");
    return;
  }
  const char kind = packet[0];
  const std::string_view rest = packet.substr(1);
  switch (kind) {
    case '?': SendStopReply(); return;
    case 'g': ReadAllRegisters(); return;
    case 'G': WriteAllRegisters(rest); return;
    case 'p': ReadRegister(rest); return;
    case 'P': WriteRegister(rest); return;
    case 'm': ReadMemory(rest); return;
    case 'M': WriteMemory(rest, false); return;
    case 'X': WriteMemory(rest, true); return;
    case 'Z':
    case 'z': ChangeBreakpoint(kind, rest); return;
    case 'c': Run(std::vector<CpuAction>(machine_.cpu_count(), CpuAction::kContinue)); return;
    case 's': {
      std::vector<CpuAction> actions(machine_.cpu_count(), CpuAction::kContinue);
      actions[cpu_] = CpuAction::kStep;
      Run(std::move(actions));
      return;
    }
    case 'v': HandleV(rest); return;
    case 'q': HandleQuery(rest); return;
    case 'Q': HandleSet(rest); return;
    case 'H': SelectThread(rest); return;
    case 'T': {
      std::string_view text = rest;
      int thread = 0;
      if (TakeThread(&text, &thread) && thread > 0) {
        ReplyOk();
      } else {
        ReplyError(kNoSuchThing);
      }
      return;
    }
    case 'D':
      machine_.RemoveAllBreakpoints();
      ReplyOk();
      detached_ = true;
      Run({});
      running_ = false;
      return;
    case 'k': machine_.Kill(); return;
    default: Reply(""); return;  // not served
  }
}

void GdbSession::HandleV(std::string_view packet) {
  if (packet == "Cont?") {
    Reply("vCont;c;C;s;S");
  } else if (TakePrefix(&packet, "Cont;")) {
    Continue(packet);
  } else if (TakePrefix(&packet, "Kill")) {
    ReplyOk();
    machine_.Kill();
  } else {
    Reply("");
  }
}

void GdbSession::HandleQuery(std::string_view query) {
  std::string_view rest = query;
  if (TakePrefix(&rest, "Supported")) {
    Reply(Format("PacketSize={:x};qXfer:features:read+;vContSupported+;QStartNoAckMode+;swbreak+;hwbreak+",
                 GdbReader::kMostBytes));
  } else if (TakePrefix(&rest, "Xfer:features:read:")) {
    SendFeatures(rest);
  } else if (query == "C") {
    Reply(Format("QC{:x}", cpu_ + 1));
  } else if (query == "fThreadInfo") {
    next_thread_ = 0;
    SendThreads();
  } else if (query == "sThreadInfo") {
    SendThreads();
  } else if (TakePrefix(&rest, "ThreadExtraInfo,")) {
    int thread = 0;
    if (TakeThread(&rest, &thread) && thread > 0) {
      Reply(ToHex(AsBytes(Format("vCPU {}", thread - 1))));
    } else {
      ReplyError(kNoSuchThing);
    }
  } else if (query.starts_with("Attached")) {
    Reply("1");
  } else if (query == "qemu.PhyMemMode") {
    Reply(view_ == MemoryView::kPhysical ? "1" : "0");
  } else {
    Reply("");
  }
}

void GdbSession::HandleSet(std::string_view query) {
  if (query == "StartNoAckMode") {
    ReplyOk();
    acknowledge_ = false;
  } else if (TakePrefix(&query, "qemu.PhyMemMode:")) {
    view_ = query == "1" ? MemoryView::kPhysical : MemoryView::kVirtual;
    ReplyOk();
  } else {
    Reply("");
  }
}

// ---- threads ----

// "0" any, "-1" all, else a number from 1; "p1.2" with a process in front.
bool GdbSession::TakeThread(std::string_view* text, int* thread) const {
  if (text->starts_with('p')) {
    const size_t dot = text->find('.');
    if (dot == std::string_view::npos) {
      return false;
    }
    text->remove_prefix(dot + 1);
  }
  if (TakePrefix(text, "-1")) {
    *thread = -1;
    return true;
  }
  uint64_t number = 0;
  if (!TakeHex(text, &number) || number > machine_.cpu_count()) {
    return false;
  }
  *thread = number == 0 ? static_cast<int>(cpu_) + 1 : static_cast<int>(number);
  return true;
}

void GdbSession::SelectThread(std::string_view text) {
  int thread = 0;
  if (text.empty() || (text[0] != 'g' && text[0] != 'c')) {
    ReplyError(kNoSuchThing);
    return;
  }
  std::string_view number = text.substr(1);
  if (!TakeThread(&number, &thread)) {
    ReplyError(kNoSuchThing);
    return;
  }
  if (text[0] == 'g' && thread > 0) {
    cpu_ = static_cast<unsigned>(thread) - 1;
  }
  ReplyOk();
}

void GdbSession::SendThreads() {
  constexpr unsigned kAtOnce = 256;
  if (next_thread_ >= machine_.cpu_count()) {
    Reply("l");
    return;
  }
  const unsigned end = std::min(next_thread_ + kAtOnce, machine_.cpu_count());
  std::string list = "m";
  for (; next_thread_ < end; ++next_thread_) {
    list += Format("{}{:x}", list.size() == 1 ? "" : ",", next_thread_ + 1);
  }
  Reply(list);
}

// "s:1;c" and the like: the first action that names a CPU is its own; one without a thread is everybody's.
void GdbSession::Continue(std::string_view actions) {
  std::vector<CpuAction> chosen(machine_.cpu_count(), CpuAction::kStay);
  std::vector<bool> given(machine_.cpu_count(), false);
  while (!actions.empty()) {
    const size_t end = std::min(actions.find(';'), actions.size());
    std::string_view one = actions.substr(0, end);
    actions.remove_prefix(std::min(end + 1, actions.size()));
    const char kind = one.empty() ? '\0' : one[0];
    if (kind != 'c' && kind != 'C' && kind != 's' && kind != 'S') {
      ReplyError(kNoSuchThing);
      return;
    }
    const size_t colon = one.find(':');
    int thread = -1;
    if (colon != std::string_view::npos) {
      one.remove_prefix(colon + 1);
      if (!TakeThread(&one, &thread)) {
        ReplyError(kNoSuchThing);
        return;
      }
    }
    const CpuAction action = kind == 's' || kind == 'S' ? CpuAction::kStep : CpuAction::kContinue;
    for (unsigned cpu = 0; cpu < chosen.size(); ++cpu) {
      if (!given[cpu] && (thread < 0 || cpu + 1 == static_cast<unsigned>(thread))) {
        chosen[cpu] = action;
        given[cpu] = true;
      }
    }
  }
  Run(std::move(chosen));
}

void GdbSession::Run(std::vector<CpuAction> actions) {
  running_ = true;
  machine_.Go(std::move(actions), [this](const Result<>& gone) {
    if (!gone) {
      Log(LogLevel::kWarning, "gdb: cannot run the guest: {}", gone.error().message);
      running_ = false;
      if (connected_ && !detached_) {
        SendStopReply();
      }
    }
  });
}

void GdbSession::SendStopReply() {
  const unsigned signal = stop_.why == DebugStop::Why::kPaused ? kSigInt : kSigTrap;
  std::string reply = Format("T{:02x}thread:{:x};", signal, stop_.cpu + 1);
  if (stop_.why == DebugStop::Why::kBreakpoint) {
    switch (stop_.breakpoint.kind) {
      case BreakpointKind::kSoftware: reply += "swbreak:;"; break;
      case BreakpointKind::kHardware: reply += "hwbreak:;"; break;
      case BreakpointKind::kWrite: reply += Format("watch:{:x};", stop_.breakpoint.address); break;
      case BreakpointKind::kAccess: reply += Format("awatch:{:x};", stop_.breakpoint.address); break;
    }
  }
  Reply(reply);
}

void GdbSession::SendFeatures(std::string_view text) {
  uint64_t offset = 0;
  uint64_t count = 0;
  if (!TakePrefix(&text, "target.xml:") || !TakeHex(&text, &offset) || !TakePrefix(&text, ",") ||
      !TakeHex(&text, &count)) {
    ReplyError(0);
    return;
  }
  const std::string xml = GdbTargetXml();
  if (offset >= xml.size()) {
    Reply("l");
    return;
  }
  const std::string piece = xml.substr(offset, std::min<uint64_t>(count, kMostMemory));
  Reply((offset + piece.size() == xml.size() ? "l" : "m") + piece);
}

// ---- registers, memory and breakpoints ----

void GdbSession::ReadAllRegisters() {
  Result<CpuRegisters> registers = machine_.ReadRegisters(cpu_);
  if (!registers) {
    ReplyTo(tl::unexpected<Error>(registers.error()));
    return;
  }
  std::string text;
  for (const GdbRegister& which : GdbRegisters()) {
    text += ToHex(BytesOf(*registers, which));
  }
  Reply(text);
}

void GdbSession::WriteAllRegisters(std::string_view text) {
  std::vector<std::byte> bytes;
  Result<CpuRegisters> registers = machine_.ReadRegisters(cpu_);
  if (!registers || !FromHex(text, &bytes)) {
    ReplyError(kNoSuchThing);
    return;
  }
  std::span<const std::byte> left = bytes;
  for (const GdbRegister& which : GdbRegisters()) {
    const std::span<std::byte> to = BytesOf(*registers, which);
    if (left.size() < to.size()) {
      break;  // gdb may leave out those at the end
    }
    std::ranges::copy(left.first(to.size()), to.begin());
    left = left.subspan(to.size());
  }
  ReplyTo(machine_.WriteRegisters(cpu_, *registers));
}

void GdbSession::ReadRegister(std::string_view text) {
  uint64_t number = 0;
  if (!TakeHex(&text, &number) || number >= GdbRegisters().size()) {
    ReplyError(kNoSuchThing);
    return;
  }
  Result<CpuRegisters> registers = machine_.ReadRegisters(cpu_);
  if (!registers) {
    ReplyTo(tl::unexpected<Error>(registers.error()));
    return;
  }
  Reply(ToHex(BytesOf(*registers, GdbRegisters()[number])));
}

void GdbSession::WriteRegister(std::string_view text) {
  uint64_t number = 0;
  std::vector<std::byte> bytes;
  if (!TakeHex(&text, &number) || number >= GdbRegisters().size() || !TakePrefix(&text, "=") ||
      !FromHex(text, &bytes) || bytes.size() != GdbRegisters()[number].bytes) {
    ReplyError(kNoSuchThing);
    return;
  }
  Result<CpuRegisters> registers = machine_.ReadRegisters(cpu_);
  if (!registers) {
    ReplyTo(tl::unexpected<Error>(registers.error()));
    return;
  }
  std::ranges::copy(bytes, BytesOf(*registers, GdbRegisters()[number]).begin());
  ReplyTo(machine_.WriteRegisters(cpu_, *registers));
}

void GdbSession::ReadMemory(std::string_view text) {
  uint64_t address = 0;
  uint64_t count = 0;
  if (!TakeHex(&text, &address) || !TakePrefix(&text, ",") || !TakeHex(&text, &count) ||
      count > kMostMemory) {
    ReplyError(kNoSuchThing);
    return;
  }
  std::vector<std::byte> bytes(count);
  bytes.resize(machine_.ReadMemory(cpu_, view_, address, bytes));
  if (bytes.empty() && count != 0) {
    ReplyError(kFault);
    return;
  }
  Reply(ToHex(bytes));
}

void GdbSession::WriteMemory(std::string_view text, bool binary) {
  uint64_t address = 0;
  uint64_t count = 0;
  if (!TakeHex(&text, &address) || !TakePrefix(&text, ",") || !TakeHex(&text, &count) ||
      !TakePrefix(&text, ":")) {
    ReplyError(kNoSuchThing);
    return;
  }
  std::vector<std::byte> bytes;
  if (binary) {
    const std::span<const std::byte> raw = AsBytes(text);
    bytes.assign(raw.begin(), raw.end());
  } else if (!FromHex(text, &bytes)) {
    ReplyError(kNoSuchThing);
    return;
  }
  if (bytes.size() != count) {
    ReplyError(kNoSuchThing);
  } else if (machine_.WriteMemory(cpu_, view_, address, bytes) != bytes.size()) {
    ReplyError(kFault);
  } else {
    ReplyOk();
  }
}

// "Z0,address,kind": 0 software, 1 hardware, 2 write, 3 read (which the CPU does not have), 4 access.
void GdbSession::ChangeBreakpoint(char what, std::string_view text) {
  uint64_t type = 0;
  uint64_t address = 0;
  uint64_t bytes = 0;
  if (!TakeHex(&text, &type) || !TakePrefix(&text, ",") || !TakeHex(&text, &address) ||
      !TakePrefix(&text, ",") || !TakeHex(&text, &bytes) || bytes > 0xff) {
    ReplyError(kNoSuchThing);
    return;
  }
  Breakpoint breakpoint{
      .kind = BreakpointKind::kSoftware, .address = address, .bytes = static_cast<uint8_t>(bytes)};
  switch (type) {
    case 0: breakpoint.bytes = 1; break;
    case 1:
      breakpoint.kind = BreakpointKind::kHardware;
      breakpoint.bytes = 1;
      break;
    case 2: breakpoint.kind = BreakpointKind::kWrite; break;
    case 4: breakpoint.kind = BreakpointKind::kAccess; break;
    default: Reply(""); return;
  }
  ReplyTo(what == 'Z' ? machine_.AddBreakpoint(cpu_, breakpoint) : machine_.RemoveBreakpoint(breakpoint));
}

}  // namespace nandu
