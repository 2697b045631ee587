// Field sets are those of QEMU 7.2, as its query-qmp-schema and its replies show them.
#include "qmp/commands/machine.h"

#include "machine/config.h"
#include "machine/facets.h"
#include "qmp/registry.h"
#include "qmp/version_info.h"

namespace nandu {

struct StatusInfo {
  bool running = false;
  bool singlestep = false;
  RunState status = RunState::kPrelaunch;
};
BOOST_DESCRIBE_STRUCT(StatusInfo, (), (running, singlestep, status))

struct NameInfo {
  std::optional<std::string> name;
};
BOOST_DESCRIBE_STRUCT(NameInfo, (), (name))

struct UuidInfo {
  std::string uuid;
};
inline std::span<const WireName> WireNames(const UuidInfo* /*type*/) {
  static constexpr WireName kNames[] = {{"uuid", "UUID"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(UuidInfo, (), (uuid))

struct KvmInfo {
  bool enabled = false;
  bool present = false;
};
BOOST_DESCRIBE_STRUCT(KvmInfo, (), (enabled, present))

struct CpuProps {
  std::optional<int64_t> node_id;
  std::optional<int64_t> socket_id;
  std::optional<int64_t> die_id;
  std::optional<int64_t> core_id;
  std::optional<int64_t> thread_id;
};
BOOST_DESCRIBE_STRUCT(CpuProps, (), (node_id, socket_id, die_id, core_id, thread_id))
struct CpuInfoFast {
  int64_t cpu_index = 0;
  std::string qom_path;
  int64_t thread_id = 0;
  std::optional<CpuProps> props;
  std::string target;
};
BOOST_DESCRIBE_STRUCT(CpuInfoFast, (), (cpu_index, qom_path, thread_id, props, target))

enum class ShutdownCause : uint8_t {
  kNone,
  kHostError,
  kHostQmpQuit,
  kHostQmpSystemReset,
  kHostSignal,
  kHostUi,
  kGuestShutdown,
  kGuestReset,
  kGuestPanic,
  kSubsystemReset,
  kSnapshotLoad,
};
BOOST_DESCRIBE_ENUM(ShutdownCause, kNone, kHostError, kHostQmpQuit, kHostQmpSystemReset, kHostSignal, kHostUi,
                    kGuestShutdown, kGuestReset, kGuestPanic, kSubsystemReset, kSnapshotLoad)
struct ShutdownEvent {
  bool guest = false;
  ShutdownCause reason = ShutdownCause::kNone;
};
BOOST_DESCRIBE_STRUCT(ShutdownEvent, (), (guest, reason))

enum class GuestPanicAction : uint8_t { kPause, kPoweroff, kRun };
BOOST_DESCRIBE_ENUM(GuestPanicAction, kPause, kPoweroff, kRun)
struct GuestPanickedEvent {
  GuestPanicAction action = GuestPanicAction::kPause;
};
BOOST_DESCRIBE_STRUCT(GuestPanickedEvent, (), (action))

struct WatchdogEvent {
  WatchdogAction action = WatchdogAction::kReset;
};
BOOST_DESCRIBE_STRUCT(WatchdogEvent, (), (action))

struct WatchdogSetActionArgs {
  WatchdogAction action = WatchdogAction::kReset;
};
BOOST_DESCRIBE_STRUCT(WatchdogSetActionArgs, (), (action))

struct GuidInfo {
  std::string guid;
};
BOOST_DESCRIBE_STRUCT(GuidInfo, (), (guid))

namespace {

constexpr std::string_view kNilUuid = "00000000-0000-0000-0000-000000000000";

std::vector<CpuInfoFast> CpuList(const InfoFacet& info) {
  std::vector<CpuInfoFast> list;
  for (const CpuFacts& cpu : info.Cpus()) {
    CpuProps props;
    props.socket_id = cpu.socket_id;
    props.die_id = cpu.die_id;
    props.core_id = cpu.core_id;
    props.thread_id = cpu.thread_in_core;
    list.push_back({cpu.index, cpu.qom_path, cpu.thread_id, props, "x86_64"});
  }
  return list;
}

void BindQueries(QmpRegistry& registry, LifecycleFacet& lifecycle, InfoFacet& info) {
  registry.Bind<Nothing, StatusInfo>("query-status", [&lifecycle](Nothing, Reply<StatusInfo> reply) {
    const RunState state = lifecycle.run_state();
    reply.Return({state == RunState::kRunning, false, state});
  });
  registry.Bind<Nothing, VersionInfo>("query-version", [&info](Nothing, Reply<VersionInfo> reply) {
    reply.Return(VersionInfoOf(info.version()));
  });
  registry.Bind<Nothing, NameInfo>("query-name", [&info](Nothing, Reply<NameInfo> reply) {
    NameInfo name;
    if (std::string given = info.name(); !given.empty()) {
      name.name = std::move(given);
    }
    reply.Return(name);
  });
  registry.Bind<Nothing, UuidInfo>("query-uuid", [&info](Nothing, Reply<UuidInfo> reply) {
    const std::string uuid = info.uuid();
    reply.Return({uuid.empty() ? std::string(kNilUuid) : uuid});
  });
  registry.Bind<Nothing, KvmInfo>("query-kvm", [&info](Nothing, Reply<KvmInfo> reply) {
    reply.Return({info.kvm_enabled(), info.kvm_present()});
  });
  registry.Bind<Nothing, GuidInfo>("query-vm-generation-id", [&info](Nothing, Reply<GuidInfo> reply) {
    if (std::optional<std::string> guid = info.VmGenerationGuid()) {
      reply.Return({std::move(*guid)});
    } else {
      reply.Fail(QmpErrorClass::kGenericError, "VM Generation ID device not found");
    }
  });
  registry.Bind<Nothing, std::vector<CpuInfoFast>>(
      "query-cpus-fast",
      [&info](Nothing, Reply<std::vector<CpuInfoFast>> reply) { reply.Return(CpuList(info)); });
}

void BindActions(QmpRegistry& registry, LifecycleFacet& lifecycle) {
  registry.Bind<Nothing, Nothing>("inject-nmi", [&lifecycle](Nothing, Reply<Nothing> reply) {
    lifecycle.InjectNmi();
    reply.Return();
  });
  registry.Bind<ActionChanges, Nothing>("set-action",
                                        [&lifecycle](const ActionChanges& changes, Reply<Nothing> reply) {
                                          lifecycle.SetActions(changes);
                                          reply.Return();
                                        });
  registry.Bind<WatchdogSetActionArgs, Nothing>(
      "watchdog-set-action", [&lifecycle](const WatchdogSetActionArgs& args, Reply<Nothing> reply) {
        ActionChanges changes;
        changes.watchdog = args.action;
        lifecycle.SetActions(changes);
        reply.Return();
      });
}

void BindLifecycle(QmpRegistry& registry, LifecycleFacet& lifecycle) {
  registry.Bind<Nothing, Nothing>("stop", [&lifecycle](Nothing, Reply<Nothing> reply) {
    lifecycle.Stop([reply = std::move(reply)](Result<> result) mutable { reply.Finish(std::move(result)); });
  });
  registry.Bind<Nothing, Nothing>("cont", [&lifecycle](Nothing, Reply<Nothing> reply) {
    lifecycle.Cont([reply = std::move(reply)](Result<> result) mutable { reply.Finish(std::move(result)); });
  });
  registry.Bind<Nothing, Nothing>("system_reset", [&lifecycle](Nothing, Reply<Nothing> reply) {
    lifecycle.SystemReset();
    reply.Return();
  });
  registry.Bind<Nothing, Nothing>("system_powerdown", [&lifecycle](Nothing, Reply<Nothing> reply) {
    lifecycle.SystemPowerdown();
    reply.Return();
  });
  registry.Bind<Nothing, Nothing>("quit", [&lifecycle](Nothing, Reply<Nothing> reply) {
    lifecycle.Quit();
    reply.Return();
  });
}

}  // namespace

void BindMachineCommands(QmpRegistry& registry, LifecycleFacet& lifecycle, InfoFacet& info) {
  BindQueries(registry, lifecycle, info);
  BindLifecycle(registry, lifecycle);
  BindActions(registry, lifecycle);
  registry.DeclareEvent<Nothing>("STOP");
  registry.DeclareEvent<Nothing>("RESUME");
  registry.DeclareEvent<Nothing>("POWERDOWN");
  registry.DeclareEvent<ShutdownEvent>("RESET");
  registry.DeclareEvent<ShutdownEvent>("SHUTDOWN");
  registry.DeclareEvent<GuestPanickedEvent>("GUEST_PANICKED");
  registry.DeclareEvent<GuestPanickedEvent>("GUEST_CRASHLOADED");
  registry.DeclareEvent<WatchdogEvent>("WATCHDOG");
}

}  // namespace nandu
