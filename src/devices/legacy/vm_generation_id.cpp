#include "devices/legacy/vm_generation_id.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <sys/random.h>
#include <utility>

#include "memory/address_space.h"
#include "state/state.h"

namespace nandu {

struct VmGenerationIdOptions {
  std::string guid = "auto";
};
BOOST_DESCRIBE_STRUCT(VmGenerationIdOptions, (), (guid))

namespace {

constexpr unsigned kChangedGpe = 5;
constexpr uint64_t kFourGiB = uint64_t{1} << 32;

Result<Uuid> RandomUuid() {
  Uuid uuid;
  if (::getrandom(uuid.data(), uuid.size(), 0) != static_cast<ssize_t>(uuid.size())) {
    return Fail(Errc::kIo, "the kernel gives no random numbers for a generation ID; name one with guid=");
  }
  // RFC 4122, 4.4: version 4.
  uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0f) | 0x40);
  uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

}  // namespace

Result<> Validate(const VmGenerationIdState& state) {
  if (state.address > kFourGiB - sizeof(Uuid)) {
    return Fail(Errc::kCorrupt, "the generation ID is at {:#x}, not below 4 GiB", state.address);
  }
  return {};
}

VmGenerationId::VmGenerationId(DeviceHost& host, std::string id, const Uuid& uuid)
    : LegacyDevice(std::move(id), kDriver, "/machine/vmgenid"), host_(host), uuid_(uuid) {}

void VmGenerationId::Resume() {
  if (std::exchange(changed_, false)) {
    host_.RaiseGpe(kChangedGpe);
  }
}

void VmGenerationId::Save(const StateWriter& writer) const {
  writer.Put(VmGenerationIdState{.address = address_});
}

Result<> VmGenerationId::Load(const StateReader& reader) {
  const auto state = TRY(reader.Get<VmGenerationIdState>());
  if (state.address != 0) {
    const std::shared_ptr<const FlatView> view = host_.memory_space().view();
    const Uuid bytes = guid();
    if (!view->memory()->Write(Gpa{state.address}, bytes.data(), bytes.size())) {
      return Fail(Errc::kCorrupt, "there is no memory at {:#x} for the generation ID", state.address);
    }
  }
  address_ = state.address;
  changed_ = state.address != 0;
  return {};
}

namespace {

Result<std::unique_ptr<Device>> CreateVmGenerationId(DeviceHost& host, const std::string& id,
                                                     const boost::json::object& options) {
  const auto parsed = TRY(FromJson<VmGenerationIdOptions>(boost::json::value(options),
                                                          {.field_word = "property", .lenient = true}));
  std::optional<Uuid> uuid = ParseUuid(parsed.guid);
  if (parsed.guid == "auto") {
    uuid = TRY(RandomUuid());
  }
  if (!uuid) {
    return Fail(Errc::kInvalidArgument,
                "guid={}: write xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, or auto for a random one", parsed.guid);
  }
  return std::unique_ptr<Device>(std::make_unique<VmGenerationId>(host, id, *uuid));
}

const TypeInfo* VmGenerationIdOptionsType() { return &TypeOf<VmGenerationIdOptions>(); }

constexpr DeviceFactory kVmGenerationId = {.driver = VmGenerationId::kDriver,
                                           .aliases = {},
                                           .description = "tells a guest that it was restored or cloned",
                                           .bus = "System",
                                           .options = VmGenerationIdOptionsType,
                                           .create = CreateVmGenerationId};

}  // namespace

const DeviceFactory& VmGenerationIdFactory() { return kVmGenerationId; }

}  // namespace nandu
