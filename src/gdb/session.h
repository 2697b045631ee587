// One debugger's conversation: packets in, packets out, over a DebugFacet. All-stop mode: the guest stands
// still while gdb looks at it. A thread is a vCPU, numbered from 1. Control loop.
// Specification: "Debugging with GDB", appendix E.2 (Packets), E.4 (General Query Packets).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "gdb/packet.h"
#include "machine/debug_facet.h"

namespace nandu {

class GdbSession {
 public:
  using Send = std::function<void(std::string_view bytes)>;
  GdbSession(DebugFacet& machine, Send send) : machine_(machine), send_(std::move(send)) {}

  // A debugger came: it finds the guest standing still.
  void Opened();
  // It went: the guest keeps none of its breakpoints, and runs if it ran.
  void Closed();
  void Receive(std::span<const std::byte> bytes);
  void OnStopped(const DebugStop& stop);

 private:
  void Reply(std::string_view data);
  void ReplyOk() { Reply("OK"); }
  void ReplyError(unsigned number);
  void ReplyTo(const Result<>& result);

  void Handle(std::string_view packet);
  void HandleQuery(std::string_view query);
  void HandleSet(std::string_view query);
  void HandleV(std::string_view packet);
  void SelectThread(std::string_view text);
  void ReadAllRegisters();
  void WriteAllRegisters(std::string_view text);
  void ReadRegister(std::string_view text);
  void WriteRegister(std::string_view text);
  void ReadMemory(std::string_view text);
  void WriteMemory(std::string_view text, bool binary);
  void ChangeBreakpoint(char what, std::string_view text);
  void SendFeatures(std::string_view text);
  void SendThreads();
  void Continue(std::string_view actions);  // of vCont
  void Run(std::vector<CpuAction> actions);
  void SendStopReply();
  bool TakeThread(std::string_view* text, int* thread) const;  // -1: all

  DebugFacet& machine_;
  const Send send_;
  GdbReader reader_;
  bool connected_ = false;
  bool acknowledge_ = true;
  bool arriving_ = false;     // the guest is being stopped for it
  bool running_ = false;      // gdb waits for a stop reply
  bool detached_ = false;     // whoever stops the guest now is not this debugger
  bool clean_up_ = false;     // once it stands still: take breakpoints out and go on
  unsigned cpu_ = 0;          // whose registers and memory
  unsigned next_thread_ = 0;  // of qsThreadInfo
  MemoryView view_ = MemoryView::kVirtual;
  DebugStop stop_;
  std::string last_packet_;
  std::vector<std::byte> early_;  // what came while the guest was being stopped
};

}  // namespace nandu
