// What the board's old devices have in common: an identity, and nothing in flight. They never touch guest
// memory, so a quiesced VM only needs their inputs shut; saving, loading and resetting stay pure virtual, so
// that none of them can forget its state. Control thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nandu/device.h>

namespace nandu {

class LegacyDevice : public Device {
 public:
  const std::string& id() const override { return id_; }
  std::string_view driver() const override { return driver_; }
  std::string StatePath() const override { return state_path_; }
  void Quiesce(UniqueFunction<void()> done) override { done(); }
  std::vector<std::string> StuckRequests() const override { return {}; }

 protected:
  // `driver`: a literal. `state_path`: "/machine/isa/rtc".
  LegacyDevice(std::string id, std::string_view driver, std::string state_path)
      : id_(std::move(id)), driver_(driver), state_path_(std::move(state_path)) {}

 private:
  const std::string id_;
  const std::string_view driver_;
  const std::string state_path_;
};

}  // namespace nandu
