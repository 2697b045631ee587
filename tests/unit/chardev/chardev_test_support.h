// A real control loop turned by the test, and a front end that records.
#pragma once

#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <nandu/chardev.h>

#include "base/unique_fd.h"
#include "loop/control_loop.h"

namespace nandu {

class TurnedLoop {
 public:
  ControlLoop& operator*() { return *loop_; }
  // Turns the loop until `done`; false when it has not come true after ten seconds.
  bool RunUntil(const std::function<bool()>& done) {
    bool late = false;
    const auto tick = loop_->CreateHostTimer([&] { loop_->Stop(); });
    const auto deadline = loop_->CreateHostTimer([&] {
      late = true;
      loop_->Stop();
    });
    deadline->ArmAfter(int64_t{10'000'000'000});
    while (!done() && !late) {
      tick->ArmAfter(1'000'000);
      loop_->Run();
    }
    return done();
  }

 private:
  std::unique_ptr<ControlLoop> loop_ = ControlLoop::Create().value();
};

struct Recorder {
  size_t room = 1 << 20;
  std::string data;
  std::vector<bool> connections;
  std::vector<bool> focus;
  int breaks = 0;

  Chardev::FrontEnd FrontEnd() {
    return {.room = [this] { return room; },
            .data =
                [this](std::span<const std::byte> bytes) {
                  data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                  room -= bytes.size();
                },
            .connection = [this](bool open) { connections.push_back(open); },
            .break_condition = [this] { ++breaks; },
            .focus = [this](bool focused) { focus.push_back(focused); }};
  }
};

inline size_t WriteText(Chardev& chardev, std::string_view text) {
  return chardev.Write(std::as_bytes(std::span(text)));
}

// What a peer finds in its descriptor now.
inline std::string ReadNow(int fd) {
  std::string text(65536, '\0');
  const ssize_t got = ::read(fd, text.data(), text.size());
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

class TestDirectory {
 public:
  TestDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "nandu-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline UniqueFd ConnectTo(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0) {
    fd.Reset();
  }
  return fd;
}

}  // namespace nandu
