// Reads a guest's console as it appears: how far the boot has come, whether it has failed, and why. Pure; one
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <regex.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nandu {

enum class BootStage : uint8_t { kFirmware, kBootLoader, kKernel, kInit, kCloudInit, kLogin };
std::string_view NameOf(BootStage stage);  // "boot loader"

struct StageMark {
  BootStage stage = BootStage::kFirmware;
  int64_t begin_ms = 0;  // since the start
};

class BootWatch {
 public:
  // `expect`: an extended regular expression for a line; empty: a login prompt is what is waited for.
  static Result<BootWatch> Create(const std::string& expect);

  // What came from the console, and what came from the firmware's debug port.
  void Feed(std::string_view text, int64_t now_ms);
  void FeedFirmware(std::string_view text);

  const std::vector<StageMark>& stages() const { return stages_; }
  bool reached() const { return reached_; }
  bool at_login() const { return stages_.back().stage == BootStage::kLogin; }
  const std::optional<std::string>& failure() const { return failure_; }  // one sentence
  // The last line with anything in it: where a boot that hangs was.
  const std::string& last_line() const { return last_line_; }

 private:
  struct FreeRegex {
    void operator()(regex_t* regex) const;
  };
  BootWatch() = default;
  void TakeLine(int64_t now_ms);
  void Look(std::string_view line, bool whole, int64_t now_ms);
  void Reach(BootStage stage, int64_t now_ms);
  void Fail(std::string why);

  std::unique_ptr<regex_t, FreeRegex> expect_;
  std::vector<StageMark> stages_ = {{}};
  std::string line_;
  std::string escape_;  // an ANSI sequence that has not ended
  std::string last_line_;
  std::string complaint_;  // the last line that told of an error
  std::string firmware_;
  std::optional<std::string> failure_;
  bool reached_ = false;
};

}  // namespace nandu
