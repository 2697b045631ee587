// -smbios.

#include <algorithm>
#include <boost/json/object.hpp>

#include "cli/builder.h"
#include "cli/numbers.h"

namespace nandu {
namespace {

constexpr unsigned kPortType = 8;
constexpr unsigned kOnboardType = 41;

template <class Fields>
Result<> TakeFields(const boost::json::object& bag, Fields* fields) {
  *fields = TRY(FromJson<Fields>(bag, {.field_word = "property", .lenient = true}));
  return {};
}

}  // namespace

// Every -smbios of a type adds to those before it, as in QEMU; of ports and on-board devices each is another.
Result<> Builder::Smbios(std::string_view text) {
  const std::vector<KeyValue> items = TRY(ParseKeyValues(text, {}));
  const auto type = std::ranges::find(items, "type", &KeyValue::key);
  const auto file = std::ranges::find(items, "file", &KeyValue::key);
  if (file != items.end()) {
    if (items.size() != 1) {
      return Fail(Errc::kInvalidArgument, "file= is a whole structure; no other property goes with it");
    }
    config_.smbios.structure_files.push_back(file->value);
    return {};
  }
  if (type == items.end()) {
    return Fail(Errc::kInvalidArgument, "-smbios needs type= or file=");
  }
  const unsigned number = TRY(Prefix(NumberFrom(type->value, 0, UINT8_MAX), "type"));
  if (number == 11) {
    config_.smbios.given_types.push_back(11);
    return SmbiosOemStrings(items);
  }
  config_.smbios.given_types.push_back(static_cast<uint8_t>(number));
  boost::json::object fresh;
  const bool one_each = number == kPortType || number == kOnboardType;  // a structure for each -smbios
  boost::json::object& bag = one_each ? fresh : smbios_[number];
  for (const KeyValue& item : items) {
    if (item.key == "uuid" && number == 1) {
      TRY(Uuid(item.value));  // the VM's, as QEMU's
    } else if (item.key != "type") {
      bag[item.key] = item.value;
    }
  }
  return TakeSmbiosFields(number, bag);
}

Result<> Builder::SmbiosOemStrings(std::span<const KeyValue> items) {
  for (const KeyValue& item : items) {
    if (item.value.empty()) {
      return Fail(Errc::kInvalidArgument, "{}= is empty, which no SMBIOS string can be", item.key);
    }
    if (item.key == "value" || item.key == "path") {
      config_.smbios.oem_strings.push_back({item.value, item.key == "path"});
    } else if (item.key != "type") {
      return Fail(Errc::kInvalidArgument, "unknown property '{}'; known: value, path", item.key);
    }
  }
  if (config_.smbios.oem_strings.size() > UINT8_MAX) {
    return Fail(Errc::kInvalidArgument, "there are {} OEM strings; {} are possible",
                config_.smbios.oem_strings.size(), UINT8_MAX);
  }
  return {};
}

Result<> Builder::TakeSmbiosFields(unsigned type, const boost::json::object& bag) {
  SmbiosOptions& fields = config_.smbios.fields;
  switch (type) {
    case 0:
      TRY(TakeFields(bag, &fields.bios.emplace()));
      if (fields.bios->release) {
        TRY(SmbiosRelease(*fields.bios->release));
      }
      return {};
    case 1: return TakeFields(bag, &fields.system);
    case 2: return TakeFields(bag, &fields.board.emplace());
    case 3: return TakeFields(bag, &fields.chassis);
    case 4: return TakeFields(bag, &fields.processor);
    case kPortType: return TakeFields(bag, &fields.ports.emplace_back());
    case 17: return TakeFields(bag, &fields.memory_module);
    case kOnboardType: return TakeFields(bag, &fields.onboard.emplace_back());
    default: return Fail(Errc::kInvalidArgument, "type={}: known are 0, 1, 2, 3, 4, 8, 11, 17 and 41", type);
  }
}

}  // namespace nandu
