// The human monitor on one chardev (-monitor): echo, backspace, a prompt. Control loop; not destroyed from
// within a command it runs. The prompt is QEMU's, since expect scripts wait for it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <nandu/chardev.h>

#include "qmp/human_commands.h"
#include "qmp/monitor_output.h"

namespace nandu {

class HumanMonitor {
 public:
  // `shares_terminal`: the chardev is one of several on a mux; nothing is shown before it has the input.
  HumanMonitor(HumanCommands& commands, std::shared_ptr<Chardev> chardev, bool shares_terminal);
  ~HumanMonitor();
  HumanMonitor(const HumanMonitor&) = delete;
  HumanMonitor& operator=(const HumanMonitor&) = delete;

  Result<> Start();

 private:
  enum class Escape : uint8_t { kNone, kStarted, kSequence };

  size_t Room() const;
  void OnData(std::span<const std::byte> bytes);
  void OnConnection(bool open);
  void OnFocus(bool focused);
  void TakeKeys();
  void OnKey(char key);
  void EraseCharacter();
  void OnLine();
  void Greet();
  void Put(std::string_view text);  // \n becomes CR LF

  HumanCommands& commands_;
  const std::shared_ptr<Chardev> chardev_;
  std::shared_ptr<MonitorOutput> output_;  // null: nobody is there; a new one per client
  std::string keys_;                       // not looked at yet: a command is being run
  std::string line_;
  Escape escape_ = Escape::kNone;
  bool after_return_ = false;          // a \n that follows \r is the same key
  bool busy_ = false;                  // a command is not done yet: no input is taken
  bool in_data_ = false;               // the chardev asks for room again by itself
  bool taking_keys_ = false;           // TakeKeys is on the stack
  mutable bool input_paused_ = false;  // Room answered 0: the chardev waits for AcceptInput
  bool visible_;
  bool greeted_ = false;
  bool attached_ = false;
};

}  // namespace nandu
