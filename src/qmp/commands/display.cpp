// Field sets are those of QEMU 7.2, as its query-qmp-schema shows them.
#include "qmp/commands/display.h"

#include <optional>

#include "machine/facets.h"
#include "qmp/registry.h"

namespace nandu {

enum class ImageFormat : uint8_t { kPpm, kPng };
BOOST_DESCRIBE_ENUM(ImageFormat, kPpm, kPng)
struct ScreendumpArgs {
  std::string filename;
  std::optional<std::string> device;
  std::optional<int64_t> head;
  std::optional<ImageFormat> format;
};
BOOST_DESCRIBE_STRUCT(ScreendumpArgs, (), (filename, device, head, format))

namespace {

void Screendump(DisplayFacet& display, const ScreendumpArgs& args, Reply<Nothing> reply) {
  if (args.head && !args.device) {
    reply.Fail(QmpErrorClass::kGenericError, "'head' belongs to a 'device'; name it");
    return;
  }
  ScreendumpRequest request;
  request.filename = args.filename;
  request.device = args.device;
  request.head = args.head.value_or(0);
  request.format = args.format == ImageFormat::kPng ? PictureFormat::kPng : PictureFormat::kPpm;
  display.Screendump(request, [reply = std::move(reply)](Result<> result) mutable {
    if (!result && result.error().code == Errc::kNotFound && result.error().sys_errno == 0) {
      reply.Fail(QmpErrorClass::kDeviceNotFound, result.error().message);
    } else {
      reply.Finish(std::move(result));
    }
  });
}

}  // namespace

void BindDisplayCommands(QmpRegistry& registry, DisplayFacet& display) {
  registry.Bind<ScreendumpArgs, Nothing>("screendump",
                                         [&display](const ScreendumpArgs& args, Reply<Nothing> reply) {
                                           Screendump(display, args, std::move(reply));
                                         });
}

}  // namespace nandu
