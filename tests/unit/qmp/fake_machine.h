// A machine of facets only: what the monitors' tests command and ask.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "machine/config.h"
#include "machine/facets.h"

namespace nandu {

class FakeMachine final : public LifecycleFacet,
                          public InfoFacet,
                          public BalloonFacet,
                          public BlockFacet,
                          public DisplayFacet,
                          public NetFacet {
 public:
  RunState state = RunState::kRunning;
  std::vector<std::string> calls;
  bool answer_later = false;  // Stop and Cont finish in FinishPending
  UniqueFunction<void(Result<>)> pending;
  std::optional<uint64_t> guest_memory_bytes;  // nullopt: no balloon
  uint64_t guest_memory_target = 0;
  ActionChanges actions;  // of the last set-action
  std::optional<std::string> generation_guid;
  std::vector<BlockFacts> blocks;
  std::vector<ImageFacts> nodes;

  void FinishPending(Result<> result = {}) { std::exchange(pending, nullptr)(std::move(result)); }

  RunState run_state() const override { return state; }
  void Stop(UniqueFunction<void(Result<>)> done) override {
    calls.push_back("stop");
    state = RunState::kPaused;
    Finish(std::move(done));
  }
  void Cont(UniqueFunction<void(Result<>)> done) override {
    calls.push_back("cont");
    state = RunState::kRunning;
    Finish(std::move(done));
  }
  void SystemReset() override { calls.push_back("reset"); }
  void SystemPowerdown() override { calls.push_back("powerdown"); }
  void InjectNmi() override { calls.push_back("nmi"); }
  void SetActions(const ActionChanges& changes) override { actions = changes; }
  void Quit() override { calls.push_back("quit"); }

  std::string name() const override { return "vm1"; }
  std::string uuid() const override { return {}; }
  VersionFacts version() const override { return {7, 2, 0, "nandu 0.1.0"}; }
  bool kvm_present() const override { return true; }
  bool kvm_enabled() const override { return true; }
  std::vector<CpuFacts> Cpus() const override {
    return {{0, 100, "/machine/unattached/device[0]", 0, {}, 0, 0},
            {1, 101, "/machine/unattached/device[2]", 0, {}, 1, 0}};
  }

  std::optional<std::string> VmGenerationGuid() const override { return generation_guid; }

  std::optional<uint64_t> GuestMemoryBytes() const override { return guest_memory_bytes; }
  bool SetGuestMemoryTarget(uint64_t bytes) override {
    guest_memory_target = bytes;
    return guest_memory_bytes.has_value();
  }

  std::vector<BlockFacts> QueryBlock() const override { return blocks; }
  std::vector<ImageFacts> QueryNodes() const override { return nodes; }
  void ResizeBlock(std::string_view name, uint64_t size_bytes, UniqueFunction<void(Result<>)> done) override {
    calls.push_back(Format("resize {} {}", name, size_bytes));
    Finish(std::move(done));
  }

  void Screendump(const ScreendumpRequest& request, UniqueFunction<void(Result<>)> done) override {
    calls.push_back(Format("screendump {} of {}/{} as {}", request.filename,
                           request.device.value_or("the first"), request.head,
                           request.format == PictureFormat::kPng ? "png" : "ppm"));
    if (request.device == "absent") {
      done(Fail(Errc::kNotFound, "there is no device 'absent'"));
      return;
    }
    Finish(std::move(done));
  }

  Result<> forward_result;
  void AddHostForward(std::string_view netdev, std::string_view rule,
                      UniqueFunction<void(Result<>)> done) override {
    calls.push_back(Format("forward '{}' {}", netdev, rule));
    done(forward_result);
  }
  void RemoveHostForward(std::string_view netdev, std::string_view rule,
                         UniqueFunction<void(Result<>)> done) override {
    calls.push_back(Format("unforward '{}' {}", netdev, rule));
    done(forward_result);
  }
  void ListUserNets(UniqueFunction<void(std::string)> done) override { done("Hub -1 (n):\n"); }

 private:
  void Finish(UniqueFunction<void(Result<>)> done) {
    if (answer_later) {
      pending = std::move(done);
    } else {
      done({});
    }
  }
};

}  // namespace nandu
