// Every -device nandu knows: one row each, the row being all that is edited to add one. Control loop.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <nandu/device.h>

namespace nandu {

std::span<const DeviceFactory* const> DeviceCatalog();

// By name or alias; the error names the nearest known driver.
Result<const DeviceFactory*> FindDeviceFactory(std::string_view driver);

std::string DeviceHelpText();                                        // -device help
Result<std::string> DeviceOptionsHelpText(std::string_view driver);  // -device DRIVER,help

}  // namespace nandu
