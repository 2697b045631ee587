// What a boot test found, for people and for CI systems. Pure.
#pragma once

#include <string>
#include <vector>

#include "verbs/boot_watch.h"

namespace nandu {

struct BootOutcome {
  std::string image;
  bool passed = false;
  std::string reason;  // one sentence, also of success
  std::vector<StageMark> stages;
  int64_t ended_ms = 0;
  std::string log;     // the console's text
  std::string output;  // of --run's command
  std::string screen;  // a picture of it at the end, as a file's content; empty: none
};

std::string OutcomeLine(const BootOutcome& outcome);  // "ok      debian.qcow2 (21.3 s): a login prompt"
std::string JunitXml(
    const std::vector<BootOutcome>& outcomes);  // the schema CI systems read: testsuite, testcase, failure
std::string TimelineJson(const BootOutcome& outcome);
std::string TimelineSvg(const BootOutcome& outcome);  // a bar a stage

}  // namespace nandu
