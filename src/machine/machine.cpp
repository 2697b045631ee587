#include "machine/machine.h"

#include <boost/json/object.hpp>

#include "base/log.h"
#include "base/uuid.h"
#include "devices/legacy/vm_generation_id.h"
#include "machine/machine_impl.h"
#include "machine/version.h"

namespace nandu {

Machine::Machine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Machine::~Machine() = default;

Result<std::unique_ptr<Machine>> Machine::Create(ControlLoop& loop, const MachineConfig& config) {
  auto impl = std::make_unique<Impl>(loop, config);
  TRY(impl->Build());
  return std::unique_ptr<Machine>(new Machine(std::move(impl)));
}

void Machine::Start() {
  // A server with wait=on keeps the guest from starting, not the monitor from answering.
  impl_->backends.chardevs.WaitForClients([this] { impl_->lifecycle->Start(impl_->config.start_paused); });
}

int Machine::exit_status() const { return impl_->exit_status; }
bool Machine::stuck() const { return impl_->lifecycle->stuck(); }

void Machine::ReleaseHost() {
  impl_->backends.chardevs.ReleaseHost();
  impl_->backends.netdevs.ReleaseHost();
}

Result<std::shared_ptr<Chardev>> Machine::ClaimChardev(std::string_view id, std::string_view user) {
  return impl_->backends.chardevs.Claim(id, user);
}

DebugFacet& Machine::debug() { return *impl_->debugger; }

void Machine::TerminateBySignal(int signal) {
  Log(LogLevel::kInfo, "ending on signal {}", signal);
  impl_->lifecycle->Quit("host-signal");
}

RunState Machine::run_state() const { return impl_->lifecycle->state(); }
void Machine::Stop(UniqueFunction<void(Result<>)> done) {
  impl_->lifecycle->Stop(RunState::kPaused, std::move(done));
}
void Machine::Cont(UniqueFunction<void(Result<>)> done) { impl_->lifecycle->Cont(std::move(done)); }
void Machine::SystemReset() { impl_->lifecycle->SystemReset(); }
void Machine::Quit() { impl_->lifecycle->Quit("host-qmp-quit"); }

void Machine::InjectNmi() { impl_->board->vcpus().InjectNmi(); }

void Machine::SetActions(const ActionChanges& changes) {
  impl_->lifecycle->SetActions(changes);
  if (changes.panic) {
    impl_->host->SetPanicStops(*changes.panic != PanicAction::kNone);
  }
}

void Machine::SystemPowerdown() {
  impl_->q35->lpc().PressPowerButton();
  impl_->Emit("POWERDOWN", {});
}

std::string Machine::name() const { return impl_->config.name; }
std::string Machine::uuid() const { return impl_->config.uuid; }

VersionFacts Machine::version() const {
  return {EmulatedQemu::kMajor, EmulatedQemu::kMinor, EmulatedQemu::kMicro,
          Format("nandu {}", kNanduVersion)};
}

std::vector<CpuFacts> Machine::Cpus() const {
  std::vector<CpuFacts> facts;
  VcpuSet& vcpus = impl_->board->vcpus();
  for (unsigned index = 0; index < vcpus.size(); ++index) {
    const CpuTopology::Place place = impl_->board->topology().PlaceOf(index);
    CpuFacts cpu;
    cpu.index = index;
    cpu.thread_id = vcpus.at(index).thread_id();
    cpu.qom_path = Format("/machine/unattached/device[{}]", index);
    cpu.socket_id = place.socket;
    cpu.die_id = place.die;
    cpu.core_id = place.core;
    cpu.thread_in_core = place.thread;
    facts.push_back(std::move(cpu));
  }
  return facts;
}

std::optional<std::string> Machine::VmGenerationGuid() const {
  const VmGenerationId* const id = impl_->generation_id;
  return id == nullptr ? std::nullopt : std::optional(UuidText(id->uuid()));
}

void Machine::SetEventSink(Sink sink) { impl_->sink = std::move(sink); }

}  // namespace nandu
