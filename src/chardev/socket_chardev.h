// The socket backend's object; see socket_chardev.cpp. Control loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "chardev/chardev_base.h"
#include "chardev/fd_stream.h"
#include "chardev/socket_address.h"

namespace nandu {

class SocketChardev final : public ChardevBase {
 public:
  struct Config {
    SocketAddress address;
    bool server = false;
    bool wait = false;
    bool nodelay = false;
    uint32_t reconnect_s = 0;
  };
  SocketChardev(ControlLoop& loop, Opener& opener, std::string id, Config config);
  ~SocketChardev() override;

  // One of these starts it.
  void StartListening(std::vector<ListeningSocket> listening);
  void StartConnecting();
  void UseClient(UniqueFd client);

  std::string filename() const override;
  bool waits_for_client() const override;
  void ReleaseHost() override;
  void NotifyFirstClient(UniqueFunction<void()> on_client) override;
  void NotifyWritable(UniqueFunction<void()> on_writable) override;
  void DropPeer() override;

 protected:
  size_t WriteBytes(std::span<const std::byte> bytes) override;
  void InputWanted() override;
  void CancelWritable() override;

 private:
  void WaitForClient();
  void Accept(size_t index);
  void Connect();
  void TryNextCandidate();
  void OnConnected();
  void ClientLeft();
  void WatchForHangup();
  void OnTimer();

  Opener& opener_;
  const Config config_;
  std::vector<ListeningSocket> listening_;
  std::vector<std::unique_ptr<FdWatch>> accept_watches_;  // as listening_
  UniqueFd client_;                                       // connected, or being connected
  std::unique_ptr<FdWatch> connect_watch_;
  std::vector<ResolvedAddress> candidates_;  // addresses still to try
  std::optional<FdStream> stream_;           // while connected
  std::unique_ptr<HostTimer> timer_;         // reconnect, accept again, or look for a hangup
  UniqueFunction<void()> on_first_client_;
  uint64_t clients_ = 0;  // served so far
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nandu
