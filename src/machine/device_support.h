// Every device of QEMU 7.2's x86-64 `-device help`, and what nandu does with it. A device that is not here is
// unknown; one that is here but not in the catalog is refused with its sentence. The lists of `nandu devices`
// and docs/devices.md are this table, and tests/system/command_line.host.py compares it with QEMU's list.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "machine/handling.h"

namespace nandu {

struct DeviceSupport {
  std::string_view
      names;  // separated by spaces, aliases among them; "*-x86_64-cpu" ends like every CPU model's
  Handling handling = Handling::kWorks;
  std::string_view text;  // the reason; of a device that works, the test that shows it ("disk.lab.case")
};

std::span<const DeviceSupport> DeviceSupportTable();
const DeviceSupport* FindDeviceSupport(std::string_view driver);  // null: no device of QEMU's

std::string DeviceSupportText();      // a line per device
std::string DeviceSupportMarkdown();  // the table of docs/devices.md

}  // namespace nandu
