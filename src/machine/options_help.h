// What an options struct takes, for people: "-device X,help". Pure, any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/described.h"

namespace nandu {

// A line per property, with its kind and its default; `name` heads the list.
std::string OptionsHelpText(std::string_view name, const TypeInfo& type);

}  // namespace nandu
