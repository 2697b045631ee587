// Field sets are those of QEMU 7.2, as its query-qmp-schema and its events show them.
#include "qmp/commands/media.h"

#include <optional>

#include "machine/facets.h"
#include "qmp/registry.h"

namespace nandu {

struct TrayArgs {
  std::optional<std::string> device;
  std::optional<std::string> id;
  std::optional<bool> force;
};
BOOST_DESCRIBE_STRUCT(TrayArgs, (), (device, id, force))
struct CloseTrayArgs {
  std::optional<std::string> device;
  std::optional<std::string> id;
};
BOOST_DESCRIBE_STRUCT(CloseTrayArgs, (), (device, id))
struct RemoveMediumArgs {
  std::string id;
};
BOOST_DESCRIBE_STRUCT(RemoveMediumArgs, (), (id))
struct InsertMediumArgs {
  std::string id;
  std::string node_name;
};
BOOST_DESCRIBE_STRUCT(InsertMediumArgs, (), (id, node_name))
enum class ReadOnlyMode : uint8_t { kRetain, kReadOnly, kReadWrite };
BOOST_DESCRIBE_ENUM(ReadOnlyMode, kRetain, kReadOnly, kReadWrite)
struct ChangeMediumArgs {
  std::optional<std::string> device;
  std::optional<std::string> id;
  std::string filename;
  std::optional<std::string> format;
  std::optional<bool> force;
  std::optional<ReadOnlyMode> read_only_mode;
};
BOOST_DESCRIBE_STRUCT(ChangeMediumArgs, (), (device, id, filename, format, force, read_only_mode))
struct TrayMovedEvent {
  std::string device;
  std::string id;
  bool tray_open = false;
};
BOOST_DESCRIBE_STRUCT(TrayMovedEvent, (), (device, id, tray_open))

namespace {

MediaFacet::Done Answer(Reply<Nothing> reply) {
  return [reply = std::move(reply)](Result<> result) mutable { reply.Finish(std::move(result)); };
}

}  // namespace

void BindMediaCommands(QmpRegistry& registry, MediaFacet& media) {
  registry.Bind<TrayArgs, Nothing>("eject", [&media](const TrayArgs& args, Reply<Nothing> reply) {
    media.Eject({args.device, args.id}, args.force.value_or(false), Answer(std::move(reply)));
  });
  registry.Bind<TrayArgs, Nothing>("blockdev-open-tray", [&media](const TrayArgs& args, Reply<Nothing> reply) {
    media.OpenTray({args.device, args.id}, args.force.value_or(false), Answer(std::move(reply)));
  });
  registry.Bind<CloseTrayArgs, Nothing>(
      "blockdev-close-tray", [&media](const CloseTrayArgs& args, Reply<Nothing> reply) {
        media.CloseTray({args.device, args.id}, Answer(std::move(reply)));
      });
  registry.Bind<RemoveMediumArgs, Nothing>(
      "blockdev-remove-medium", [&media](const RemoveMediumArgs& args, Reply<Nothing> reply) {
        media.RemoveMedium({{}, args.id}, Answer(std::move(reply)));
      });
  registry.Bind<InsertMediumArgs, Nothing>(
      "blockdev-insert-medium", [&media](const InsertMediumArgs& args, Reply<Nothing> reply) {
        media.InsertMedium({{}, args.id}, args.node_name, Answer(std::move(reply)));
      });
  registry.Bind<ChangeMediumArgs, Nothing>(
      "blockdev-change-medium", [&media](const ChangeMediumArgs& args, Reply<Nothing> reply) {
        if (args.read_only_mode == ReadOnlyMode::kReadWrite) {
          reply.Fail(QmpErrorClass::kGenericError,
                     "read-only-mode: a CD-ROM drive does not write; leave it out or say read-only");
          return;
        }
        media.ChangeMedium({args.device, args.id}, {args.filename, args.format}, args.force.value_or(false),
                           Answer(std::move(reply)));
      });
  registry.DeclareEvent<TrayMovedEvent>("DEVICE_TRAY_MOVED");
}

}  // namespace nandu
