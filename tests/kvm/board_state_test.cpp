// A board's whole KVM state with the split irqchip, by the machine's own save and load: a guest that was
// stopped within a level interrupt, with one more waiting in the 8259s, goes on on another board.
#include "long_mode.h"
#include "machine/kvm_board.h"
#include "split_guest.h"

namespace nandu {
namespace {

using Accesses = std::vector<IoAccess>;

constexpr uint64_t kRamBytes = 16U << 20;
constexpr uint64_t kCode = 0x10000;
constexpr uint64_t kStack = 0x9000;
constexpr uint16_t kPorts = 0x500;

// Long mode. 8259s at vectors 0x40 and 0x48, level-triggered line 5 (ELCR), LINT0 open; an IDT at
// 0x6000 whose vectors 0x44 and 0x45 lead to the handlers below. Tells 1 and waits.
GUEST_CODE(wait_for_lines, 64, R"(
  mov $0x11, %al
  out %al, $0x20
  out %al, $0xa0
  mov $0x40, %al
  out %al, $0x21
  mov $0x48, %al
  out %al, $0xa1
  mov $4, %al
  out %al, $0x21
  mov $2, %al
  out %al, $0xa1
  mov $1, %al
  out %al, $0x21
  out %al, $0xa1
  mov $0x20, %al
  mov $0x4d0, %dx
  out %al, %dx
  lidt 0x5f0
  mov $0xfee00000, %edi
  movl $0x1ff, 0xf0(%rdi)
  movl $0x700, 0x350(%rdi)
  mov $0x500, %dx
  mov $1, %al
  out %al, %dx
  sti
1:
  hlt
  jmp 1b
)")
// Line 4: tells 4. Line 5: tells 5 twice, before and after the pause, which must not matter to EBX.
GUEST_CODE(tell_line_4, 64, R"(
  mov $0x504, %dx
  mov $4, %al
  out %al, %dx
  mov $0x20, %al
  out %al, $0x20
  iretq
)")
GUEST_CODE(tell_line_5, 64, R"(
  mov $0x12345678, %ebx
  mov $0x505, %dx
  mov $5, %al
  out %al, %dx
  mov %ebx, %eax
  out %eax, %dx
  mov $0x20, %al
  out %al, $0x20
  iretq
)")

class Board {
 public:
  Board() {
    MachineConfig config;
    config.ram_bytes = kRamBytes;
    config.cpu = "host";
    config.irqchip = IrqchipKind::kSplit;
    config.smp.cpus = config.smp.max_cpus = config.smp.sockets = 2;
    ram = Must(RamBlock::CreateAnonymous("ram", kRamBytes, {}));
    BoardRam memory;
    memory.blocks = {ram};
    board = Must(KvmBoard::Create(config, memory, nullptr));
    host = std::make_unique<SplitHost>(board->memory(), board->ports(), board->msi());
    Must(board->MakeIrqchip(*host));
    KvmBoard::Events events;
    events.triple_fault = [] { ADD_FAILURE() << "a triple fault"; };
    events.internal_error = [](std::string_view why) { ADD_FAILURE() << why; };
    events.system_event = [](SystemEvent) { ADD_FAILURE() << "a system event"; };
    events.take_debug_exit = [](unsigned, const DebugExit&) { return false; };
    events.debug_stop = [] {};
    board->SetEvents(std::move(events));
    ports_mapping = Must(board->ports().Map(kPorts, Region::Io(ports, 0x100)));
    for (Device* const device : board->irqchip().devices()) {
      device->Reset();
    }
    board->vcpus().Start();
  }
  ~Board() { Pause(); }
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  void Boot() {
    const std::span<std::byte> memory{ram->host(), kRamBytes};
    Put(0x18000, GUEST_BYTES(tell_line_4));
    Put(0x18100, GUEST_BYTES(tell_line_5));
    SetLongModeVector(memory, 0x44, 0x18000);
    SetLongModeVector(memory, 0x45, 0x18100);
    const BootRegisters boot = PrepareLongMode(memory, kCode, kStack, GUEST_BYTES(wait_for_lines));
    Must(board->Reset(boot));
    board->vcpus().ResumeAll();
  }
  bool Pause() {
    Signal paused;
    board->vcpus().PauseAll([&] { paused.Set(); });
    return paused.Wait();
  }
  std::vector<std::byte> Save() {
    StateDocument document;
    Must(board->Save(StateWriter(document, "/machine/kvm")));
    SaveDevices(&document);
    return document.Serialize();
  }
  std::vector<std::byte> SaveDevices() {
    StateDocument document;
    SaveDevices(&document);
    return document.Serialize();
  }
  void Load(const std::vector<std::byte>& bytes) {
    const StateDocument document = Must(StateDocument::Parse(bytes));
    for (Device* const device : board->irqchip().devices()) {
      Must(device->Load(StateReader(document, device->StatePath())));
    }
    Must(board->Load(StateReader(document, "/machine/kvm")));
  }
  void Resume() {
    for (Device* const device : board->irqchip().devices()) {
      device->Resume();
    }
    board->ThawClock();
    board->vcpus().ResumeAll();
  }

