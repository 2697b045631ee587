// A network backend made of queues: the test puts frames in, takes out what the guest sent, and makes it
// busy.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nandu/net.h>
#include <nandu/vhost.h>

namespace nandu {

class FakeNetBackend final : public NetBackend {
 public:
  struct Options {
    unsigned pairs = 1;
    bool vnet_header = true;
    NetOffloads offloads{true, true, true, true, true, false, false};
  };
  // What is at the other end of one pair's channel.
  struct Wire {
    std::deque<std::string> incoming;  // frames for the guest, without header
    std::vector<std::string> sent;     // with header
    bool busy = false;
    bool down = false;
    bool receiving = false;  // between StartRx and StopRx
    unsigned reads = 0;      // Receive calls
  };

  FakeNetBackend() : FakeNetBackend(Options{}) {}
  explicit FakeNetBackend(const Options& options) : options_(options) {
    for (unsigned i = 0; i < options.pairs; ++i) {
      ends_.push_back(std::make_shared<End>());
    }
  }

  // ---- the test's side ----
  Wire& wire(unsigned pair = 0) { return ends_.at(pair)->wire; }
  void Deliver(std::string_view frame, unsigned pair = 0) {
    End& end = *ends_.at(pair);
    end.wire.incoming.emplace_back(frame);
    if (std::exchange(end.armed, false) && end.on_readable) {
      (*end.on_readable)();
    }
  }
  void SetBusy(bool busy, unsigned pair = 0) {
    End& end = *ends_.at(pair);
    end.wire.busy = busy;
    if (!busy && end.on_writable) {
      const UniqueFunction<void()> on_writable = std::exchange(end.on_writable, nullptr);
      on_writable();
    }
  }
  bool waits_for_room(unsigned pair = 0) const { return static_cast<bool>(ends_.at(pair)->on_writable); }
  std::string header =
      std::string(10, '\0');  // put in front of frames for the guest; cut or left short as the kernel does
  unsigned header_bytes = 0;
  NetOffloads receive_offloads;
  unsigned active_pairs = 0;
  std::optional<Error> fail;                       // what every setting answers
  std::vector<std::shared_ptr<VhostPair>> kernel;  // by pair; what is not there is null

  // ---- NetBackend ----
  const std::string& id() const override { return id_; }
  std::string_view type() const override { return "fake"; }
  unsigned queue_pairs() const override { return options_.pairs; }
  bool has_vnet_header() const override { return options_.vnet_header; }
  NetOffloads offloads() const override { return options_.offloads; }
  Result<> SetHeaderBytes(unsigned bytes) override {
    header_bytes = bytes;
    return Answer();
  }
  Result<> SetOffloads(const NetOffloads& receive) override {
    receive_offloads = receive;
    return Answer();
  }
  Result<> SetActivePairs(unsigned pairs) override {
    active_pairs = pairs;
    return Answer();
  }
  std::shared_ptr<VhostPair> vhost(unsigned pair) override {
    return pair < kernel.size() ? kernel[pair] : nullptr;
  }
  Result<std::unique_ptr<NetChannel>> OpenChannel(unsigned pair, EventLoop& /*loop*/) override {
    return std::make_unique<Channel>(*this, ends_.at(pair));
  }

 private:
  struct End {
    Wire wire;
    bool armed = false;
    std::shared_ptr<UniqueFunction<void()>> on_readable;
    UniqueFunction<void()> on_writable;
  };

  class Channel final : public NetChannel {
   public:
    Channel(FakeNetBackend& backend, std::shared_ptr<End> end) : backend_(backend), end_(std::move(end)) {}
    SendResult Send(std::span<const iovec> frame) override {
      if (end_->wire.busy || end_->wire.down) {
        return end_->wire.busy ? SendResult::kBusy : SendResult::kDropped;
      }
      std::string bytes;
      for (const iovec& part : frame) {
        bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
      }
      end_->wire.sent.push_back(std::move(bytes));
      return SendResult::kSent;
    }
    void NotifyWritable(UniqueFunction<void()> on_writable) override {
      end_->on_writable = std::move(on_writable);
    }
    int64_t Receive(std::span<const iovec> into) override {
      ++end_->wire.reads;
      if (end_->wire.incoming.empty()) {
        end_->armed = true;
        return 0;
      }
      std::string bytes;
      if (backend_.options_.vnet_header) {
        bytes = backend_.header;
        bytes.resize(backend_.header_bytes, '\xee');  // the kernel skips what lies behind its header
      }
      bytes += end_->wire.incoming.front();
      end_->wire.incoming.pop_front();
      size_t done = 0;
      for (const iovec& part : into) {
        const size_t count = std::min(part.iov_len, bytes.size() - done);
        std::memcpy(part.iov_base, bytes.data() + done, count);
        done += count;
      }
      return static_cast<int64_t>(done);
    }
    void StartRx(UniqueFunction<void()> on_readable) override {
      end_->on_readable = std::make_shared<UniqueFunction<void()>>(std::move(on_readable));
      end_->wire.receiving = true;
    }
    void StopRx() override {
      end_->on_readable.reset();
      end_->wire.receiving = false;
    }

   private:
    FakeNetBackend& backend_;
    const std::shared_ptr<End> end_;
  };

  Result<> Answer() const {
    if (fail) {
      return tl::unexpected<Error>(*fail);
    }
    return {};
  }

  const Options options_;
  const std::string id_ = "net0";
  std::vector<std::shared_ptr<End>> ends_;
};

}  // namespace nandu
