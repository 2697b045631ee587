// What every backend shares: its front end, its connection state and the log of what was written. Control
// loop.
#pragma once

#include <memory>
#include <span>
#include <string>

#include <nandu/chardev.h>

#include "base/log.h"
#include "base/unique_fd.h"
#include "loop/control_loop.h"

namespace nandu {

class ChardevBase : public Chardev {
 public:
  ChardevBase(ControlLoop& loop, std::string id);

  const std::string& id() const final { return id_; }
  size_t Write(std::span<const std::byte> bytes) final;
  Result<> Attach(FrontEnd front_end) final;
  void Detach() final;
  void AcceptInput() final;
  bool connected() const final { return connected_; }

  bool front_end_open() const { return front_end_ != nullptr; }  // query-chardev's frontend-open
  // What the front end writes goes to this file too (logfile=).
  void SetLogFile(UniqueFd file) { log_file_ = std::move(file); }
  // True while the machine may not start: a server with wait=on that nobody has connected to yet.
  virtual bool waits_for_client() const { return false; }
  // Gives back what would outlive the process: socket files, the terminal's settings. Again is harmless. For
  // a process that ends without taking its VM apart; nothing else may be called afterwards.
  virtual void ReleaseHost() {}
  // Runs once when the first client is there; only for backends that wait.
  virtual void NotifyFirstClient(UniqueFunction<void()> on_client) { on_client(); }

 protected:
  virtual size_t WriteBytes(std::span<const std::byte> bytes) = 0;
  virtual void InputWanted() = 0;     // a front end came, or has room again
  virtual void CancelWritable() = 0;  // the front end left: its on_writable must not run any more

  size_t Room() const;  // 0 without a front end
  void Deliver(std::span<const std::byte> bytes);
  void SetConnected(bool connected);  // tells the front end; never from within Write
  ControlLoop& loop() const { return loop_; }
  RateLimitedLog& log() { return log_; }
  // Runs `work` from the loop unless this object is gone by then.
  void PostSafely(UniqueFunction<void()> work);

 private:
  ControlLoop& loop_;
  const std::string id_;
  RateLimitedLog log_;
  std::shared_ptr<FrontEnd>
      front_end_;  // shared: one that detaches within its own callback outlives the call
  UniqueFd log_file_;
  bool connected_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nandu
