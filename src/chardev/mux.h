// A mux: several front ends on one backend (mux=on). Everybody's output goes out; input goes to the one in
// focus. Ctrl-a is the escape key: h help, x quit, s save (refused), t timestamps, b break, c next front end,
// Ctrl-a Ctrl-a sends one. Control loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/chardev.h>

#include "base/result.h"
#include "base/unique_function.h"

namespace nandu {

class Mux : public std::enable_shared_from_this<Mux> {
 public:
  // `quit` runs on Ctrl-a x. `base` is the backend; the mux is its only front end.
  static Result<std::shared_ptr<Mux>> Create(std::shared_ptr<Chardev> base, UniqueFunction<void()> quit,
                                             char escape_key = '\x01');
  ~Mux();
  // A place for one more front end; the first one that attaches is in focus. The port keeps the mux alive.
  std::shared_ptr<Chardev> AddPort();
  bool front_end_open() const;

 private:
  class Port;
  Mux(std::shared_ptr<Chardev> base, UniqueFunction<void()> quit, char escape_key);
  Result<> Start();

  size_t Write(std::span<const std::byte> bytes);
  bool FlushOwnText();
  void NotifyWritable(Port& port, UniqueFunction<void()> on_writable);
  void OnWritable();
  size_t Room() const;
  void OnInput(std::span<const std::byte> bytes);
  void OnConnection(bool open);
  void OnEscape(char key);
  void Say(std::string_view text);
  void SetFocus(Port* port);
  void NextFocus();
  std::string Timestamp() const;

  const std::shared_ptr<Chardev> base_;
  const UniqueFunction<void()> quit_;
  const char escape_key_;
  const int64_t start_ns_;
  std::vector<Port*> ports_;  // in the order they were added; ports take themselves out
  Port* focus_ = nullptr;
  std::string own_text_;  // help and timestamps the base has not taken yet
  bool escaped_ = false;
  bool timestamps_ = false;
  bool at_line_start_ = true;
};

}  // namespace nandu
