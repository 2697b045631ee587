#include "devices/legacy/vmport.h"

#include <functional>
#include <utility>

#include "state/state.h"

namespace nandu {
namespace {

constexpr uint32_t kMagic = 0x564d5868;
constexpr uint32_t kRefused = 0xffffffff;
constexpr uint32_t kVersion = 6;
constexpr uint32_t kWorkstation = 2;  // the product's type
constexpr uint32_t kRamSizeMark = 0x1177;
constexpr uint32_t kApicBusHz = 1'000'000'000;  // KVM's
constexpr uint32_t kLegacyX2ApicWorks = 1 << 3;

enum Command : unsigned {
  kGetVersion = 10,
  kGetBiosUuid = 19,
  kGetRamSize = 20,
  kMouseData = 39,
  kMouseStatus = 40,
  kMouseCommand = 41,
  kGetHz = 45,
  kGetVcpuInfo = 68,
};

uint32_t WordAt(const std::array<uint8_t, 16>& bytes, size_t at) {
  return bytes.at(at) | uint32_t{bytes.at(at + 1)} << 8 | uint32_t{bytes.at(at + 2)} << 16 |
         uint32_t{bytes.at(at + 3)} << 24;
}

// A read of any width at the port runs the command, and so does a write; what the guest finds in RAX is the
// answer. The three ports behind it are there for the width only.
class BackdoorPort final : public IoHandler {
 public:
  explicit BackdoorPort(std::function<uint32_t()> serve) : serve_(std::move(serve)) {}
  std::string_view name() const override { return "vmport"; }
  uint64_t Read(uint64_t offset, unsigned size) override {
    const uint32_t answer = offset == 0 ? serve_() : kRefused;
    return size >= 4 ? answer : answer & ((1U << (8 * size)) - 1);
  }
  ExitDone Write(uint64_t offset, unsigned /*size*/, uint64_t /*value*/) override {
    if (offset == 0) {
      serve_();
    }
    return ExitDone::Done();
  }

 private:
  const std::function<uint32_t()> serve_;
};

}  // namespace

Vmport::Vmport(Options options)
    : LegacyDevice("#vmport", "vmport", "/machine/isa/vmport"), options_(std::move(options)) {}

Result<std::unique_ptr<Vmport>> Vmport::Create(DeviceHost& host, Options options) {
  std::unique_ptr<Vmport> device(new Vmport(std::move(options)));
  Vmport* const self = device.get();
  // Four ports, so that a double word is one access: over a single one it would be read byte by byte.
  device->mapping_ = TRY(host.io_space().Map(
      kPort, Region::Io(std::make_shared<BackdoorPort>([self] { return self->Serve(); }), 4)));
  return device;
}

uint32_t Vmport::Serve() {
  CallRegisters registers;
  if (!options_.registers->Get(&registers)) {
    counters_.without_registers.Add();
    return kRefused;
  }
  if (static_cast<uint32_t>(registers.rax) != kMagic || !Answer(&registers)) {
    counters_.refused.Add();
    registers.rax = kRefused;
  }
  if (!options_.registers->Set(registers)) {
    counters_.without_registers.Add();
  }
  return static_cast<uint32_t>(registers.rax);
}

bool Vmport::Answer(CallRegisters* registers) {
  const auto command = static_cast<unsigned>(registers->rcx & 0xff);
  switch (command) {
    case kGetVersion:
      registers->rax = kVersion;
      registers->rbx = kMagic;
      registers->rcx = kWorkstation;
      return true;
    case kGetBiosUuid:
      registers->rax = WordAt(options_.uuid, 0);
      registers->rbx = WordAt(options_.uuid, 4);
      registers->rcx = WordAt(options_.uuid, 8);
      registers->rdx = WordAt(options_.uuid, 12);
      return true;
    case kGetRamSize:
      registers->rax = static_cast<uint32_t>(options_.ram_bytes);  // a guest of more is told the rest
      registers->rbx = kRamSizeMark;
      return true;
    case kGetHz: {
      const uint64_t hz = options_.registers->TscHz();
      registers->rbx = hz == 0 ? kRefused : static_cast<uint32_t>(hz >> 32);
      if (hz != 0) {
        registers->rax = static_cast<uint32_t>(hz);
        registers->rcx = kApicBusHz;
      }
      return true;
    }
    case kGetVcpuInfo: registers->rax = options_.registers->HasX2Apic() ? kLegacyX2ApicWorks : 0; return true;
    case kMouseData:
    case kMouseStatus:
    case kMouseCommand: return AnswerMouse(static_cast<unsigned>(registers->rcx & 0xffff), registers);
    default: return false;
  }
}

// The mouse looks at sixteen bits of the command, and cuts every register to its lower half.
bool Vmport::AnswerMouse(unsigned command, CallRegisters* registers) {
  const auto low = [](uint64_t value) { return static_cast<uint32_t>(value); };
  Vmmouse::Registers words = {low(registers->rax), low(registers->rbx), low(registers->rcx),
                              low(registers->rdx), low(registers->rsi), low(registers->rdi)};
  {
    const MutexLock lock(mutex_);
    switch (command) {
      case kMouseData: mouse_.Take(&words); break;
      case kMouseStatus: words[0] = mouse_.Status(); break;
      case kMouseCommand: mouse_.Command(words[1]); break;
      default: counters_.refused.Add();
    }
  }
  *registers = {words[0], words[1], words[2], words[3], words[4], words[5]};
  return true;
}

void Vmport::Reset() {
  const MutexLock lock(mutex_);
  mouse_.Reset();
}

void Vmport::Save(const StateWriter& writer) const {
  VmportState state;
  {
    const MutexLock lock(mutex_);
    state.mouse = mouse_.state();
  }
  writer.Put(state);
}

Result<> Vmport::Load(const StateReader& reader) {
  const VmportState state = TRY(reader.Get<VmportState>());
  const MutexLock lock(mutex_);
  mouse_.set_state(state.mouse);
  return {};
}

}  // namespace nandu