  std::shared_ptr<RamBlock> ram;
  std::unique_ptr<KvmBoard> board;
  std::unique_ptr<SplitHost> host;
  std::shared_ptr<Recorder> ports = std::make_shared<Recorder>();
  Mapping ports_mapping;

 private:
  void SaveDevices(StateDocument* document) {
    for (Device* const device : board->irqchip().devices()) {
      device->Save(StateWriter(*document, device->StatePath()));
    }
  }
  using SystemEvent = VcpuObserver::SystemEvent;
  void Put(uint64_t address, std::span<const char> bytes) {
    std::memcpy(ram->host() + address, bytes.data(), bytes.size());
  }
};

TEST_F(KvmGuest, WholeBoardWithTheSplitIrqchipGoesOnElsewhere) {
  std::vector<std::byte> state;
  std::vector<std::byte> devices;
  std::vector<std::byte> memory;
  {
    Board first;
    const std::unique_ptr<IrqLine> four = first.board->irqchip().ClaimGsi(4);
    const std::unique_ptr<IrqLine> five = first.board->irqchip().ClaimGsi(5);
    Signal paused;
    first.ports->on_write = [&](const IoAccess& access) {
      if (access.offset == 5 && access.size == 1) {
        four->Set(true);  // of a higher priority; the handler has closed the flag
        first.board->vcpus().PauseAll([&] { paused.Set(); });
      }
      return ExitDone::Done();
    };
    first.Boot();
    ASSERT_TRUE(first.ports->WaitFor(1));
    five->Set(true);
    ASSERT_TRUE(paused.Wait());
    first.board->FreezeClock();
    state = first.Save();
    devices = first.SaveDevices();
    memory.assign(first.ram->host(), first.ram->host() + kRamBytes);
    four->Set(false);
    five->Set(false);
  }
  Board second;
  const std::unique_ptr<IrqLine> four = second.board->irqchip().ClaimGsi(4);
  const std::unique_ptr<IrqLine> five = second.board->irqchip().ClaimGsi(5);
  std::memcpy(second.ram->host(), memory.data(), memory.size());
  second.Load(state);
  EXPECT_EQ(second.SaveDevices(), devices) << "nothing is lost on the way";
  second.Resume();
  four->Set(true);
  ASSERT_TRUE(second.ports->WaitFor(2));
  ASSERT_TRUE(second.Pause());
  const Accesses seen = second.ports->accesses();
  EXPECT_EQ(seen[0], (IoAccess{true, 5, 4, 0x12345678})) << "the handler went on";
  EXPECT_EQ(seen[1], (IoAccess{true, 4, 1, 4})) << "and what waited in the 8259s followed";
}

}  // namespace
}  // namespace nandu
