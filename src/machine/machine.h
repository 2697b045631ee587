// A VM: owns the board, its backends and its life. Built from one validated MachineConfig on the control
// loop, run by it, and seen by monitors through the facets it implements.
//
//     auto loop = TRY(ControlLoop::Create());
//     auto machine = TRY(Machine::Create(*loop, config));
//     machine->Start();
//     loop->Run();                       // until the guest powers off or somebody quits
//     return machine->exit_status();
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "chardev/chardev_set.h"
#include "loop/control_loop.h"
#include "machine/config.h"
#include "machine/debug_facet.h"
#include "machine/facets.h"

namespace nandu {

class Machine final : public LifecycleFacet,
                      public InfoFacet,
                      public BalloonFacet,
                      public BlockFacet,
                      public DisplayFacet,
                      public NetFacet,
                      public DescriptorFacet,
                      public EventFacet {
 public:
  // Opens, locks and listens, makes the board, and leaves it reset and paused. Whatever fails is a sentence,
  // and leaves nothing behind.
  static Result<std::unique_ptr<Machine>> Create(ControlLoop& loop, const MachineConfig& config);
  ~Machine() override;  // never while it is stuck

  // After the end: requests are still in flight, in the kernel or in threads that wait there. They may yet
  // write to guest memory, so that the machine and its loop must be left to the end of the process.
  bool stuck() const;
  // Before such an end: gives back what would outlive the process. Nothing else may be called afterwards.
  void ReleaseHost();

  void Start();  // runs, unless the configuration says paused
  int exit_status() const;
  Result<std::shared_ptr<Chardev>> ClaimChardev(std::string_view id, std::string_view user);  // for monitors
  DebugFacet& debug();
  MediaFacet& media();
  void TerminateBySignal(int signal);  // SIGTERM, SIGINT, SIGHUP: in an orderly way

  // LifecycleFacet
  RunState run_state() const override;
  void Stop(UniqueFunction<void(Result<>)> done) override;
  void Cont(UniqueFunction<void(Result<>)> done) override;
  void SystemReset() override;
  void SystemPowerdown() override;
  void InjectNmi() override;
  void SetActions(const ActionChanges& changes) override;
  void Quit() override;

  // InfoFacet
  std::string name() const override;
  std::string uuid() const override;
  VersionFacts version() const override;
  bool kvm_present() const override { return true; }
  bool kvm_enabled() const override { return true; }
  std::vector<CpuFacts> Cpus() const override;
  std::optional<std::string> VmGenerationGuid() const override;

  // BalloonFacet
  std::optional<uint64_t> GuestMemoryBytes() const override;
  bool SetGuestMemoryTarget(uint64_t bytes) override;

  // DescriptorFacet
  std::vector<FdSetFacts> QueryFdSets() const override;
  Result<> RemoveFd(int64_t id, std::optional<int> fd) override;

  // BlockFacet
  std::vector<BlockFacts> QueryBlock() const override;
  std::vector<ImageFacts> QueryNodes() const override;
  void ResizeBlock(std::string_view name, uint64_t size_bytes, UniqueFunction<void(Result<>)> done) override;

  // DisplayFacet
  void Screendump(const ScreendumpRequest& request, UniqueFunction<void(Result<>)> done) override;
  // NetFacet
  void AddHostForward(std::string_view netdev, std::string_view rule,
                      UniqueFunction<void(Result<>)> done) override;
  void RemoveHostForward(std::string_view netdev, std::string_view rule,
                         UniqueFunction<void(Result<>)> done) override;
  void ListUserNets(UniqueFunction<void(std::string text)> done) override;

  // EventFacet
  void SetEventSink(Sink sink) override;

 private:
  struct Impl;
  explicit Machine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nandu
