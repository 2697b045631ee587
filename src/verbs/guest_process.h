// A VM as a child process of ours, with its serial console on pipes. One thread.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace nandu {

class GuestProcess {
 public:
  // Runs this very program with these words; what it complains about goes to the file `errors`.
  static Result<GuestProcess> Start(const std::vector<std::string>& words, const std::string& errors);
  GuestProcess(GuestProcess&& other) noexcept;
  GuestProcess& operator=(GuestProcess&&) = delete;
  GuestProcess(const GuestProcess&) = delete;
  GuestProcess& operator=(const GuestProcess&) = delete;
  ~GuestProcess();  // kills it, if it still runs

  // What the console printed within `timeout_ms`; empty when nothing came. Sets `ended` once there will be no
  // more.
  std::string Read(int timeout_ms, bool* ended);
  void Type(std::string_view text);
  // Its exit status, or 128 and the signal; waits for it.
  int Wait();

 private:
  GuestProcess(pid_t pid, UniqueFd to, UniqueFd from)
      : pid_(pid), to_(std::move(to)), from_(std::move(from)) {}
  pid_t pid_;
  UniqueFd to_, from_;
};

}  // namespace nandu
