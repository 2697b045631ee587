// One libslirp: a small TCP/IP stack and router in this process, which turns the guest's frames into this process's own sockets. One
// thread at a time; nothing here blocks but poll(2), which is the caller's. slirp/libslirp.h of 4.7 is the interface.
#pragma once

#include <cstdint>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "net/slirp_module.h"
#include "net/user_config.h"

namespace nandu {

class SlirpStack {
 public:
  using Output = UniqueFunction<void(std::span<const uint8_t> frame)>;
  // `to_guest` gets Ethernet frames, from within any other call. Loads the module.
  static Result<std::unique_ptr<SlirpStack>> Create(const UserConfig& config, Output to_guest);
  ~SlirpStack();
  SlirpStack(const SlirpStack&) = delete;
  SlirpStack& operator=(const SlirpStack&) = delete;

  void Input(std::span<const uint8_t> frame);  // from the guest

  // Appends the descriptors to wait for, and lowers *timeout_ms (-1: none) to when the stack wants to run.
  void BeforePoll(std::vector<pollfd>* fds, int* timeout_ms);
  // The same descriptors at the same places as poll(2) left them. `failed`: poll answered an error.
  void AfterPoll(std::span<const pollfd> fds, bool failed);

  Result<> Add(const HostForward& forward);
  Result<> Remove(const HostForward& forward);  // by its host's side; kNotFound
  Result<> AddCommand(const GuestForward& forward);
  // What the guest sends to the forward's port goes to `write`, which answers as write(2). Fills in the server's address.
  Result<> AddPipe(GuestForward* forward, SlirpWriteCb write, void* opaque);
  size_t PipeRoom(const GuestForward& forward);  // bytes its connection takes now; 0 without one
  void PipeSend(const GuestForward& forward, std::span<const uint8_t> bytes);
  std::string Connections();  // a table for people

 private:
  struct Timer {
    SlirpTimerId id;
    void* opaque;
    int64_t deadline_ms = -1;  // -1: not set
  };
  struct Callbacks;
  SlirpStack(const SlirpModule& library, Output to_guest) : library_(library), to_guest_(std::move(to_guest)) {}
  void RunTimers();

  const SlirpModule& library_;
  const Output to_guest_;
  std::vector<std::unique_ptr<Timer>> timers_;
  RateLimitedLog guest_log_{"user network"};
  Slirp* slirp_ = nullptr;
};

}  // namespace nandu
