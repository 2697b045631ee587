// A chardev whose other end is the test: types bytes at the front end, reads what it wrote, comes and goes
// like a client, and stops taking bytes like a peer that does not read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <nandu/chardev.h>

namespace nandu {

class FakeChardev final : public Chardev {
 public:
  explicit FakeChardev(std::string id = "fake", bool connected = true)
      : id_(std::move(id)), connected_(connected) {}

  // ---- the test's side ----
  void Connect() { SetConnected(true); }
  void Disconnect() { SetConnected(false); }
  // Queues bytes for the front end; what it has no room for waits for AcceptInput.
  void Type(std::string_view text) {
    pending_ += text;
    AcceptInput();
  }
  void Break() {
    const std::shared_ptr<FrontEnd> front_end = front_end_;
    if (front_end && front_end->break_condition) {
      front_end->break_condition();
    }
  }
  // What was written since the last call.
  std::string TakeWritten() { return std::exchange(written_, {}); }
  const std::string& written() const { return written_; }
  // From now on only `bytes` more are taken; Write answers short afterwards. More room runs the waiting
  // on_writable.
  void SetWriteRoom(size_t bytes) {
    write_room_ = bytes;
    if (bytes > 0 && on_writable_) {
      const UniqueFunction<void()> on_writable = std::exchange(on_writable_, nullptr);
      on_writable();
    }
  }
  bool attached() const { return front_end_ != nullptr; }
  bool waits_for_room() const { return static_cast<bool>(on_writable_); }
  size_t undelivered() const { return pending_.size(); }

  // ---- Chardev ----
  const std::string& id() const override { return id_; }
  std::string filename() const override { return connected_ ? "fake" : "disconnected:fake"; }
  size_t Write(std::span<const std::byte> bytes) override {
    if (!connected_) {
      return bytes.size();
    }
    const size_t taken = std::min(bytes.size(), write_room_);
    written_.append(reinterpret_cast<const char*>(bytes.data()), taken);
    if (write_room_ != kUnlimited) {
      write_room_ -= taken;
    }
    return taken;
  }
  void NotifyWritable(UniqueFunction<void()> on_writable) override { on_writable_ = std::move(on_writable); }
  Result<> Attach(FrontEnd front_end) override {
    if (front_end_) {
      return Fail(Errc::kBusy, "chardev '{}' is already in use", id_);
    }
    front_end_ = std::make_shared<FrontEnd>(std::move(front_end));
    if (connected_) {
      SetConnected(true);
    }
    return {};
  }
  void Detach() override {
    front_end_.reset();
    on_writable_ = nullptr;
  }
  void AcceptInput() override {
    while (!pending_.empty()) {
      const std::shared_ptr<FrontEnd> front_end =
          front_end_;  // keeps running callbacks alive if one detaches
      const size_t room = front_end && front_end->room ? front_end->room() : 0;
      const size_t count = std::min(room, pending_.size());
      if (count == 0) {
        return;
      }
      const std::string chunk = pending_.substr(0, count);
      pending_.erase(0, count);
      front_end->data(std::as_bytes(std::span(chunk)));
    }
  }
  bool connected() const override { return connected_; }

 private:
  static constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

  void SetConnected(bool connected) {
    connected_ = connected;
    const std::shared_ptr<FrontEnd> front_end = front_end_;
    if (front_end && front_end->connection) {
      front_end->connection(connected);
    }
  }

  const std::string id_;
  bool connected_;
  std::shared_ptr<FrontEnd> front_end_;
  UniqueFunction<void()> on_writable_;
  std::string pending_;
  std::string written_;
  size_t write_room_ = kUnlimited;
};

}  // namespace nandu
