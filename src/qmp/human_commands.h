// The human monitor's commands: a line of words in, text out. Shared by -monitor and QMP's
// human-monitor-command. Control loop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/unique_function.h"

namespace nandu {

class BalloonFacet;
class DisplayFacet;
class InfoFacet;
class LifecycleFacet;
class NetFacet;

class HumanCommands {
 public:
  // The facets outlive this.
  HumanCommands(LifecycleFacet& lifecycle, InfoFacet& info, BalloonFacet& balloon, DisplayFacet& display,
                NetFacet& net)
      : lifecycle_(lifecycle), info_(info), balloon_(balloon), display_(display), net_(net) {}

  // `done` runs once, now or later, with what to show: lines that end in \n, or nothing.
  using Done = UniqueFunction<void(std::string text)>;
  void Execute(std::string_view line, Done done);

  std::string Banner() const;  // "nandu 0.1.0 monitor - type 'help' for more information"

 private:
  struct Command;
  struct Topic;
  using Words = std::vector<std::string_view>;
  static const std::vector<Command>& Commands();
  static const std::vector<Topic>& Topics();

  void Help(const Words& words, Done done);
  void Info(const Words& words, Done done);
  void Screendump(const Words& words, Done done);
  void AddForward(const Words& words, Done done);
  void RemoveForward(const Words& words, Done done);
  std::string SetBalloon(std::string_view mebibytes);
  std::string BalloonText() const;
  std::string StatusText() const;
  std::string VersionText() const;
  std::string CpusText() const;

  LifecycleFacet& lifecycle_;
  InfoFacet& info_;
  BalloonFacet& balloon_;
  DisplayFacet& display_;
  NetFacet& net_;
};

}  // namespace nandu
