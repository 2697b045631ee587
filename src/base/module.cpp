// dlopen(3) with sentences.
#include "base/module.h"

#include <cerrno>
#include <dlfcn.h>
#include <unistd.h>

#ifndef NANDU_MODULE_PATH
#error "NANDU_MODULE_PATH is where modules are installed, from where the program is (cmake/Room.cmake)"
#endif

namespace nandu {
namespace {

constexpr const char* kSymbol = "nandu_module";

// Of the program, with links followed; empty where /proc is not there.
std::string ProgramDirectory() {
  std::string path(4096, '\0');
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(length > 0 ? static_cast<size_t>(length) : 0);
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string LoaderText() {
  const char* text = ::dlerror();
  return text != nullptr ? text : "unknown error";
}

}  // namespace

std::vector<std::string> ModuleDirectories() {
  const std::string program = ProgramDirectory();
  // The build tree's, for the program and for its tests one directory below.
  return {program + "/modules", program + "/../modules", program + "/" + NANDU_MODULE_PATH};
}

namespace internal {

Result<const ModuleHeader*> OpenModule(std::string_view name, std::string_view package, const ModuleHeader& wanted,
                                       const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    const std::string path = Format("{}/{}.so", directory, name);
    if (::access(path.c_str(), F_OK) != 0) {
      continue;
    }
    void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module == nullptr) {
      return Fail(Errc::kNotFound, "cannot load the module {}: {}; it needs the package {}", name, LoaderText(), package);
    }
    const auto* const header = static_cast<const ModuleHeader*>(::dlsym(module, kSymbol));
    if (header == nullptr || header->magic != wanted.magic) {
      return Fail(Errc::kInvalidArgument, "{} is no module of nandu's; reinstall nandu", path);
    }
    if (header->abi != wanted.abi || header->size_bytes != wanted.size_bytes) {
      return Fail(Errc::kInvalidArgument, "{} belongs to another version of nandu; reinstall nandu", path);
    }
    return header;
  }
  return Fail(Errc::kNotFound, "the module {}.so is not installed; install all of nandu ({})", name, directories.back());
}

}  // namespace internal
}  // namespace nandu
