// What cloud-init is told at a guest's first boot: a NoCloud seed, an ISO 9660 image with Joliet names and
// the label "cidata". Source: cloud-init's documentation, data source NoCloud. Blocks.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "verbs/options.h"

namespace nandu {

// Name and content of each of its files. From a directory: the files of it, of which user-data and meta-data
// must be there. Else a user-data that makes the user (or opens the image's own) and a meta-data with the
// VM's name.
Result<std::map<std::string, std::string>> SeedFiles(const SeedOptions& options, const std::string& vm_name);

// Through the module archive.so.
Result<> WriteSeed(const std::string& path, const std::map<std::string, std::string>& files);
// Both.
Result<> MakeSeed(const std::string& path, const SeedOptions& options, const std::string& vm_name);

}  // namespace nandu
