// Frames over a connected stream socket, on one I/O loop. The socket comes and goes: the netdev connects (net/stream.h), this side says
// when the peer is gone.
#pragma once

#include <memory>
#include <vector>

#include <nandu/net.h>

#include "base/unique_fd.h"
#include "net/fd_poll.h"
#include "net/stream_framing.h"

namespace nandu {

class StreamChannel final : public NetChannel {
 public:
  // How the netdev reaches the channel: on the loop, where it finds null once the channel is gone.
  struct Door {
    StreamChannel* channel = nullptr;
  };
  using OnGone = UniqueFunction<void(const std::shared_ptr<UniqueFd>& socket, const char* why)>;
  // `gone` runs on the loop.
  StreamChannel(EventLoop& loop, std::shared_ptr<Door> door, OnGone gone);
  ~StreamChannel() override;

  void Connect(std::shared_ptr<UniqueFd> socket);  // non-blocking; replaces the one before

  SendResult Send(std::span<const iovec> frame) override;
  void NotifyWritable(UniqueFunction<void()> on_writable) override;
  int64_t Receive(std::span<const iovec> into) override;
  void StartRx(UniqueFunction<void()> on_readable) override;
  void StopRx() override;

 private:
  bool Flush();  // true when nothing of an earlier frame is left
  void Disconnect(const char* why);
  void OnReadable();
  void OnWritable();

  EventLoop& loop_;
  const std::shared_ptr<Door> door_;
  const OnGone gone_;
  std::shared_ptr<UniqueFd> socket_;  // null: nobody there
  std::unique_ptr<FdPoll> readable_;
  std::unique_ptr<FdPoll> writable_;
  std::unique_ptr<StreamSplitter> splitter_;
  std::vector<std::byte> rest_;  // of a frame that the socket took in part
  size_t rest_first_ = 0;
  std::vector<iovec> iov_;
  std::shared_ptr<UniqueFunction<void()>> on_readable_;  // null: stopped. Shared: it may stop itself
  UniqueFunction<void()> on_writable_;
};

}  // namespace nandu
