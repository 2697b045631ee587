// What a debugger sends, over a machine that is there in part.
#include <cstdint>

#include "gdb/session.h"

namespace {

using namespace nandu;

class Machine final : public DebugFacet {
 public:
  bool running = false;
  std::vector<std::byte> memory = std::vector<std::byte>(4096);
  unsigned cpu_count() const override { return 3; }
  bool stopped() const override { return !running; }
  Result<CpuRegisters> ReadRegisters(unsigned) override { return registers_; }
  Result<> WriteRegisters(unsigned, const CpuRegisters& registers) override {
    registers_ = registers;
    return {};
  }
  size_t ReadMemory(unsigned, MemoryView, uint64_t address, std::span<std::byte> out) override {
    return address < memory.size() ? std::min(out.size(), memory.size() - address) : 0;
  }
  size_t WriteMemory(unsigned, MemoryView, uint64_t, std::span<const std::byte> bytes) override {
    return bytes.size();
  }
  Result<> AddBreakpoint(unsigned, const Breakpoint&) override { return {}; }
  Result<> RemoveBreakpoint(const Breakpoint&) override { return {}; }
  void RemoveAllBreakpoints() override {}
  void Interrupt() override {
    if (running) {
      running = false;
      observer({});
    }
  }
  void Go(std::vector<CpuAction> actions, UniqueFunction<void(Result<>)> done) override {
    running = actions.empty() || actions[0] != CpuAction::kStay;
    done({});
  }
  void Kill() override {}
  void SetStopObserver(UniqueFunction<void(const DebugStop&)>) override {}
  UniqueFunction<void(const DebugStop&)> observer;

 private:
  CpuRegisters registers_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Machine machine;
  size_t sent = 0;
  GdbSession session(machine, [&sent](std::string_view bytes) { sent += bytes.size(); });
  machine.observer = [&session](const DebugStop& stop) { session.OnStopped(stop); };
  session.Opened();
  session.Receive(std::as_bytes(std::span(data, size)));
  // And again with every piece between '\n' a packet of its own, so that checksums do not stand in the way.
  std::string_view text(reinterpret_cast<const char*>(data), size);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string packet = GdbPacket(text.substr(0, end));
    session.Receive(std::as_bytes(std::span(packet)));
    session.Receive(std::as_bytes(std::span(std::string_view("\x03"))));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  session.Closed();
  return 0;
}
